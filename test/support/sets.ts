import { type ReadSet, setIn } from '../../src/config/route-sets.ts'

/** A reader of the sets that a test makes up, by name. There is no other. */
export function setsOf(texts: Readonly<Record<string, string>>): ReadSet {
  return (directory, name) => {
    const file = `${directory}/${name}`
    const text = Object.hasOwn(texts, name) ? texts[name] : undefined
    if (text === undefined) return { problems: [`${file}: does not exist yet`], later: true }
    return setIn(text, file)
  }
}
