/** An example of each attribute that src/net/attributes.ts declares, for tests and generators that go over all of them. */
import fc from 'fast-check'
import {
  ATTRIBUTE_NAMES,
  ATTRIBUTES,
  type Attribute,
  type AttributeName,
  type Attributes,
} from '../../src/net/attributes.ts'

/** As a configuration has it. */
export type Value = number | boolean | string

export interface Example {
  readonly name: AttributeName
  readonly attribute: Attribute
  /** Three that the kernel tells apart, in every kernel. */
  readonly values: readonly [Value, Value, Value]
  /** What a configuration may not have. */
  readonly wrong: readonly unknown[]
}

function valuesOf(attribute: Attribute): Pick<Example, 'values' | 'wrong'> {
  switch (attribute.is) {
    case 'integer': {
      const { min, min6 = min, max } = attribute
      const middle = Math.floor((min6 + max) / 2)
      return { values: [middle, middle + 1, max], wrong: [min - 1, max + 1, middle + 0.5, `${middle}`, true] }
    }
    case 'switch':
      return { values: [true, false, true], wrong: [1, 0, 'true'] }
    case 'name':
      return {
        values: ['reno', attribute.example, 'reno'],
        wrong: ['', 'a b', 'lock', 'a\nb', '-a', 'é', 'a'.repeat(16), 5, true],
      }
    default:
      throw attribute satisfies never
  }
}

export const EXAMPLES: readonly Example[] = ATTRIBUTE_NAMES.map((name) => ({
  name,
  attribute: ATTRIBUTES[name],
  ...valuesOf(ATTRIBUTES[name]),
}))

/** `initcwnd 10`: in ip-route(8)'s words, which has none for a switch that is off. */
export const wordsFor = (name: string, value: Value | undefined): string =>
  value === undefined || value === false ? '' : `${name} ${value === true ? 1 : value}`

/** `{"initcwnd": 10}`: in the words of `ip -json`. */
export const printedAs = ({ name, attribute }: Example, value: Value): Record<string, unknown> =>
  value === false ? {} : { [attribute.printed ?? name]: value === true ? 1 : value }

/** All of them at once. */
export const ALL_ATTRIBUTES = Object.fromEntries(
  EXAMPLES.map(({ name, values: [value] }) => [name, value]),
) as Attributes

/** Some attributes, as a configuration has them; mostly none. */
export const someAttributes: fc.Arbitrary<Attributes> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.record(Object.fromEntries(EXAMPLES.map(({ name, values }) => [name, fc.constantFrom(...values)])), {
      requiredKeys: [],
    }) as fc.Arbitrary<Attributes>,
  },
)

/** The same as the kernel holds them. */
export const heldAttributes: fc.Arbitrary<Attributes | undefined> = someAttributes.map((some) => {
  const held = Object.entries(some).filter(([, value]) => value !== false)
  return held.length === 0 ? undefined : (Object.fromEntries(held) as Attributes)
})
