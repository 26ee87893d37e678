import { afterEach, describe, expect, test } from 'vitest'
import { calicoPod, POD } from '../support/calico.ts'
import { changes, configure, inNetns, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { rules } from '../support/source-routing.ts'
import { add, check } from '../support/verbs.ts'
import { nameOf, repair, repairInJson } from './repaired-pod.ts'
import { cacheEntry, LIST, OURS } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

const TABLE = 1459691812
const CONF = { ...OURS, sourceRouting: true }
const CONFLIST = { ...LIST, plugins: [{ type: 'calico' }, CONF] }
const CHANGES = [
  `+ 0.0.0.0/0 via 169.254.1.1 dev eth0 table ${TABLE} proto 142`,
  `+ ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 table ${TABLE} proto 142 metric 1024`,
  `+ fe80::/64 dev eth0 table ${TABLE} proto 142 metric 256`,
  `+ rule from ${POD[4]}/32 table ${TABLE} priority 14200 protocol 142`,
  `+ rule from ${POD[6]}/128 table ${TABLE} priority 14200 protocol 142`,
]
const withoutReason = (line: string) => line.replace(/ +#.*/, '')

async function addedPod() {
  const pod = await calicoPod()
  const result = await add(pod, { ...CONF, prevResult: calicoResult(pod) })
  const container = `5bc${crypto.randomUUID().replaceAll('-', '')}`
  const config = Buffer.from(JSON.stringify(CONFLIST)).toString('base64')
  return { pod, result, files: { [nameOf(container)]: cacheEntry(container, pod.path, result, { config }) } }
}

test('plan shows rules and the table, as text and in JSON, and changes nothing', async () => {
  const pod = await calicoPod()
  using files = scratch({ 'net.conflist': JSON.stringify(CONFLIST) })
  const words = ['plan', '--netns', pod.path, '--ifname', 'eth0', files.file('net.conflist')]
  const { before, after } = await changes(pod.netns, async () => {
    const { stdout } = await tool(words)
    const lines = stdout.split('\n').filter((line) => line.startsWith('+') && line.includes(String(TABLE)))
    expect(lines.map(withoutReason)).toEqual(CHANGES)
    const told = JSON.parse((await tool([...words, '-o', 'json'])).stdout)
    expect(told.batch.filter((line: string) => line.includes(String(TABLE)))).toEqual([
      expect.stringMatching(/^route add 0\.0\.0\.0\/0 .*table 1459691812/),
      expect.stringMatching(/^route add ::\/0 .*table 1459691812/),
      expect.stringMatching(/^route add fe80::\/64 .*table 1459691812/),
      `rule add from ${POD[4]}/32 table ${TABLE} priority 14200 protocol 142`,
      `-6 rule add from ${POD[6]}/128 table ${TABLE} priority 14200 protocol 142`,
    ])
  })
  expect(after).toBe(before)
})

describe('a pod whose rules and table somebody changed', () => {
  const DAMAGE: [string, (netns: string) => Promise<unknown>, string[]][] = [
    [
      'a removed IPv4 rule',
      (netns) => configure(netns, `rule del from ${POD[4]} table ${TABLE}`),
      [`missing: rule from ${POD[4]}/32`],
    ],
    [
      'a removed IPv6 rule',
      (netns) => inNetns(netns, 'ip', ['-6', 'rule', 'del', 'from', POD[6], 'table', `${TABLE}`]),
      [`missing: rule from ${POD[6]}/128`],
    ],
    [
      'a flushed table',
      async (netns) => {
        for (const family of ['-4', '-6']) await inNetns(netns, 'ip', [family, 'route', 'flush', 'table', `${TABLE}`])
      },
      ['missing: 0.0.0.0/0', 'missing: ::/0'],
    ],
    [
      'another priority',
      (netns) =>
        configure(
          netns,
          `rule del from ${POD[4]} table ${TABLE}
          rule add from ${POD[4]} table ${TABLE} priority 9 protocol 142`,
        ),
      [`missing: rule from ${POD[4]}/32`, `not removed: rule from ${POD[4]}/32 table ${TABLE} priority 9`],
    ],
  ]
  test.each(DAMAGE)('is found by verify and mended by repair: %s', async (_, damage, said) => {
    const { pod, result, files } = await addedPod()
    using cache = scratch(files)
    const verify = () => tool(['verify', '-o', 'json', '--cache', cache.directory])
    expect(await verify()).toMatchObject({ exitCode: 0 })
    const right = await rules(pod.netns)
    expect(right).toHaveLength(2)
    await damage(pod.netns)
    const found = await verify()
    expect(found.exitCode).toBe(1)
    for (const one of said) expect(found.stdout).toContain(`sourceRouting: ${one}`)
    expect(await repairInJson(cache.directory)).toMatchObject({ exitCode: 0, states: ['repaired'] })
    expect(await rules(pod.netns)).toEqual(right)
    await check(pod, { ...CONF, prevResult: result })
    expect(await repair(cache.directory)).toMatchObject({ exitCode: 0 })
    expect(await verify()).toMatchObject({ exitCode: 0 })
  })

  test('keeps somebody else’s rules when it is repaired', async () => {
    const { pod, files } = await addedPod()
    using cache = scratch(files)
    await configure(
      pod.netns,
      `rule add from ${POD[4]} table 500 priority 14200
      rule del from ${POD[4]} table ${TABLE}`,
    )
    expect(await repairInJson(cache.directory)).toMatchObject({ exitCode: 0, states: ['repaired'] })
    expect(await rules(pod.netns)).toContain(`14200: from ${POD[4]} lookup 500`)
    expect(await rules(pod.netns)).toHaveLength(3)
  })
})
