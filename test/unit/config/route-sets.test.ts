import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ConfiguredRoute, nameOf, parseConfig } from '../../../src/config/config.ts'
import { effectiveConfig } from '../../../src/config/overrides.ts'
import { type SetRead, setIn, UNKNOWN_SETS } from '../../../src/config/route-sets.ts'
import { type Family, parsePrefix } from '../../../src/net/address.ts'
import { DEFAULT_PRIORITY, placeOf } from '../../../src/net/route.ts'
import { refusal } from '../../support/refusal.ts'
import { setsOf } from '../../support/sets.ts'
import { stepsOf } from '../../support/steps.ts'

/** `10.50.0.0/16:1`: a prefix and its line. */
const held = (parsed: NonNullable<SetRead>) =>
  'prefixes' in parsed ? parsed.prefixes.map(({ dst, line }) => `${dst}:${line}`) : parsed
const read = (text: string) => held(setIn(text, 'FILE'))

describe('the file of a set', () => {
  it.each<[string, string, string[]]>([
    ['has one prefix a line', '10.50.0.0/16\n10.60.0.0/16\n', ['10.50.0.0/16:1', '10.60.0.0/16:2']],
    ['may have both families', '10.50.0.0/16\nfd00:10:50::/48\n', ['10.50.0.0/16:1', 'fd00:10:50::/48:2']],
    ['may be empty', '', []],
    ['may have comments only', '# nothing yet\n\n  # nothing\n', []],
    [
      'may have comments after prefixes',
      '10.50.0.0/16# a\n10.60.0.0/16 # b # c\n',
      ['10.50.0.0/16:1', '10.60.0.0/16:2'],
    ],
    ['may lack the last line end', '10.50.0.0/16', ['10.50.0.0/16:1']],
    ['may have blank lines and space', '\n  10.50.0.0/16\t\n\n \t10.60.0.0/16', ['10.50.0.0/16:2', '10.60.0.0/16:4']],
    ['may come from Windows', '\ufeff10.50.0.0/16\r\n# a\r\n10.60.0.0/16\r\n', ['10.50.0.0/16:1', '10.60.0.0/16:3']],
    ['may have a prefix twice', '10.50.0.0/16\n10.60.0.0/16\n10.50.0.0/16\n', ['10.50.0.0/16:1', '10.60.0.0/16:2']],
    ['may write a prefix otherwise', 'FD00:10:50:0::/48\nfd00:10:50::/48\n', ['fd00:10:50::/48:1']],
    ['may have a prefix inside another', '10.0.0.0/8\n10.50.0.0/16\n', ['10.0.0.0/8:1', '10.50.0.0/16:2']],
  ])('%s', (_, text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  it.each<[string, string[]]>([
    ['10.50.0.1/16', ['"10.50.0.1/16" has host bits set; write 10.50.0.0/16']],
    ['fd00:10:50::1/48', ['"fd00:10:50::1/48" has host bits set; write fd00:10:50::/48']],
    ['10.50.0.1', ['"10.50.0.1" has no prefix length; write 10.50.0.1/32 for this one host']],
    ['fd00::1', ['"fd00::1" has no prefix length; write fd00::1/128 for this one host']],
    ['0.0.0.0/0', ['0.0.0.0/0 is the default route, which no set can have; write the prefixes you need']],
    ['0::/0', ['::/0 is the default route, which no set can have; write the prefixes you need']],
    ...[
      'default',
      '10.50.0.0/33',
      '10.50.0.0/16 10.60.0.0/16',
      '10.50.0.0/16,',
      '- 10.50.0.0/16',
      '"10.50.0.0/16"',
      '// comment',
      '10.50.0.0/16 via 10.0.0.1',
      '10.50.0.0/16\u0000',
      '../../etc/passwd',
    ].map((line): [string, string[]] => [
      line,
      [`${JSON.stringify(line)} is not an IP prefix; write one such as 10.50.0.0/16 or fd00:10:50::/48`],
    ]),
  ])('cannot have %j', (line, problems) => {
    expect(read(`# sets\n${line} # why\n10.60.0.0/16\n`)).toEqual({ problems: problems.map((one) => `FILE:2: ${one}`) })
  })

  it.each([
    ['# the plant\r10.50.0.0/16\r', 1],
    ['10.50.0.0/16\n10.60.0.0/16\r10.70.0.0/16\n', 2],
    ['10.50.0.0/16\r\n# a\r\r\n', 2],
  ])('cannot have lines that end by a carriage return alone: %j', (text, line) => {
    const says = 'has a carriage return without a line feed; end lines with line feeds, or with both'
    expect(read(text)).toEqual({ problems: [`FILE:${line}: ${says}`] })
  })

  it('is told every mistake, up to 20', () => {
    const wrong = Array.from({ length: 30 }, (_, i) => `10.0.0.${i + 1}/24`)
    expect(read(wrong.join('\n'))).toEqual({
      problems: wrong.slice(0, 20).map((one, i) => `FILE:${i + 1}: "${one}" has host bits set; write 10.0.0.0/24`),
    })
  })

  it('may have 10,000 prefixes, and no more', () => {
    const many = Array.from({ length: 10_001 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)
    expect(read([...many.slice(1), ...many.slice(1)].join('\n'))).toHaveLength(10_000)
    expect(read(many.join('\n'))).toEqual({ problems: ['FILE: has 10001 prefixes; the limit is 10000'] })
  })

  it('may be one line of a megabyte, of which little is shown', () => {
    expect(read('1'.repeat(1024 * 1024))).toEqual({
      problems: [expect.stringMatching(/^FILE:1: "1{76}\.\.\. is not an IP prefix; write one such as [^ ]+ or [^ ]+$/)],
    })
    expect(read('#'.repeat(1024 * 1024))).toEqual([])
  })

  it('takes the prefixes that "dst" takes, with the same words for the others', () => {
    const part = fc.constantFrom('10.50.0.0', '10.50.0.1', 'fd00::', 'FD00::1', '::', '0.0.0.0', '300.1.1.1', 'x', '')
    const length = fc.constantFrom('/8', '/16', '/32', '/33', '/128', '/0', '/016', '/', '', '/-1')
    let taken = 0
    fc.assert(
      fc.property(part, length, (address, bits) => {
        const dst = `${address}${bits}`
        if (dst === '') return
        const said = `FILE:1: ${saidOf(dst)}`
        const parsed = setIn(dst, 'FILE')
        if ('prefixes' in parsed) taken += 1
        // In another table a default route may be written.
        if (/^(0\.0\.0\.0|::)\/0$/.test(dst)) expect(parsed).toEqual({ problems: [expect.stringMatching('default')] })
        else expect('prefixes' in parsed ? [] : parsed.problems).toEqual(said === 'FILE:1: ' ? [] : [said])
      }),
      { numRuns: 500 },
    )
    expect(taken).toBeGreaterThan(50)
  })

  it('gives back the prefixes that were written into it, however they are laid out', () => {
    const prefix = fc.oneof(
      fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 32 })),
      fc.tuple(fc.ipV6(), fc.integer({ min: 1, max: 128 })),
    )
    const network = prefix.map(([address, bits]) => parsePrefix(`${address}/${bits}`)?.network ?? '').filter(Boolean)
    const line = fc.oneof(
      { weight: 3, arbitrary: network.map((one) => ({ one })) },
      { weight: 1, arbitrary: fc.constant({ one: '' }) },
    )
    const layout = fc.record({
      before: fc.constantFrom('', ' ', '\t'),
      after: fc.constantFrom('', ' ', '# 10.0.0.0/8', ' # x', '\r'),
    })
    fc.assert(
      fc.property(fc.array(fc.tuple(line, layout)), fc.constantFrom('', '\n'), (lines, end) => {
        const text = lines.map(([{ one }, { before, after }]) => `${before}${one}${after}`).join('\n') + end
        const written = lines.map(([{ one }], i) => ({ one, at: i + 1 })).filter(({ one }) => one && !/\/0$/.test(one))
        const first = written.filter(({ one }, i) => written.findIndex((other) => other.one === one) === i)
        expect(read(text)).toEqual(first.map(({ one, at }) => `${one}:${at}`))
      }),
    )
  })
})

/** What is said of a destination that is written into a configuration. */
function saidOf(dst: string): string {
  try {
    parseConfig({ routes: [{ dst, table: 100 }] })
    return ''
  } catch (error) {
    return (error as Error).message.replace(/^routes\[0\]\.dst: /, '')
  }
}

const DIRECTORY = '/var/lib/x-calico-route/sets'
const SETS = {
  underlay: '# the data centre\n10.50.0.0/16\nfd00:10:50::/48\n',
  storage: '10.60.0.0/16\n10.50.0.0/16\n',
  six: 'fd00:60::/32\n',
  empty: '',
  bad: '10.50.0.1/16\n',
}
const effective = (routes: object[], more: object = {}, sets: Record<string, string> = SETS) =>
  effectiveConfig({ routes, ...more }, setsOf(sets)).routes
const refused = (routes: object[], more: object = {}, sets: Record<string, string> = SETS) =>
  refusal(() => effective(routes, more, sets))
const named = (routes: readonly ConfiguredRoute[]) => routes.map((route) => `${nameOf(route)} ${route.dst}`)

describe('an entry that names a set', () => {
  it('is a route to each prefix of it, with the other keys of the entry', () => {
    expect(effective([{ set: 'underlay', table: 100, mtu: 1400 }])).toEqual([
      {
        path: 'routes[0]',
        set: 'underlay',
        line: 2,
        family: 4,
        dst: '10.50.0.0/16',
        priority: 0,
        table: 100,
        attributes: { mtu: 1400 },
        onlink: false,
        given: { table: 100 },
      },
      {
        path: 'routes[0]',
        set: 'underlay',
        line: 3,
        family: 6,
        dst: 'fd00:10:50::/48',
        priority: 1024,
        table: 100,
        attributes: { mtu: 1400 },
        onlink: false,
        given: { table: 100 },
      },
    ])
  })

  it('stands where it is among the others', () => {
    expect(named(effective([{ dst: '10.70.0.0/16' }, { set: 'underlay' }, { dst: '10.80.0.0/16' }]))).toEqual([
      'routes[0] 10.70.0.0/16',
      'routes[1] (underlay:2) 10.50.0.0/16',
      'routes[1] (underlay:3) fd00:10:50::/48',
      'routes[2] 10.80.0.0/16',
    ])
  })

  it('is no route if the set is empty', () => {
    expect(effective([{ set: 'empty' }])).toEqual([])
  })

  it('yields to "dst" in the same place, wherever that stands', () => {
    expect(named(effective([{ set: 'underlay' }, { dst: '10.50.0.0/16', mtu: 1400 }]))).toEqual([
      'routes[0] (underlay:3) fd00:10:50::/48',
      'routes[1] 10.50.0.0/16',
    ])
    const elsewhere = [
      { dst: '10.50.0.0/16', priority: 5 },
      { dst: 'fd00:10:50::/48', table: 100 },
    ]
    expect(effective([{ set: 'underlay' }, ...elsewhere])).toHaveLength(4)
  })

  it('yields to an earlier set in the same place', () => {
    expect(named(effective([{ set: 'storage' }, { set: 'underlay', mtu: 1400 }]))).toEqual([
      'routes[0] (storage:1) 10.60.0.0/16',
      'routes[0] (storage:2) 10.50.0.0/16',
      'routes[1] (underlay:3) fd00:10:50::/48',
    ])
    expect(effective([{ set: 'storage' }, { set: 'underlay', priority: 7 }])).toHaveLength(4)
  })

  it('may name the set of another entry, in another table or with another metric', () => {
    expect(
      effective([{ set: 'underlay' }, { set: 'underlay', table: 100 }, { set: 'underlay', priority: 9 }]),
    ).toHaveLength(6)
  })

  it('reads the directory that the configuration names, and each set once', () => {
    const asked: string[] = []
    effectiveConfig(
      { setsDir: '/srv/sets', routes: [{ set: 'underlay' }, { set: 'underlay', table: 100 }, { set: 'six' }] },
      (directory, name) => {
        asked.push(`${directory}/${name}`)
        return setsOf(SETS)(directory, name)
      },
    )
    expect(asked).toEqual(['/srv/sets/underlay', '/srv/sets/six'])
  })

  it('may bring the routes to 10,000', () => {
    const many = Array.from({ length: 9_999 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24\n`).join('')
    expect(effective([{ dst: '10.0.0.0/8' }, { set: 'many' }, { set: 'empty' }], {}, { many, empty: '' })).toHaveLength(
      10_000,
    )
  })

  it('reads nothing if no entry names a set, or if the directory is wrong', () => {
    const never = () => {
      throw new Error('was asked')
    }
    expect(effectiveConfig({ routes: [{ dst: '10.50.0.0/16' }] }, never).routes).toHaveLength(1)
    expect(refusal(() => effectiveConfig({ setsDir: 'sets', routes: [{ set: 'underlay' }] }, never))).toEqual({
      code: 7,
      message: 'setsDir: must be an absolute path without ".." and without "/" at its end, is "sets"',
    })
  })

  it('makes no route where no sets are known', () => {
    const routes = [{ set: 'underlay' }, { dst: '10.50.0.0/16' }]
    expect(named(effectiveConfig({ routes }, UNKNOWN_SETS).routes)).toEqual(['routes[1] 10.50.0.0/16'])
  })

  it.each<[string, object[], object?]>([
    [
      'routes[0].set: "Under_lay" is not the name of a set; write at most 63 lower case letters, digits and hyphens, such as "underlay"',
      [{ set: 'Under_lay' }],
    ],
    ['routes[0].set: must be a string, is 5', [{ set: 5 }]],
    ['routes[0].set: cannot be combined with "dst"; remove one of them', [{ set: 'underlay', dst: '10.70.0.0/16' }]],
    ['routes[0].dst: missing; write "dst" or "set"', [{ gw: '10.0.0.1' }]],
    [
      `routes[0].set: ${DIRECTORY}/bad:1: "10.50.0.1/16" has host bits set; write 10.50.0.0/16`,
      [{ set: 'bad' }, { set: 'bad', table: 100 }],
    ],
    [
      `routes[0].gw: 10.0.0.1 is an IPv4 address, but fd00:10:50::/48 (${DIRECTORY}/underlay:3) is IPv6; remove "gw", or name a set that has only IPv4 prefixes`,
      [{ set: 'underlay', gw: '10.0.0.1' }],
    ],
    [
      `routes[0].src: fd00::1 is an IPv6 address, but 10.60.0.0/16 (${DIRECTORY}/storage:1) is IPv4; remove "src", or name a set that has only IPv6 prefixes`,
      [{ set: 'storage', src: 'fd00::1' }],
    ],
    [
      `routes[0].mtu: must be at least 1280 for IPv6, such as fd00:60::/32 (${DIRECTORY}/six:1), is 1000`,
      [{ set: 'six', mtu: 1000 }],
    ],
    ['routes[0].onlink: needs a gateway; add "gw" or remove "onlink"', [{ set: 'underlay', onlink: true }]],
    [
      'routes[0].scope: a route through gateway 10.0.0.1 cannot have scope link; leave out "gw" or "scope"',
      [{ set: 'storage', gw: '10.0.0.1', scope: 'link' }],
    ],
    ['routes[0].onlink: needs a gateway; add "gw" or remove "onlink"', [{ set: 'empty', onlink: true }]],
    [
      'routes[1]: set underlay is already in routes[0] with the same table and priority; remove one, or write another "priority"',
      [{ set: 'underlay' }, { set: 'underlay', table: 254, priority: 0, mtu: 1400 }],
    ],
    [
      'routes[1].set: brings the routes to 10002; the limit is 10000',
      [{ dst: '10.0.0.0/8' }, { set: 'many' }, { dst: '11.0.0.0/8' }, { set: 'storage' }],
    ],
    [
      'setsDir: must be an absolute path without ".." and without "/" at its end, is "/a/../b"',
      [],
      { setsDir: '/a/../b' },
    ],
  ])('%s', (message, routes, more) => {
    const many = Array.from({ length: 10_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24\n`).join('')
    expect(refused(routes, more, { ...SETS, many })).toEqual({ code: 7, message })
  })

  it('is told of each mistake, its own and that of its set', () => {
    const { code, message, details } = refused([{ set: 'bad', mtu: 5 }, { dst: 'x' }], { dryRun: 1 })
    expect({
      code,
      problems: [message, ...(details?.split('; ') ?? [])].filter((one) => /^\w\S*: /.test(one)),
    }).toEqual({
      code: 7,
      problems: [
        'routes[0].mtu: must be an integer from 68 to 65520, is 5',
        'routes[1].dst: "x" is not an IP prefix',
        `routes[0].set: ${DIRECTORY}/bad:1: "10.50.0.1/16" has host bits set`,
        'dryRun: must be a boolean, is 1',
      ].map((one) => expect.stringContaining(one)),
    })
  })

  it('whose set is not there yet asks to try again, by code 11', () => {
    expect(refused([{ set: 'new' }, { set: 'underlay' }, { set: 'newer' }, { set: 'new', table: 100 }])).toEqual({
      code: 11,
      message: `routes[0].set: ${DIRECTORY}/new: does not exist yet`,
      details: `routes[2].set: ${DIRECTORY}/newer: does not exist yet`,
    })
  })

  it('does not ask for that if something else is wrong', () => {
    expect(refused([{ set: 'new' }, { set: 'bad' }])).toEqual({
      code: 7,
      message: `routes[1].set: ${DIRECTORY}/bad:1: "10.50.0.1/16" has host bits set; write 10.50.0.0/16`,
      details: `routes[0].set: ${DIRECTORY}/new: does not exist yet`,
    })
    expect(refused([{ set: 'new' }], { kubevirt: 5 }).code).toBe(7)
  })

  it('is as good as its prefixes written one by one, less those whose place is taken', () => {
    const dsts = ['10.1.0.0/16', '10.2.0.0/16', 'fd00:1::/32', 'fd00:2::/32', '10.0.0.0/8']
    const keys = fc.record(
      { priority: fc.constantFrom(0, 1024, 5), table: fc.constantFrom(254, 100), mtu: fc.constantFrom(1400, 1500) },
      { requiredKeys: [] },
    )
    const entry = fc.oneof(
      fc.tuple(fc.constantFrom(...dsts), keys).map(([dst, more]) => ({ dst, ...more })),
      fc.tuple(fc.constantFrom('a', 'b'), keys).map(([set, more]) => ({ set, ...more })),
    )
    const set = fc.uniqueArray(fc.constantFrom(...dsts))
    let compared = 0
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), set, set, (entries, a, b) => {
        const sets: Record<string, string[]> = { a, b }
        const texts = { a: a.join('\n'), b: b.join('\n') }
        // What contradicts itself has its own tests.
        let made: readonly ConfiguredRoute[]
        try {
          made = effective(entries, {}, texts)
        } catch {
          return
        }
        compared += 1
        const flat = entries.flatMap((one, index) =>
          ('set' in one ? (sets[one.set] ?? []) : [one.dst]).map((dst) => {
            const { set: _, ...rest } = { set: undefined, ...one }
            return { index, explicit: 'dst' in one, written: { ...rest, dst } }
          }),
        )
        const place = ({ written }: (typeof flat)[number]) => {
          const { dst, table = 254, priority } = written as { dst: string; table?: number; priority?: number }
          const family: Family = dst.includes(':') ? 6 : 4
          return placeOf({ dst, table, priority: priority || DEFAULT_PRIORITY[family] })
        }
        const ranked = [...flat.filter(({ explicit }) => explicit), ...flat.filter(({ explicit }) => !explicit)]
        const firsts = new Set(
          ranked.filter((one, i) => ranked.findIndex((other) => place(other) === place(one)) === i),
        )
        const expected = flat.filter((one) => firsts.has(one))
        const byHand = parseConfig({ routes: expected.map(({ written }) => written) }).routes
        expect(made.map(({ set: _, line: __, path: ___, ...rest }) => rest)).toEqual(
          byHand.map(({ path: _, ...rest }) => rest),
        )
        expect(made.map(({ path }) => path)).toEqual(expected.map(({ index }) => `routes[${index}]`))
      }),
      { numRuns: 1_000 },
    )
    expect(compared).toBeGreaterThan(300)
  })
})

describe('what a set costs', () => {
  const lines = (count: number) =>
    Array.from({ length: count }, (_, i) => `10.${100 + Math.trunc(i / 100)}.${100 + (i % 100)}.0/24`).join('\n')
  const entries = (count: number, keys: object) =>
    Array.from({ length: count }, (_, i) => ({ priority: i + 1, ...keys }))

  it.each<[string, (count: number) => unknown]>([
    ['many prefixes', (count) => effective([{ set: 'a' }], {}, { a: lines(count) })],
    [
      'many prefixes in two sets',
      (count) => effective([{ set: 'a' }, { set: 'b' }], {}, { a: lines(count), b: lines(count) }),
    ],
    ['many comments and blank lines', (count) => setIn('#\n\n'.repeat(count), 'FILE')],
    ['many entries with one set', (count) => effective(entries(count, { set: 'underlay' }))],
    ['many entries with one set in one place', (count) => refused(entries(count, { set: 'underlay', priority: 0 }))],
    ['many entries with one set that is wrong', (count) => refused(entries(count, { set: 'bad' }))],
    ['many entries with one set that is missing', (count) => refused(entries(count, { set: 'new' }))],
    [
      'many prefixes of a pod within one of many',
      (count) => {
        const within = Array.from({ length: count - 1 }, (_, i) => `172.${16 + (i >> 8)}.${i & 255}.0/24`)
        const overrides = { allow: ['routes'], within: [...within, '10.0.0.0/8'] }
        return effective([], { overrides, args: { cni: { routes: [{ set: 'a' }] } } }, { a: lines(count) })
      },
    ],
  ])('is no more for each: %s', async (_, work) => {
    const [few, many] = [250, 1_000]
    work(40) // what is made at the first use
    const narrow = await stepsOf(() => work(few))
    expect(narrow).toBeGreaterThan(few)
    expect((await stepsOf(() => work(many))) / narrow).toBeLessThan((1.15 * many) / few)
  })

  it.each<[string, () => unknown, number]>([
    [
      '10,000 entries with one set of 10,000 in one place',
      () => refused(entries(10_000, { set: 'a', priority: 0 }), {}, { a: lines(10_000) }),
      20_000,
    ],
    ['20 wrong lines of a million', () => setIn('x\n'.repeat(500_000), 'FILE'), 20],
    [
      '10,000 routes of those that 10,000 entries with a set of 10,000 would make',
      () => {
        return refused(entries(10_000, { set: 'a' }), {}, { a: lines(10_000) })
      },
      20_000,
    ],
  ])('is bounded: %s', async (_, work, looked) => {
    work()
    const steps = await stepsOf(work)
    expect(steps).toBeGreaterThan(looked)
    expect(steps).toBeLessThan(looked * 500)
  })
})
