/** What holds for every attribute that src/net/attributes.ts declares, in every place that has to know of it. */
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { diffOf } from '../../../src/cli/route-diff.ts'
import { jsonSchema } from '../../../src/cli/schema.ts'
import { coveredRoutes } from '../../../src/cli/validate/covered.ts'
import { routeTable } from '../../../src/cli/validate/keys.ts'
import { buildResult, parsePrevResult } from '../../../src/cni/result.ts'
import { type Config, parseConfig } from '../../../src/config/config.ts'
import { effectiveConfig } from '../../../src/config/overrides.ts'
import { UNKNOWN_SETS } from '../../../src/config/route-sets.ts'
import { type Attributes, IN_RESULT, MEANINGS } from '../../../src/net/attributes.ts'
import { batchLine, METRICS, parseRoutes } from '../../../src/net/iproute2.ts'
import { type Route, type Snapshot, sameEffect, sameRoute } from '../../../src/net/route.ts'
import { planRestore } from '../../../src/plan/effects.ts'
import type { Via } from '../../../src/plan/next-hop.ts'
import { planAdd, planDel } from '../../../src/plan/plan.ts'
import { problemText } from '../../../src/plan/problem.ts'
import { ALL_ATTRIBUTES, EXAMPLES, printedAs, wordsFor } from '../../support/attributes.ts'
import { carryOut, sorted } from '../../support/kernel.ts'
import { refusal } from '../../support/refusal.ts'
import { link, route } from '../../support/snapshots.ts'

const bySchema = new Ajv2020({ strict: false }).compile(jsonSchema())

const FAMILIES = [
  { family: 4, dst: '10.50.0.0/16', other: '10.60.0.0/16', any: '0.0.0.0/0', gw: '169.254.1.1' },
  { family: 6, dst: 'fd00:10:50::/48', other: 'fd00:10:60::/48', any: '::/0', gw: 'fe80::1' },
] as const
const CASES = EXAMPLES.flatMap((example) =>
  FAMILIES.map((place) => ({ ...example, ...place, value: example.values[0], another: example.values[1] })),
)

const pod = (...routes: Route[]): Snapshot => ({ routes, links: [link('eth0', '10.199.3.153', 'fd00:10:199::153')] })
/** What the kernel holds of a value: a switch that is off is not there. */
const held = (name: string, value: unknown): { attributes?: Attributes } =>
  value === false ? {} : { attributes: { [name]: value } }
const lines = (config: Config, snapshot: Snapshot) => {
  const { ops, problems } = planAdd(config, 'eth0', snapshot)
  expect(problems).toEqual([])
  return ops.map(batchLine)
}
const restOf = (words: string) => (words === '' ? '' : ` ${words}`)

it('none that configurations have is gone', () => {
  const promised = ['mtu', 'advmss', 'initcwnd', 'initrwnd', 'hoplimit', 'quickack', 'congctl']
  expect(EXAMPLES.map(({ name }) => name)).toEqual(expect.arrayContaining(promised))
})

it.each(EXAMPLES)('$name is not in METRICS of iproute2.ts, which are not attributes', ({ name, attribute }) => {
  expect(METRICS).not.toContain(attribute.printed ?? name)
})

it('iproute2 prints them so', () => {
  // ip -json -Numeric -details, iproute2 6.1, in IPv6 the same
  const metrics =
    '[{"mtu":1400,"advmss":1300,"hoplimit":4,"initcwnd":10,"initrwnd":20,"quickack":1,"congestion":"reno"}]'
  const [read] = parseRoutes(`[{"dst":"10.9.0.0/16","dev":"eth0","protocol":"3","flags":[],"metrics":${metrics}}]`)
  expect(read?.attributes).toEqual({
    mtu: 1400,
    advmss: 1300,
    initcwnd: 10,
    initrwnd: 20,
    hoplimit: 4,
    quickack: true,
    congctl: 'reno',
  })
  expect(read).not.toHaveProperty('opaque')
})

it('CNI 1.1.0 knows two of them', () => {
  expect(IN_RESULT).toEqual(['mtu', 'advmss'])
})

describe.each(CASES)('$name of an IPv$family route', ({ name, attribute, values, wrong, value, another, ...place }) => {
  const { family, dst, other, any, gw } = place
  const words = restOf(wordsFor(name, value))
  const entry = (one: unknown) => ({ routes: [{ dst, [name]: one }] })
  const at = { gw, dev: 'eth0' }
  const learnt = route(family, any, { ...at, ...held(name, value) })
  const metric = family === 6 ? ' metric 1024' : ''
  const isReported = IN_RESULT.includes(name)
  const learntWords = isReported ? words : ''

  describe('in a configuration', () => {
    it.each([...values, null])('may be %j', (one) => {
      const { attributes } = parseConfig(entry(one)).routes[0] ?? {}
      expect(attributes).toEqual(one === null ? undefined : { [name]: one })
      expect(bySchema({ type: 'x-calico-route', ...entry(one) })).toBe(true)
    })

    it.each(wrong)('may not be %j', (one) => {
      const { code, message } = refusal(() => parseConfig(entry(one)))
      expect({ code, message }).toEqual({ code: 7, message: expect.stringMatching(`^routes\\[0\\]\\.${name}: `) })
      expect(bySchema({ type: 'x-calico-route', ...entry(one) })).toBe(false)
    })

    it('has its bounds, which are told', () => {
      if (attribute.is !== 'integer') return
      const least = family === 6 ? (attribute.min6 ?? attribute.min) : attribute.min
      for (const one of [least, attribute.max]) expect(parseConfig(entry(one)).routes).toHaveLength(1)
      for (const one of [least - 1, attribute.max + 1]) {
        const { message } = refusal(() => parseConfig(entry(one)))
        expect(message).toMatch(
          new RegExp(`^routes\\[0\\]\\.${name}: must be .*\\b(${least}|${attribute.max})\\b.*, is ${one}`),
        )
      }
    })

    it('tells two entries apart of which one is around the other', () => {
      const inside = dst.replace(/\/.*/, family === 4 ? '/24' : '/64')
      const warnings = (more: object) => {
        const said: string[] = []
        const { routes } = parseConfig({
          routes: [
            { dst: inside, [name]: value },
            { dst, ...more },
          ],
        })
        coveredRoutes(routes, (...[, , text]) => void said.push(text))
        return said.length
      }
      expect([warnings({ [name]: value }), warnings({ [name]: another }), warnings({})]).toEqual([1, 0, 0])
    })

    it('is for a pod to choose, or not', () => {
      const conf = { overrides: { allow: ['routes'], within: [dst] }, args: { cni: entry(value) } }
      const read = () =>
        effectiveConfig({ cniVersion: '1.0.0', name: 'n', type: 'x-calico-route', ...conf }, UNKNOWN_SETS)
      if (attribute.notForPods === undefined) expect(read().routes[0]?.attributes).toEqual({ [name]: value })
      else
        expect(refusal(read)).toEqual({
          code: 120,
          message: expect.stringMatching(`^args\\.cni\\.routes\\[0\\]\\.${name}: a pod cannot set this`),
        })
    })
  })

  describe('on a route', () => {
    const ours = route(family, dst, { ...at, protocol: 142, ...held(name, value) })

    it('is read as ip prints it, and written as ip takes it', () => {
      const printed = printedAs({ name, attribute, values, wrong }, value)
      const pref = family === 6 ? { pref: 'medium', metric: 1024 } : { scope: '0' }
      const json = { dst, gateway: gw, dev: 'eth0', protocol: '142', flags: [], metrics: [printed], ...pref }
      expect(parseRoutes(JSON.stringify([json]))).toEqual([ours])
      for (const op of ['add', 'replace', 'del'] as const)
        expect(batchLine({ op, route: ours })).toBe(`route ${op} ${dst} via ${gw} dev eth0 proto 142${metric}${words}`)
    })

    it.each([-1, 0.5, 'a b', null, {}, 'lock', 2 ** 60])('cannot be written back where ip says %j', (one) => {
      const json = { dst, gateway: gw, dev: 'eth0', flags: [], metrics: [{ [attribute.printed ?? name]: one }] }
      const [read] = parseRoutes(JSON.stringify([json]))
      expect(read).toMatchObject({ opaque: attribute.printed ?? name })
      expect(read).not.toHaveProperty('attributes')
    })

    it('makes it another than one without, or with another value', () => {
      for (const one of [{}, held(name, another)]) {
        const differs = route(family, dst, { ...at, protocol: 142, ...one })
        expect([sameEffect(ours, differs), sameRoute(differs, ours)]).toEqual([false, false])
      }
      expect(sameRoute(ours, structuredClone(ours))).toBe(true)
    })
  })

  describe('by ADD', () => {
    const keep = { defaultRoute: 'keep' }
    const plain = route(family, any, at)

    it('comes onto the route of its entry, and the diff shows it', () => {
      const config = parseConfig({ ...keep, ...entry(value) })
      const snapshot = pod(plain)
      const { ops } = planAdd(config, 'eth0', snapshot)
      expect(ops.map(batchLine)).toEqual([`route add ${dst} via ${gw} dev eth0 proto 142${metric}${words}`])
      expect(diffOf(snapshot, ops)).toContainEqual(
        expect.objectContaining({ mark: '+', route: expect.stringContaining(`proto 142${metric}${words}`) }),
      )
      expect(lines(config, carryOut(snapshot, ops))).toEqual([])
    })

    it('is changed where it is another, or gone', () => {
      const config = parseConfig({ ...keep, ...entry(value) })
      for (const one of [{}, held(name, another)])
        expect(lines(config, pod(plain, route(family, dst, { ...at, protocol: 142, ...one })))).toEqual([
          `route replace ${dst} via ${gw} dev eth0 proto 142${metric}${words}`,
        ])
    })

    it('is learnt from the default route if a Result reports it, and known from our own route when that is gone', () => {
      const config = parseConfig({ routes: [{ dst }] })
      const { ops } = planAdd(config, 'eth0', pod(learnt))
      expect(batchLine(ops[0] as never)).toBe(`route add ${dst} via ${gw} dev eth0 proto 142${metric}${learntWords}`)
      expect(ops.map(({ op }) => op)).toEqual(['add', 'del'])
      expect(lines(config, carryOut(pod(learnt), ops))).toEqual([])
    })

    it('is that of the entry where it has its own, which it lends to no other', () => {
      const config = parseConfig({ routes: [{ dst, [name]: another }, { dst: other }] })
      const { ops } = planAdd(config, 'eth0', pod(learnt))
      const asked = `route add ${dst} via ${gw} dev eth0 proto 142${metric}${restOf(wordsFor(name, another))}`
      expect(ops.map(batchLine).slice(0, 2)).toEqual([
        asked,
        `route add ${other} via ${gw} dev eth0 proto 142${metric}${learntWords}`,
      ])
      const after = carryOut(pod(learnt), ops)
      expect(lines(config, after)).toEqual([])
      // Of the other nothing else tells.
      const alone = { ...after, routes: after.routes.filter((one) => one.dst !== other) }
      expect(lines(config, alone)).toEqual([`route add ${other} via ${gw} dev eth0 proto 142${metric}`])
    })

    it('is by CHECK what the Result reported, or nothing if no Result does', () => {
      const config = parseConfig({ routes: [{ dst }] })
      const hop: Via = { gw, attributes: isReported ? { [name]: another } : {} }
      const present = pod(route(family, dst, { ...at, protocol: 142, ...held(name, value) }))
      const { ops } = planAdd(config, 'eth0', present, { hops: () => hop })
      expect(ops.map(({ op }) => op)).toEqual(['replace'])
    })

    it('counts on a route of another maker, and is not put on one', () => {
      const connected = (more: object) => route(family, dst, { dev: 'eth0', protocol: 2, ...more })
      const config = parseConfig({ ...keep, ...entry(value) })
      expect(lines(config, pod(plain, connected(held(name, value))))).toEqual([])
      for (const one of [{}, held(name, another)])
        expect(planAdd(config, 'eth0', pod(plain, connected(one))).problems.map(problemText)).toEqual([
          expect.stringContaining(`"${name}" cannot be set on the route of the kernel`),
        ])
    })

    it('is in the Result as far as CNI 1.1.0 knows it, configured or learnt', () => {
      const told = name === 'mtu' || name === 'advmss' ? { [name]: value } : {}
      for (const [conf, present] of [
        [entry(value), plain],
        [{ routes: [{ dst }] }, learnt],
      ] as const) {
        const { routes } = planAdd(parseConfig({ ...keep, ...conf }), 'eth0', pod(present))
        const changes = { removed: [], routes, gateways: [learnt], before: [] }
        const both = [
          { dst, gw },
          { dst: any, gw },
        ]
        expect(buildResult('1.1.0', {}, changes).routes).toEqual(both.map((one) => ({ ...one, ...told })))
        expect(buildResult('1.0.0', {}, changes).routes).toEqual(both)
      }
    })

    it('of a prevResult is an integer, and left out before CNI 1.1.0, if CNI knows it; else it is anything', () => {
      const prev = (one: unknown) => parsePrevResult({ routes: [{ dst, gw, [name]: one }] })
      if (name !== 'mtu' && name !== 'advmss') {
        expect(buildResult('1.0.0', prev('x')).routes).toEqual([{ dst, gw, [name]: 'x' }])
        return
      }
      expect(refusal(() => prev('x'))).toMatchObject({ code: 7, message: expect.stringContaining(`.${name}: must be`) })
      expect(buildResult('1.0.0', prev(value)).routes).toEqual([{ dst, gw }])
      expect(buildResult('1.1.0', prev(value)).routes).toEqual([{ dst, gw, [name]: value }])
    })
  })

  describe('of a default route', () => {
    it('is brought back by a rollback, and by DEL after it was demoted', () => {
      for (const defaultRoute of ['remove', 'demote'] as const) {
        const config = parseConfig({ defaultRoute })
        const before = pod(learnt)
        const { ops, problems } = planAdd(config, 'eth0', before)
        expect(problems).toEqual([])
        const after = carryOut(before, ops)
        expect(after.routes.map(({ attributes }) => attributes)).toEqual(
          defaultRoute === 'demote' ? [{ [name]: value }] : [],
        )
        expect(sorted(carryOut(after, planRestore(before, after, ops)).routes)).toEqual(sorted(before.routes))
        if (defaultRoute === 'remove') continue
        const back = carryOut(
          after,
          planDel(() => config, 'eth0', after),
        )
        expect(sorted(back.routes)).toEqual(sorted(before.routes))
      }
    })
  })
})

it('all at once stand in a batch line in the order of their declaration', () => {
  const words = EXAMPLES.map(({ name, values: [value] }) => wordsFor(name, value)).join(' ')
  const all = route(4, '10.50.0.0/16', { dev: 'eth0', attributes: ALL_ATTRIBUTES })
  expect(batchLine({ op: 'add', route: all })).toBe(`route add 10.50.0.0/16 dev eth0 proto 3 ${words}`)
})

describe.each(EXAMPLES)('$name in the documentation', ({ name, attribute }) => {
  const { meaning } = MEANINGS[name]
  const properties = (jsonSchema() as { properties: { routes: { items: { properties: Record<string, object> } } } })
    .properties.routes.items.properties

  it('has a row in the table of the keys of a route, with its bounds and its meaning', () => {
    const row =
      routeTable()
        .split('\n')
        .find((line) => line.startsWith(`| \`${name}\` |`)) ?? ''
    expect(row).toContain(meaning)
    if (attribute.is === 'integer') expect(row).toMatch(new RegExp(`\\b${attribute.min}\\b.*\\b${attribute.max}\\b`))
  })

  it('is described in the JSON Schema', () => {
    expect(properties[name]).toMatchObject({ description: meaning.replaceAll('`', '') })
  })

  it('stands in the changelog', () => {
    expect(readFileSync('CHANGELOG.md', 'utf8')).toContain(`\`${name}\``)
  })

  it('has an example', () => {
    const { routes } = JSON.parse(readFileSync('conf-examples/all-keys.json', 'utf8')) as { routes: object[] }
    expect(routes.some((one) => name in one)).toBe(true)
  })
})
