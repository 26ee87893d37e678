import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { isCopy, type Named, planSets, type SetFile, type SetRules } from '../../../../src/cli/agent/plan-sets.ts'
import { stepsOf } from '../../../support/steps.ts'

const RULES: SetRules = { from: '/sets', to: '/node/sets', allowShrink: false }
const NOBODY: Named = new Map()

const file = (name: string, ...lines: string[]): SetFile => ({ name, read: { text: lines.join('\n') } })
/** As the agent leaves it on the node. */
const copyOf = (text: string) =>
  `# Made by x-calico-route agent of /sets/underlay. Edit that (in Kubernetes: the ConfigMap mounted there), not this copy. sha256:${createHash('sha256').update(text).digest('hex').slice(0, 16)}\n${text}`
const copy = (...lines: string[]) => file('underlay', copyOf(lines.join('\n')))
/** As somebody on the node has edited it since then. */
const edited = (...lines: string[]) =>
  file('underlay', copyOf('10.50.0.0/16').replace('10.50.0.0/16', lines.join('\n')))

const TEN = Array.from({ length: 10 }, (_, i) => `10.50.${i}.0/24`)

/** What becomes of one set. */
function one(from: SetFile | undefined, to: SetFile | undefined, rules: Partial<SetRules> = {}, named = NOBODY) {
  const plans = planSets(from ? [from] : [], to ? [to] : [], { ...RULES, ...rules }, named)
  expect(plans.length).toBeLessThanOrEqual(1)
  return plans[0]
}

describe('a set', () => {
  test('that the node does not have is copied, under a line that says whose it is and where to edit it', () => {
    const text = copyOf('10.50.0.0/16 # the plant\nfd00::/48\n')
    expect(one(file('underlay', '10.50.0.0/16 # the plant', 'fd00::/48', ''), undefined)).toEqual({
      name: 'underlay',
      isSet: true,
      act: { write: text },
      prefixes: 2,
    })
    expect(isCopy(text)).toBe(true)
  })

  test('that is empty from the beginning is an empty set', () => {
    expect(one(file('underlay', '# nothing yet'), undefined)).toMatchObject({
      act: { write: copyOf('# nothing yet') },
      prefixes: 0,
    })
  })

  test('that the node has is left alone, and written anew if one byte differs', () => {
    expect(one(file('underlay', '10.50.0.0/16'), copy('10.50.0.0/16'))).toEqual({
      name: 'underlay',
      isSet: true,
      act: 'nothing',
      prefixes: 1,
    })
    expect(one(file('underlay', '10.50.0.0/16', ''), copy('10.50.0.0/16'))).toMatchObject({
      act: { write: expect.any(String) },
    })
  })

  test('that somebody has edited or cut on the node is put back', () => {
    for (const there of [
      edited('10.66.0.0/16'),
      edited('10.50.0.0/1'),
      edited(),
      edited(...TEN, ...TEN.map((one) => one.replace('50', '66'))),
    ])
      expect(one(file('underlay', '10.50.0.0/16'), there)).toMatchObject({
        act: { write: copyOf('10.50.0.0/16') },
        prefixes: 1,
      })
  })

  test.each<[string, SetFile['read']]>([
    ['by hand', { text: '10.1.0.0/16' }],
    ['of no bytes', { text: '' }],
    ['that cannot be read', { unreadable: 'is a directory' }],
  ])('does not replace a file %s, in whose place it would come', (_, read) => {
    const plan = one(file('underlay', '10.50.0.0/16'), { name: 'underlay', read })
    expect(plan).toMatchObject({ act: 'nothing' })
    expect(plan?.problem).toMatch(
      /^\/node\/sets\/underlay: was not made by the agent, so it is not replaced; remove it, or the set of that name; /,
    )
  })

  test.each<[string, readonly string[], string]>([
    ['host bits', ['10.50.1.1/16'], '/sets/underlay:1: "10.50.1.1/16" has host bits set; write 10.50.0.0/16'],
    [
      'a default route',
      ['10.50.0.0/16', '::/0'],
      '/sets/underlay:2: ::/0 is the default route, which no set can have; write the prefixes you need',
    ],
    [
      'a word',
      ['underlay'],
      '/sets/underlay:1: "underlay" is not an IP prefix; write one such as 10.50.0.0/16 or fd00:10:50::/48',
    ],
  ])('with %s is not copied', (_, lines, problem) => {
    expect(one(file('underlay', ...lines), undefined)).toEqual({
      name: 'underlay',
      isSet: true,
      act: 'nothing',
      problem: `${problem}; the node has no version of it`,
    })
    expect(one(file('underlay', ...lines), copy(...TEN))).toEqual({
      name: 'underlay',
      isSet: true,
      act: 'nothing',
      prefixes: 10,
      problem: `${problem}; the last good version stays`,
    })
  })

  test('of which many lines are wrong is told with the first of them', () => {
    const plan = one(file('underlay', ...Array.from({ length: 500 }, () => 'x')), undefined)
    expect(plan?.problem).toMatch(
      /^\/sets\/underlay:1: .*; \/sets\/underlay:3: .*; and \d+ more; the node has no version of it$/,
    )
  })

  test('that cannot be read keeps what the node has', () => {
    const from: SetFile = { name: 'underlay', read: { unreadable: 'longer than 1 MiB' } }
    expect(one(from, copy(...TEN))).toMatchObject({
      act: 'nothing',
      prefixes: 10,
      problem: '/sets/underlay: longer than 1 MiB; the last good version stays',
    })
  })

  test('whose copy would be longer than ADD reads is not copied', () => {
    const comment = `#${'x'.repeat(1024 * 1024 - 20_000)}`
    expect(one(file('underlay', comment), undefined)).toMatchObject({ act: { write: expect.any(String) } })
    expect(one(file('underlay', comment, comment.slice(0, 10_000)), undefined)).toMatchObject({
      act: 'nothing',
      problem: '/sets/underlay: longer than 1032192 bytes; the node has no version of it',
    })
  })
})

describe('what a set may hold', () => {
  const within = ['10.50.0.0/16', 'fd00:10:50::/48']

  test('within --sets-within is what lies in one of its prefixes, in both families', () => {
    expect(
      one(file('underlay', '10.50.0.0/16', '10.50.3.0/24', 'fd00:10:50:7::/64'), undefined, { within }),
    ).toMatchObject({ prefixes: 3 })
  })

  test.each(['10.0.0.0/8', '10.51.0.0/16', 'fd00:10::/32', 'fd00:10:51::/48'])(
    'within --sets-within is not %s',
    (prefix) => {
      expect(one(file('underlay', '10.50.0.0/16', prefix), undefined, { within })).toMatchObject({
        act: 'nothing',
        problem: `/sets/underlay:2: ${prefix} is outside --sets-within; the node has no version of it`,
      })
    },
  )

  test('--sets-within counts for what the node has already, too: told, and kept until a good version comes', () => {
    const [old, lines] = [copy('10.50.1.0/24', '10.51.0.0/16', '10.52.0.0/16', '10.53.0.0/16'), TEN.slice(1, 3)]
    expect(
      one(file('underlay', '10.50.1.0/24', '10.51.0.0/16', '10.52.0.0/16', '10.53.0.0/16'), old, { within }),
    ).toEqual({
      name: 'underlay',
      isSet: true,
      act: 'nothing',
      prefixes: 4,
      problem: `${[2, 3, 4].map((line) => `/sets/underlay:${line}: 10.${49 + line}.0.0/16 is outside --sets-within`).join('; ')}; the node has it already, and keeps it until a good version comes`,
    })
    expect(one(file('underlay', ...lines), old, { within })).toMatchObject({
      act: { write: expect.any(String) },
      prefixes: 2,
    })
  })

  test.each([
    ['0.0.0.0/1', 8],
    ['128.0.0.0/1', 8],
    ['10.0.0.0/7', 8],
    ['::/1', 16],
    ['8000::/1', 16],
    ['fc00::/15', 16],
  ])('without --sets-within is not %s, which is shorter than /%i', (prefix, shortest) => {
    expect(one(file('underlay', '10.50.0.0/16', prefix), undefined)).toMatchObject({
      act: 'nothing',
      problem: `/sets/underlay:2: ${prefix} is shorter than /${shortest}; write longer prefixes, or give a --sets-within that covers it; the node has no version of it`,
    })
    expect(one(file('underlay', prefix), undefined, { within: ['0.0.0.0/0', '::/0'] })).toMatchObject({ prefixes: 1 })
  })

  test('without --sets-within is any prefix of /8, and /16 of IPv6', () => {
    expect(one(file('underlay', '10.0.0.0/8', 'fd00::/16'), undefined)).toMatchObject({ prefixes: 2 })
  })

  test('is no default route, whatever --sets-within is', () => {
    expect(one(file('underlay', '0.0.0.0/0'), undefined, { within: ['0.0.0.0/0', '::/0'] })).toMatchObject({
      act: 'nothing',
    })
  })
})

describe('a set that shrinks', () => {
  test.each([
    [10, 5, true],
    [10, 4, false],
    [1, 0, false],
    [2, 1, true],
    [3, 1, false],
    [0, 0, true],
  ])('from %i prefixes to %i: taken is %s', (then, now, isTaken) => {
    const plan = one(file('underlay', ...TEN.slice(0, now), '# changed'), copy(...TEN.slice(0, then)))
    expect(plan?.prefixes).toBe(isTaken ? now : then)
    expect(plan?.act).toEqual(isTaken ? { write: expect.any(String) } : 'nothing')
    if (!isTaken)
      expect(plan?.problem).toBe(
        `/sets/underlay: would ${now === 0 ? 'become empty' : `lose ${then - now} of its ${then} prefixes`}; give --allow-shrink if that is right; the last good version stays`,
      )
  })

  test('to as many other prefixes loses the old ones all the same', () => {
    const others = Array.from({ length: 10 }, (_, i) => `10.60.${i}.0/24`)
    expect(one(file('underlay', ...others), copy(...TEN))).toMatchObject({
      act: 'nothing',
      problem:
        '/sets/underlay: would lose 10 of its 10 prefixes; give --allow-shrink if that is right; the last good version stays',
    })
    expect(one(file('underlay', ...others.slice(5), ...TEN.slice(5)), copy(...TEN))).toMatchObject({ prefixes: 10 })
    expect(one(file('underlay', ...others), copy(...TEN), { allowShrink: true })).toMatchObject({ prefixes: 10 })
  })

  test.each<[string, string[], string[], boolean]>([
    ['joined', ['10.50.0.0/17', '10.50.128.0/17', 'fd00::/64'], ['10.0.0.0/8', 'fd00::/48'], true],
    ['split in two', ['10.50.0.0/16'], ['10.50.0.0/17', '10.50.128.0/17'], true],
    ['split unevenly', ['fd00::/32'], ['fd00::/34', 'fd00:0:4000::/34', 'fd00:0:8000::/33'], true],
    ['split, but for a part', ['10.50.0.0/16'], ['10.50.0.0/17', '10.50.128.0/18'], false],
    ['cut in half', ['10.50.0.0/16'], ['10.50.0.0/17'], false],
    ['of two that are no halves of one', ['10.50.0.0/16'], ['10.50.0.0/17', '10.51.0.0/17'], false],
  ])('has prefixes that are %s: %j, then %j', (_, then, now, isTaken) => {
    const { act } = one(file('underlay', ...now), copy(...then)) ?? {}
    expect(act).toEqual(isTaken ? { write: expect.any(String) } : 'nothing')
  })

  test('is judged by looking at each prefix a few times, however many there are', async () => {
    const steps = (count: number) => {
      const long = Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)
      return stepsOf(async () => {
        for (const change of ['10.', '11.'])
          one(file('underlay', ...long.map((prefix) => prefix.replace('10.', change)), ''), copy(...long))
      })
    }
    await steps(100)
    const [few, many] = [await steps(500), await steps(4000)]
    // Sorting takes three steps more for each of the many. Each with each comes to 64.
    expect(many / few).toBeLessThan(16)
  })

  test('is taken with --allow-shrink', () => {
    for (const lines of [[], ['10.50.0.0/24']])
      expect(one(file('underlay', ...lines), copy(...TEN), { allowShrink: true })).toMatchObject({
        act: { write: expect.any(String) },
        prefixes: lines.length,
      })
  })

  test('by lines that say the same twice does not shrink', () => {
    const twice = copy(...TEN.slice(0, 2), ...TEN.slice(0, 2), ...TEN.slice(0, 2))
    expect(one(file('underlay', TEN[0] ?? ''), twice)).toMatchObject({
      prefixes: 1,
      act: { write: expect.any(String) },
    })
  })
})

describe('a copy whose set is gone', () => {
  test('goes, if no attachment names it', () => {
    expect(one(undefined, copy(...TEN), {}, new Map([['storage', 'eth0 of tenant/abc']]))).toEqual({
      name: 'underlay',
      isSet: true,
      act: 'remove',
    })
  })

  test.each<[string, Named, string]>([
    [
      'an attachment names it',
      new Map([['underlay', 'eth0 of tenant/abc']]),
      'attachments of this node name it, such as eth0 of tenant/abc, so it stays',
    ],
    ['nobody knows whether one names it', 'unknown', 'not all cache entries of the node can be read, so it stays'],
  ])('stays while %s', (_, named, why) => {
    expect(one(undefined, copy(...TEN), {}, named)).toEqual({
      name: 'underlay',
      isSet: true,
      act: 'nothing',
      prefixes: 10,
      problem: `/node/sets/underlay: is not in /sets any more, but ${why}`,
    })
  })

  test('is not looked for among the files of others, whatever their names', () => {
    const theirs = [
      file('by-hand', '10.0.0.0/8'),
      { ...copy(), name: 'NOT-A-SET' },
      { name: 'x', read: { unreadable: 'is a FIFO' } },
    ]
    expect(planSets([], theirs, RULES, NOBODY)).toEqual([])
  })
})

test.each(['README.md', 'Underlay', 'a_b', '-a', 'x'.repeat(64)])('%s is not the name of a set', (name) => {
  const plan = one(file(name, '10.50.0.0/16'), undefined)
  expect(plan).toEqual({
    name,
    isSet: false,
    act: 'nothing',
    problem: `/sets/${name}: is not the name of a set; write at most 63 lower case letters, digits and hyphens, such as "underlay"`,
  })
})

test('each set is judged by itself', () => {
  const from = [file('good', '10.50.0.0/16'), file('bad', 'x'), file('underlay', ...TEN)]
  const plans = planSets(from, [copy(...TEN), { ...copy(), name: 'gone' }], RULES, NOBODY)
  expect(plans.map(({ name, act }) => [name, typeof act === 'string' ? act : 'write'])).toEqual([
    ['good', 'write'],
    ['bad', 'nothing'],
    ['underlay', 'nothing'],
    ['gone', 'remove'],
  ])
})
