import { readFileSync, writeFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonSchema } from '../../../src/cli/schema.ts'
import { gatewayTable, keysTable, routeTable, sourceRoutingTable } from '../../../src/cli/validate/keys.ts'
import { readConfig } from '../../../src/config/config.ts'
import { OF_ROUTE_OVERRIDE, OUR_KEYS } from '../../../src/config/misnamed-keys.ts'
import { parsePrefix } from '../../../src/net/address.ts'
import { EXAMPLES as EXAMPLES_OF_ATTRIBUTES } from '../../support/attributes.ts'
import { configurations, EXAMPLES } from '../../support/examples.ts'

/** With UPDATE_DOCS=1 these tests write the tables that docs/configuration.md shows. */
const PAGE = new URL('../../../docs/configuration.md', import.meta.url)
const blockOf = (name: string) => new RegExp(`(?<=<!-- ${name}:begin -->\\n).*?(?=<!-- ${name}:end -->)`, 's')

describe.each([
  ['keys', keysTable],
  ['route-keys', routeTable],
  ['gateway-keys', gatewayTable],
  ['source-routing-keys', sourceRoutingTable],
])('the table of %s in docs/configuration.md', (name, make) => {
  it('is the one made of what the source says of each key', () => {
    const block = blockOf(name)
    if (process.env.UPDATE_DOCS) writeFileSync(PAGE, readFileSync(PAGE, 'utf8').replace(block, make))
    const shown = block.exec(readFileSync(PAGE, 'utf8'))?.[0]
    expect(shown, 'to write it, run UPDATE_DOCS=1 npm test -- unit/cli/schema').toBe(make())
  })
})

/** The rules of validate that a schema cannot say, since they are about several keys, or several routes. */
const SEVERAL_KEYS: readonly { rule: string; says: RegExp; conf: Record<string, unknown> }[] = [
  {
    rule: 'gw is of the family of dst',
    says: /\.gw: .* is an IPv[46] address, but /,
    conf: { routes: [{ dst: '10.50.0.0/16', gw: 'fe80::1' }] },
  },
  {
    rule: 'src is of the family of dst',
    says: /\.src: .* is an IPv[46] address, but /,
    conf: { routes: [{ dst: 'fd00::/48', src: '10.0.0.1' }] },
  },
  {
    rule: 'a route through a gateway has no scope link',
    says: /\.scope: a route through gateway /,
    conf: { routes: [{ dst: '10.50.0.0/16', gw: '10.0.0.1', scope: 253 }] },
  },
  {
    rule: 'onlink needs a gw',
    says: /\.onlink: needs a gateway/,
    conf: { routes: [{ dst: '10.50.0.0/16', onlink: true }] },
  },
  {
    rule: 'an IPv6 route has an mtu of 1280 or more',
    says: /\.mtu: must be at least 1280 for IPv6/,
    conf: { routes: [{ dst: 'fd00::/48', mtu: 1279 }] },
  },
  {
    rule: 'a default route has a table of its own',
    says: /\.dst: .* is the default route/,
    conf: { routes: [{ dst: '::/0' }] },
  },
  {
    rule: 'no two routes have one place',
    says: /with the same table and priority/,
    conf: { routes: [{ dst: '10.50.0.0/16' }, { dst: '10.50.0.0/16' }] },
  },
  {
    rule: 'no two entries with one set have one table and metric',
    says: /with the same table and priority/,
    conf: { routes: [{ set: 'underlay' }, { set: 'underlay' }] },
  },
]

describe('the JSON Schema', () => {
  const bySchema = new Ajv2020({ strict: false }).compile({ ...jsonSchema(), required: [] })
  const byPlugin = (conf: object) => 'config' in readConfig({ ...conf })

  it('describes every key', () => {
    const keys: unknown[] = []
    JSON.stringify(jsonSchema(), (name, value) => {
      // What goes together is no key of its own.
      if (name === 'oneOf') return undefined
      if (value?.properties) keys.push(...Object.entries(value.properties))
      return value
    })
    const bare = (keys as [string, { description?: string }][]).filter(
      ([key, one]) => key !== 'type' && !one.description,
    )
    expect(keys.length).toBeGreaterThan(25)
    expect(bare).toEqual([])
  })

  it.each(EXAMPLES.filter((file) => configurations(file).length > 0))('takes what is in %s', (file) => {
    for (const conf of configurations(file)) expect(bySchema(conf), JSON.stringify(conf)).toBe(true)
  })

  it.each<[string, object]>([
    ['an unknown word', { defaultRoute: 'delete' }],
    ['a misspelt key of a route', { routes: [{ dst: '10.50.0.0/16', gateway: '169.254.1.1' }] }],
    ['a route without destination', { routes: [{ gw: '169.254.1.1' }] }],
    ['a destination without length', { routes: [{ dst: '10.50.0.0' }] }],
    ['a destination that is longer than an address', { routes: [{ dst: '10.50.0.0/33' }] }],
    ['a leading zero', { routes: [{ dst: '010.50.0.0/16' }] }],
    ['a fraction', { routes: [{ dst: '10.50.0.0/16', priority: 1.5 }] }],
    ['a metric out of range', { routes: [{ dst: '10.50.0.0/16', priority: 4294967296 }] }],
    ["the kernel's own table", { routes: [{ dst: '10.50.0.0/16', table: 255 }] }],
    ['an MTU as text', { routes: [{ dst: '10.50.0.0/16', mtu: '1400' }] }],
    ['a scope nobody knows', { routes: [{ dst: '10.50.0.0/16', scope: 'near' }] }],
    ['an interface name with a slash', { routes: [{ dst: '10.50.0.0/16', dev: 'a/b' }] }],
    ['an interface name that is too long', { routes: [{ dst: '10.50.0.0/16', dev: 'abcdefghijklmnop' }] }],
    ['a gateway that is no address', { ovnGateway: 'gateway' }],
    ['a misspelt key of the gateway', { ovnGateway: { ip4: '10.0.1.1' } }],
    ['an override of what no pod may choose', { overrides: { allow: ['logFile'] } }],
    ['a log level nobody knows', { logLevel: 'verbose' }],
    ['a route with both a destination and a set', { routes: [{ dst: '10.50.0.0/16', set: 'underlay' }] }],
    ['a route to a set that is null', { routes: [{ set: null }] }],
    ['a set whose name is a path', { routes: [{ set: '../underlay' }] }],
    ['a set whose name is no label', { routes: [{ set: 'Under_lay' }] }],
    ['a directory of sets that is elsewhere', { setsDir: 'sets' }],
    ['a directory of sets above', { setsDir: '/var/lib/../sets' }],
    ['a log file that is elsewhere', { logFile: 'var/log/x.log' }],
    ['a log file above', { logFile: '/var/log/../x.log' }],
    ['a word for a switch', { kubevirt: 'yes' }],
    ['host bits', { routes: [{ dst: '10.50.0.1/16' }] }],
    ['IPv6 host bits', { routes: [{ dst: 'fd00:10:50::1/48' }] }],
    ['host bits in an override', { overrides: { within: ['10.50.0.1/16'] } }],
    ['a gateway of another family', { ovnGateway: { ipv6: '10.0.0.1' } }],
    ['a multicast gateway', { ovnGateway: 'ff02::1' }],
    ['a gateway of zeros', { routes: [{ dst: '10.50.0.0/16', gw: '0.0.0.0' }] }],
    ['a key of route-override', { flushgateway: true }],
    ['a key in other letters', { default_route: 'keep' }],
    ['a route that is null', { routes: [null] }],
  ])('refuses %s, as the plugin does', (_, conf) => {
    expect({ bySchema: bySchema(conf), byPlugin: byPlugin(conf) }).toEqual({ bySchema: false, byPlugin: false })
  })

  it.each([
    ['priority', 0, 4294967295],
    ['table', 0, 254],
    ['table', 256, 4294967295],
    ['scope', 0, 255],
    ...EXAMPLES_OF_ATTRIBUTES.flatMap(({ name, attribute }): [string, number, number][] =>
      attribute.is === 'integer' ? [[name, attribute.min, attribute.max]] : [],
    ),
  ])('takes %s from %i to %i, as the plugin does', (key, least, most) => {
    const conf = (value: number) => ({ routes: [{ dst: '10.50.0.0/16', [key]: value }] })
    for (const value of [least - 1, least, most, most + 1, least + 0.5]) {
      expect([value, bySchema(conf(value))]).toEqual([value, byPlugin(conf(value))])
    }
    expect(bySchema(conf(least)) && bySchema(conf(most))).toBe(true)
  })

  it('is valid in itself, strictly read, but for unions of types, which null makes of every key', () => {
    expect(() => new Ajv2020({ strict: true, allowUnionTypes: true }).compile(jsonSchema())).not.toThrow()
  })

  it('needs the type, which says that an entry is ours', () => {
    const whole = new Ajv2020({ strict: false }).compile(jsonSchema())
    expect([whole({ type: 'x-calico-route' }), whole({}), whole({ type: 'calico' })]).toEqual([true, false, false])
  })

  describe('says of every value what the plugin says:', () => {
    const agree = <T>(arbitrary: fc.Arbitrary<T>, conf: (value: T) => object, numRuns: number) => {
      const seen = { true: 0, false: 0 }
      fc.assert(
        fc.property(arbitrary, (value) => {
          const taken = byPlugin(conf(value))
          seen[`${taken}`] += 1
          expect(bySchema(conf(value)), JSON.stringify(conf(value))).toBe(taken)
        }),
        { numRuns },
      )
      return seen
    }
    const word6 = fc.oneof(
      fc.constantFrom('0', '0000', '1', '8000', 'FFFF', 'ff02', 'fe80', '4000', 'c000'),
      fc.nat(0xffff).map((word) => word.toString(16)),
    )
    /** In all the ways an address can be written, and some in which it cannot. */
    const ipv6 = fc
      .tuple(fc.array(word6, { minLength: 6, maxLength: 9 }), fc.nat(9), fc.nat(9))
      .map(([words, at, length]) =>
        length === 0 ? words.join(':') : `${words.slice(0, at).join(':')}::${words.slice(at + length).join(':')}`,
      )
    const address = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      ipv6,
      fc.constantFrom(
        'auto',
        '',
        '1.2.3',
        '01.2.3.4',
        '1.2.3.4.5',
        '1.2.3.256',
        '::',
        '::1',
        '0::',
        '::0',
        ':::',
        ':',
        '1::2::3',
      ),
      fc.constantFrom('0.0.0.0', '127.0.0.1', '224.0.0.9', '239.1.1.1', '240.0.0.1', '255.255.255.255', '0.0.0.1'),
      fc.constantFrom(
        '0:0:0:0:0:0:0:0',
        '0:0:0:0:0:0:0:1',
        '::0001',
        '::01:0',
        'ff02::1',
        'FFff::',
        'ff::',
        'fe80::1%eth0',
      ),
      fc.constantFrom(
        '::ffff:10.0.0.1',
        '1:2:3:4:5:6:7::',
        '::2:3:4:5:6:7:8',
        '1:2:3:4:5:6:7:8::',
        '10.0.0.1 ',
        ' ::1',
        '::1\n',
      ),
    )

    it('a prefix, in whatever way it is written', () => {
      // Where host bits begin decides: the length of an address's own zeros, and one less.
      const length = fc.oneof(
        fc.nat(129),
        fc.constantFrom(0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 127, 128, 129),
      )
      const text = fc
        .tuple(address, length)
        .chain(([written, bits]) =>
          fc.constantFrom(
            `${written}/${bits}`,
            parsePrefix(`${written}/${bits}`)?.network ?? written,
            written,
            `${written}/0${bits}`,
          ),
        )
      const seen = agree(text, (dst) => ({ overrides: { within: [dst] } }), 4_000)
      expect(Math.min(seen.true, seen.false)).toBeGreaterThan(500)
    })

    it('a prefix of every length, at the last bit that counts, and one bit further', () => {
      for (const [bits, all] of [
        [4, 32],
        [6, 128],
      ] as const) {
        for (let length = 1; length <= all; length += 1) {
          const last = withBit(bits, length - 1)
          const further = length < all ? [withBit(bits, length)] : []
          for (const written of [...last, ...further.flat()]) {
            const conf = { overrides: { within: [`${written}/${length}`] } }
            expect([written, length, bySchema(conf)]).toEqual([written, length, byPlugin(conf)])
          }
          expect(last.every((written) => bySchema({ overrides: { within: [`${written}/${length}`] } }))).toBe(true)
        }
      }
    })

    it.each(['ovnGateway', 'ipv4', 'ipv6'])('the address of a gateway, as %s', (key) => {
      const seen = agree(address, (gw) => ({ ovnGateway: key === 'ovnGateway' ? gw : { [key]: gw } }), 1_500)
      expect(Math.min(seen.true, seen.false)).toBeGreaterThan(100)
    })

    // Of an address only the route's own family is between two keys, so the route is of that family here.
    it.each(['gw', 'src'])('the address that is %s of a route', (key) => {
      const dst = (value: string) => (value.includes(':') ? '2001:db8::/32' : '10.0.0.0/8')
      const seen = agree(address, (value) => ({ routes: [{ dst: dst(value), [key]: value }] }), 1_500)
      expect(Math.min(seen.true, seen.false)).toBeGreaterThan(100)
    })

    it('the name of an interface', () => {
      const ascii = fc.string({ maxLength: 17, unit: 'grapheme-ascii' })
      agree(
        fc.oneof(ascii, fc.constantFrom('.', '..', '...', 'eth0.1', 'a\u00a0b', '\u2028')),
        (dev) => ({ ovnGateway: { dev } }),
        1_000,
      )
    })

    it.each(['logFile', 'setsDir'])('the path that is %s', (key) => {
      const part = fc.constantFrom('a', '..', '.', '', '...', '..a', 'a..', '\n', 'x'.repeat(3000))
      const path = fc
        .tuple(fc.constantFrom('', '/'), fc.array(part, { maxLength: 5 }))
        .map(([root, parts]) => root + parts.join('/'))
      const seen = agree(path, (value) => ({ [key]: value }), 1_000)
      expect(Math.min(seen.true, seen.false)).toBeGreaterThan(50)
    })

    it('a key that is one of ours in other letters', () => {
      const letters = (key: string) =>
        fc
          .array(fc.boolean(), { minLength: key.length, maxLength: key.length })
          .map((upper) => [...key].map((one, i) => (upper[i] ? one.toUpperCase() : one.toLowerCase())).join(''))
      const key = fc.constantFrom(...OUR_KEYS, ...OF_ROUTE_OVERRIDE.keys(), 'default_route', 'log-file').chain(letters)
      agree(key, (one) => ({ [one]: null }), 2_000)
      agree(fc.constantFrom('mtu', 'cniVersion', 'notes', 'cni.dev/x', ''), (one) => ({ [one]: null }), 50)
    })

    it('and of everything together', () => {
      const mostly = (right: unknown[], wrong: unknown[]) =>
        fc.oneof(
          { weight: 20, arbitrary: fc.constantFrom(...right) },
          { weight: 1, arbitrary: fc.constantFrom(...wrong) },
        )
      const some = (keys: Record<string, fc.Arbitrary<unknown>>) => fc.record(keys, { requiredKeys: [] })
      const whole = (right: fc.Arbitrary<unknown>, ...wrong: unknown[]) =>
        fc.oneof({ weight: 10, arbitrary: right }, { weight: 1, arbitrary: fc.constantFrom(...wrong) })
      const flag = mostly([true, false, null], ['true', 0])
      const name = mostly(['eth0', 'a'.repeat(15), null], ['.', 'a#b', 5, 'a'.repeat(16)])
      const dst = mostly(
        ['10.50.0.0/16', '10.60.0.0/16', 'fd00::/48', '::/0'],
        ['10.50.0.1/16', '10.0.0.0/08', null, 5],
      )
      const set = mostly(['underlay', 'a'.repeat(63)], ['a'.repeat(64), 'a.b', '-a', 'Aa', '', 'a/b', null, 5])
      const gw = mostly(['10.0.0.1', 'fe80::1', null], ['0.0.0.0', '10.0.0.1/24', '::1', 5])
      const UINT32 = [-1, 2 ** 32, 0.5, '7']
      const destination = fc.oneof(
        { weight: 9, arbitrary: fc.record({ dst }) },
        { weight: 9, arbitrary: fc.record({ set }) },
        { weight: 1, arbitrary: fc.record({ dst, set }) },
        { weight: 1, arbitrary: fc.constant({}) },
      )
      const keys = some({
        gw,
        src: gw,
        dev: name,
        onlink: flag,
        priority: mostly([0, 1, 2 ** 32 - 1, null], UINT32),
        table: mostly([0, 254, 256, 2 ** 32 - 1, null], [255, ...UINT32]),
        scope: mostly([0, 253, 255, 'universe', 'link', null], [256, -1, 'near', true]),
        ...Object.fromEntries(
          EXAMPLES_OF_ATTRIBUTES.map(({ name, values, wrong }) => [name, mostly([...values, null], [...wrong])]),
        ),
        mtu: mostly([68, 1280, 65520, null], [67, 65521, '1500', 0.5]),
        ...{ via: mostly([undefined], [gw]), metric: mostly([undefined], [null]) },
      })
      const route = fc.tuple(destination, keys).map(([one, others]) => ({ ...one, ...others }))
      const disposition = mostly(['remove', 'demote', 'keep', null], ['no', 5])
      const auto = mostly(['auto', null], ['0.0.0.0', 'x', 5])
      const conf = some({
        defaultRoute: fc.oneof(
          disposition,
          some({ ipv4: disposition, ipv6: disposition, ipv5: mostly([undefined], [null]) }),
        ),
        routes: whole(fc.array(route, { maxLength: 2 }), null, {}, 'x', [null], ['x'], [{}]),
        ovnGateway: whole(
          fc.oneof(
            auto,
            some({ ipv4: auto, ipv6: auto, dev: name, priority: mostly([0, null], UINT32), onlink: flag }),
          ),
          [],
          5,
        ),
        overrides: whole(
          some({
            allow: mostly([[], ['routes'], null], [['logFile'], [null], 'routes']),
            within: whole(fc.array(dst), null, 'x'),
          }),
          null,
          [],
          'x',
        ),
        setsDir: mostly(['/a', '/a/', '/', null], ['/a/..', 'a', '', 5]),
        logFile: mostly(['/a', null], ['/a/', 'a', 5]),
        logLevel: mostly(['debug', null], ['loud', 5]),
        kubevirt: flag,
        dryRun: flag,
        mtu: fc.constant(1),
      }).map((one) => JSON.parse(JSON.stringify(one)) as Record<string, unknown>)
      let taken = 0
      fc.assert(
        fc.property(conf, (one) => {
          const read = readConfig(one)
          const problems = 'problems' in read ? read.problems : []
          if (problems.length === 0) taken += 1
          // What several keys say together is told by the plugin alone.
          const bySeveral = (problem: string) => SEVERAL_KEYS.some(({ says }) => says.test(problem))
          expect(bySchema(one), JSON.stringify({ one, problems })).toBe(problems.every(bySeveral))
        }),
        { numRuns: 1_500 },
      )
      expect(taken).toBeGreaterThan(100)
    })
  })

  it.each(SEVERAL_KEYS)('cannot say: $rule', ({ conf, says }) => {
    const read = readConfig(conf)
    expect({ bySchema: bySchema(conf), problems: 'problems' in read ? read.problems : [] }).toEqual({
      bySchema: true,
      problems: [expect.stringMatching(says)],
    })
  })

  it('cannot count bytes: an interface name of 15 letters that are more', () => {
    const conf = { ovnGateway: { dev: 'é'.repeat(8) } }
    expect({ bySchema: bySchema(conf), byPlugin: byPlugin(conf) }).toEqual({ bySchema: true, byPlugin: false })
  })

  it('cannot guess: a key that merely resembles one of ours', () => {
    const conf = { defautRoute: 'keep' }
    expect({ bySchema: bySchema(conf), byPlugin: byPlugin(conf) }).toEqual({ bySchema: true, byPlugin: false })
  })
})

/** Two ways to write the address that has one bit, counted from 0. */
function withBit(family: 4 | 6, bit: number): string[] {
  const size = family === 4 ? 8 : 16
  const parts = Array.from({ length: 8 }, (_, i) => (Math.floor(bit / size) === i ? 2 ** (size - 1 - (bit % size)) : 0))
  if (family === 4) return [parts.slice(0, 4).join('.')]
  const whole = parts.map((part) => part.toString(16)).join(':')
  return [whole, parsePrefix(`${whole}/128`)?.address ?? '']
}
