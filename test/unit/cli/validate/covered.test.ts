import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { coveredRoutes } from '../../../../src/cli/validate/covered.ts'
import { type ConfiguredRoute, parseConfig } from '../../../../src/config/config.ts'
import { isWithin } from '../../../../src/net/address.ts'
import { validate } from '../../../support/validate.ts'

/** What `validate` says of a plugin's own keys, each line from its position on. */
async function said(keys: object): Promise<string[]> {
  const plugins = [{ type: 'calico' }, { type: 'x-calico-route', ...keys }]
  const text = JSON.stringify({ name: 'net', plugins, cniVersion: '1.0.0' })
  return (await validate(text)).lines.slice(0, -1)
}

const routes = async (...list: object[]) =>
  (await said({ routes: list })).map((line) => line.replace(/^stdin:\d+:\d+: note: plugins\[1\]\./, ''))

const END = 'is otherwise the same; remove this route, unless it must win over another route'

describe('validate notes a route', () => {
  it.each([
    [
      'that a wider one covers',
      ['10.50.0.0/16', '10.50.31.0/24'],
      'routes[1]: routes[0] covers 10.50.31.0/24 with 10.50.0.0/16',
    ],
    [
      'that a later one covers',
      ['10.50.31.0/24', '10.50.0.0/16'],
      'routes[0]: routes[1] covers 10.50.31.0/24 with 10.50.0.0/16',
    ],
    ['of IPv6', ['fd00:10::/32', 'fd00:10:50::/48'], 'routes[1]: routes[0] covers fd00:10:50::/48 with fd00:10::/32'],
    [
      'that ends where the wider one ends',
      ['10.0.0.0/8', '10.255.255.255/32'],
      'routes[1]: routes[0] covers 10.255.255.255/32 with 10.0.0.0/8',
    ],
  ])('%s', async (_, list, line) => {
    expect(await routes(...list.map((dst) => ({ dst })))).toEqual([`${line} and ${END}`])
  })

  it('and names the narrowest one that covers it', async () => {
    expect(await routes({ dst: '10.0.0.0/8' }, { dst: '10.50.0.0/16' }, { dst: '10.50.31.0/24' })).toEqual([
      `routes[1]: routes[0] covers 10.50.0.0/16 with 10.0.0.0/8 and ${END}`,
      `routes[2]: routes[1] covers 10.50.31.0/24 with 10.50.0.0/16 and ${END}`,
    ])
  })

  it('by their places among entries that name a set', async () => {
    expect(await routes({ set: 'a' }, { dst: '10.50.0.0/16' }, { set: 'b' }, { dst: '10.50.31.0/24' })).toEqual([
      expect.stringMatching(/^routes\[0\]\.set: the prefixes of a were not checked/),
      expect.stringMatching(/^routes\[2\]\.set: the prefixes of b were not checked/),
      `routes[3]: routes[1] covers 10.50.31.0/24 with 10.50.0.0/16 and ${END}`,
    ])
  })

  it('at its place in the file', async () => {
    const [line] = await said({ routes: [{ dst: '10.50.0.0/16' }, { dst: '10.50.31.0/24' }] })
    expect(line).toMatch(/^stdin:1:102: note: plugins\[1\]\.routes\[1\]: /)
  })

  it.each<[string, object[]]>([
    ['that is beside another', [{ dst: '10.50.0.0/17' }, { dst: '10.50.128.0/17' }]],
    ['of the other family', [{ dst: '0.0.0.0/1' }, { dst: '::1/128' }]],
    ['with another gateway', [{ dst: '10.50.0.0/16' }, { dst: '10.50.31.0/24', gw: '10.1.1.1' }]],
    ['with another metric', [{ dst: '10.50.0.0/16' }, { dst: '10.50.31.0/24', priority: 5 }]],
    ['with another MTU', [{ dst: '10.50.0.0/16' }, { dst: '10.50.31.0/24', mtu: 1400 }]],
    ['of another table', [{ dst: '10.50.0.0/16' }, { dst: '10.50.31.0/24', table: 100 }]],
    [
      'that wins over one between the two',
      [{ dst: '10.0.0.0/8' }, { dst: '10.50.0.0/16', gw: '10.1.1.1' }, { dst: '10.50.31.0/24' }],
    ],
    [
      'to a destination with several metrics',
      [{ dst: '10.50.0.0/16' }, { dst: '10.50.31.0/24' }, { dst: '10.50.31.0/24', priority: 5, gw: '10.1.1.1' }],
    ],
  ])('but not of one %s', async (_, list) => {
    expect(await routes(...list)).toEqual([])
  })

  it('only if every packet goes as before without all it warns of', () => {
    const bits = fc.array(fc.constantFrom('0', '1'), { maxLength: 4 }).map((all) => {
      return `${10 * 16 + Number.parseInt(all.join('').padEnd(4, '0'), 2)}.0.0.0/${4 + all.length}`
    })
    const entry = fc.record({
      dst: bits,
      gw: fc.constantFrom('1.1.1.1', '1.1.1.2'),
      priority: fc.constantFrom(0, 0, 5),
    })
    let warned = 0
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: ({ dst, priority }) => `${dst} ${priority}` }), (list) => {
        const all = parseConfig({ routes: list }).routes
        const told = new Set<unknown>()
        coveredRoutes(all, (_, [, index]) => void told.add(index))
        warned += told.size
        const left = all.filter((_, index) => !told.has(index))
        for (let byte = 160; byte < 176; byte++) expect(hop(left, `${byte}.0.0.1`)).toBe(hop(all, `${byte}.0.0.1`))
      }),
    )
    expect(warned).toBeGreaterThan(20)
  })
})

/** Where the kernel would send it: by the longest prefix, then the lowest metric. */
function hop(routes: readonly ConfiguredRoute[], address: string): string | undefined {
  const length = ({ dst }: ConfiguredRoute) => Number(dst.split('/')[1])
  const fitting = routes.filter(({ dst }) => isWithin(address, dst))
  return fitting.sort((a, b) => length(b) - length(a) || a.priority - b.priority)[0]?.gw
}

describe('validate warns of a prefix of overrides.within', () => {
  const within = async (...prefixes: unknown[]) =>
    (await said({ overrides: { allow: ['routes'], within: prefixes } })).map((line) => line.replace(/^stdin:/, ''))

  it('that another covers, or that stands there twice', async () => {
    expect(await within('10.50.31.0/24', '10.0.0.0/8', 'fd00::/8', '10.50.0.0/16', 'FD00::/8')).toEqual([
      '1:111: warning: plugins[1].overrides.within[0]: within[3] covers 10.50.31.0/24 with 10.50.0.0/16; remove this prefix',
      '1:151: warning: plugins[1].overrides.within[3]: within[1] covers 10.50.0.0/16 with 10.0.0.0/8; remove this prefix',
      '1:166: warning: plugins[1].overrides.within[4]: fd00::/8 is already within[2]; remove this prefix',
    ])
  })

  it('but not of others, and beside what is wrong', async () => {
    expect(await within('10.50.0.0/16', '10.51.0.0/16', 'fd00::/8', '0.0.0.0/5', '::1/128')).toEqual([])
    expect(await within(5, 'x', '10.0.0.0/8', '10.1.0.0/16')).toEqual([
      expect.stringContaining('error: plugins[1].overrides.within[0]'),
      expect.stringContaining('error: plugins[1].overrides.within[1]'),
      expect.stringContaining('warning: plugins[1].overrides.within[3]: within[2] covers 10.1.0.0/16 with 10.0.0.0/8'),
    ])
  })
})
