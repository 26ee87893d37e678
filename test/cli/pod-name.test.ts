/** Pods by their name, as `plan`, `verify` and `repair` find them in the result caches. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { changes, configure, removeNamespace, removeNamespaces } from '../support/netns.ts'
import { type AddedPod, addedPod, nameOf, ROUTE4, repairInJson, SECOND_NIC } from './repaired-pod.ts'
import { cacheEntry, LIST, OURS } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

const [ABC, XYZ] = ['abcdef-by-name', 'xyzdef-by-name'] as const
const listWith = (name: string, ours: object) => ({ ...LIST, name, plugins: [{ type: 'ptp' }, { ...OURS, ...ours }] })
const SECOND = listWith('second', { routes: [{ dst: '10.80.0.0/16', gw: '10.9.0.2' }] })
const ROUTE_OF_SECOND = '10.80.0.0/16 via 10.9.0.2 dev net1 proto 142'

/** The entry of another attachment of a pod. */
function entryOf({ container, pod }: AddedPod, ifname: string, list: { name: string }): Record<string, string> {
  const result = { cniVersion: '1.0.0', interfaces: [{ name: ifname }], ips: [{ address: '10.9.0.1/24' }] }
  const config = Buffer.from(JSON.stringify(list)).toString('base64')
  const more = { ifName: ifname, networkName: list.name, config }
  return { [`${list.name}-${container}-${ifname}`]: cacheEntry(container, pod.path, result, more) }
}

/** A second attachment, whose NIC is there but has none of its routes. */
async function secondNic(one: AddedPod): Promise<Record<string, string>> {
  await configure(one.pod.netns, SECOND_NIC)
  return entryOf(one, 'net1', SECOND)
}

/** Another pod, tenant/xyz, of which a route is missing. */
async function spoiltPod(): Promise<AddedPod> {
  const one = await addedPod(XYZ)
  await configure(one.pod.netns, 'route del 10.50.0.0/16')
  return one
}

const withOneSpace = (text: string) => text.replaceAll(/ +#/g, ' #')
const diffOf = (text: string) => text.split('\n').filter((line) => /^[-+] /.test(line))
const saidOf = (command: string, text: string) => ({
  exitCode: 2,
  stdout: '',
  stderr: `x-calico-route ${command}: ${text}\n`,
})

test('verify --pod looks at all NICs of that pod, and at nothing else', async () => {
  const [one, other] = [await addedPod(ABC), await spoiltPod()]
  const broken = nameOf(XYZ, 'net7')
  using cache = scratch({ ...one.files, ...(await secondNic(one)), ...other.files, [broken]: 'broken' })
  const verify = async (pod: string) => {
    const { stdout, stderr, exitCode } = await tool(['verify', '-o', 'json', '--cache', cache.directory, '--pod', pod])
    const { attachments, unreadable } = JSON.parse(stdout)
    const states = attachments.map((each: Record<string, string>) => [each.container, each.ifname, each.state])
    return { stderr, exitCode, states, unreadable: unreadable.map(({ file }: { file: string }) => file) }
  }
  expect(await verify('tenant/abc')).toEqual({
    ...{ stderr: '', exitCode: 1, unreadable: [] },
    states: [
      [ABC, 'eth0', 'ok'],
      [ABC, 'net1', 'differs'],
    ],
  })
  const states = [[XYZ, 'eth0', 'differs']]
  expect(await verify('tenant/xyz')).toEqual({ stderr: '', exitCode: 1, states, unreadable: [cache.file(broken)] })
  await configure(one.pod.netns, `route add ${ROUTE_OF_SECOND}`)
  const quiet = ['verify', '--quiet', '--cache', cache.directory, '--pod', 'tenant/abc']
  expect(await tool(quiet)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
})

test('repair --pod repairs all NICs of that pod, and no other pod', async () => {
  const [one, other] = [await addedPod(ABC), await spoiltPod()]
  await configure(one.pod.netns, 'route del 10.50.0.0/16')
  const broken = nameOf(XYZ, 'net7')
  using cache = scratch({ ...one.files, ...(await secondNic(one)), ...other.files, [broken]: 'broken' })
  const { before, after } = await changes(other.pod.netns, async () => {
    const { pods, ...rest } = await repairInJson(cache.directory, '--pod', 'tenant/abc')
    expect(rest).toEqual({ exitCode: 0, unreadable: [], states: ['repaired'] })
    expect(pods[0].changes.map((line: string) => line.replace(/ +#.*/, ''))).toEqual([
      `+ ${ROUTE4}`,
      `+ ${ROUTE_OF_SECOND}`,
    ])
  })
  expect(after).toBe(before)
  const { exitCode, states, unreadable } = await repairInJson(cache.directory, '--pod', 'tenant/xyz')
  expect({ exitCode, states, files: unreadable.map(({ file }: { file: string }) => file) }).toEqual({
    ...{ exitCode: 2, states: ['error'], files: [cache.file(broken)] },
  })
})

describe('plan --pod', () => {
  test('shows for each attachment what ADD would change, as by hand, and changes nothing', async () => {
    const [one, other] = [await addedPod(ABC), await spoiltPod()]
    await configure(one.pod.netns, 'route del 10.50.0.0/16')
    using cache = scratch({ ...one.files, ...(await secondNic(one)), ...other.files })
    using files = scratch({ eth0: JSON.stringify(LIST), net1: JSON.stringify(SECOND) })
    const { before, after } = await changes(one.pod.netns, async () => {
      const named = ['plan', '--cache', cache.directory, '--pod', 'tenant/abc']
      const all = await tool(named)
      expect(all).toMatchObject({ stderr: '', exitCode: 0 })
      expect(all.stdout.match(/^tenant\/.*/gm)).toEqual([
        `tenant/abc: eth0, network k8s-pod-network, netns ${one.pod.path}`,
        `tenant/abc: net1, network second, netns ${one.pod.path}`,
      ])
      expect(diffOf(withOneSpace(all.stdout))).toEqual([`+ ${ROUTE4} # routes[0]`, `+ ${ROUTE_OF_SECOND} # routes[0]`])
      const byHand = async (ifname: 'eth0' | 'net1') =>
        diffOf((await tool(['plan', '--netns', one.pod.path, '--ifname', ifname, files.file(ifname)])).stdout)
      expect(diffOf(all.stdout)).toEqual([...(await byHand('eth0')), ...(await byHand('net1'))])
      const second = await tool([...named, '--ifname', 'net1'])
      expect(second.stdout).toBe(all.stdout.slice(all.stdout.indexOf('tenant/abc: net1')))
    })
    expect(after).toBe(before)
  })

  test('prints for programs what it prints without --pod, and which attachment it is of', async () => {
    const one = await addedPod(ABC)
    await configure(one.pod.netns, 'route del 10.50.0.0/16')
    using cache = scratch(one.files)
    using files = scratch({ list: JSON.stringify({ ...LIST, plugins: [{ ...OURS, prevResult: one.result }] }) })
    const words = ['plan', '-o', 'json', '--verb', 'DEL']
    for (const verb of ['ADD', 'DEL']) {
      const options = [...words.slice(0, 4), verb]
      const named = JSON.parse((await tool([...options, '--cache', cache.directory, '--pod', 'tenant/abc'])).stdout)
      const byHand = await tool([...options, '--netns', one.pod.path, '--ifname', 'eth0', files.file('list')])
      const { prevResultFrom: from, ...made } = JSON.parse(byHand.stdout)
      const { container, network, netns, prevResultFrom, ...rest } = named.attachments[0]
      expect([named.pod, named.attachments.length, container, network, netns]).toEqual([
        ...['tenant/abc', 1, ABC, LIST.name, one.pod.path],
      ])
      expect(rest).toEqual(made)
      expect([from, prevResultFrom]).toEqual(
        verb === 'ADD' ? ['FILE', "libcni's result cache"] : [undefined, undefined],
      )
    }
  })

  test('shows the others where one is refused, or its NIC is gone', async () => {
    const one = await addedPod(ABC)
    using cache = scratch({
      ...(await secondNic(one)),
      ...entryOf(one, 'net2', SECOND),
      ...one.files,
      ...entryOf(one, 'eth0', listWith('wrong', { routes: [{ dst: '10.50.31.21/16' }] })),
    })
    const named = ['plan', '--cache', cache.directory, '--pod', 'tenant/abc']
    const { stdout, stderr, exitCode } = await tool(named)
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 2 })
    expect(stdout.match(/^(tenant|cannot|plugin|Routes).*/gm)).toEqual([
      expect.stringMatching(/^tenant\/abc: eth0, network k8s-pod-network, /),
      'Routes of the pod after ADD of eth0:',
      expect.stringMatching(/^tenant\/abc: net1, network second, /),
      'Routes of the pod after ADD of net1:',
      expect.stringMatching(/^tenant\/abc: net2, network second, /),
      'cannot be planned: the pod has no interface net2; it has lo, eth0, net1host, net1',
      expect.stringMatching(/^tenant\/abc: eth0, network wrong, /),
      'plugin type="x-calico-route" failed (add): routes[0].dst: "10.50.31.21/16" has host bits set; write 10.50.0.0/16',
    ])
    expect(await tool([...named, '--ifname', 'eth0'])).toMatchObject({ exitCode: 1, stderr: '' })
  })

  test('takes the pod that lives, not the one that had the name before', async () => {
    const [former, one] = [await addedPod('abc-the-former'), await addedPod(ABC)]
    removeNamespace(former.pod.netns)
    using cache = scratch({ ...former.files, ...one.files })
    const named = ['--cache', cache.directory, '--pod', 'tenant/abc']
    const { stdout, exitCode } = await tool(['plan', '-o', 'json', ...named])
    expect({ exitCode, containers: JSON.parse(stdout).attachments.map((each: AddedPod) => each.container) }).toEqual({
      ...{ exitCode: 0, containers: [ABC] },
    })
    removeNamespace(one.pod.netns)
    const text = '--pod: tenant/abc is gone; only its cache entries are left on this node'
    expect(await tool(['plan', ...named])).toEqual(saidOf('plan', text))
  })

  test('says what is missing of a pod whose cache entry has no network namespace', async () => {
    using cache = scratch({ [nameOf(ABC)]: cacheEntry(ABC, '', {}) })
    const text =
      '--pod: the cache does not have the network namespace of tenant/abc (libcni before 1.2); give --netns, --ifname and FILE'
    expect(await tool(['plan', '--cache', cache.directory, '--pod', 'tenant/abc'])).toEqual(saidOf('plan', text))
  })

  test('never plans for its own namespace, which may be the node’s', async () => {
    using cache = scratch({ [nameOf(ABC)]: cacheEntry(ABC, '/proc/self/ns/net', {}) })
    const { stdout, exitCode } = await tool(['plan', '--cache', cache.directory, '--pod', 'tenant/abc'])
    expect({ stdout, exitCode }).toEqual({
      stdout: expect.stringMatching(
        /\ncannot be planned: \/proc\/self\/ns\/net is the network namespace of this process itself, not a pod's; /,
      ),
      exitCode: 2,
    })
  })
})

test('plan looks for all below --root, where a container has the node, by name and by hand', async () => {
  const one = await addedPod(ABC)
  await configure(one.pod.netns, 'route del 10.50.0.0/16')
  using host = scratch({ list: JSON.stringify(LIST) })
  mkdirSync(host.file('var/lib/cni/results'), { recursive: true })
  mkdirSync(host.file('run/netns'), { recursive: true })
  const entry = cacheEntry(ABC, `/var/run/netns/${one.pod.netns}`, one.result)
  writeFileSync(host.file(`var/lib/cni/results/${nameOf(ABC)}`), entry)
  const shell = `mount --rbind --make-rslave /run/netns ${host.file('run/netns')}; exec "$@"`
  const below = ['plan', '--root', host.directory]
  const ways = [
    ['--pod', 'tenant/abc'],
    ['--netns', `/var/run/netns/${one.pod.netns}`, '--ifname', 'eth0', host.file('list')],
  ]
  for (const way of ways) {
    const { stdout, stderr, exitCode } = await tool([...below, ...way], { shell })
    expect({ stderr, exitCode, diff: diffOf(withOneSpace(stdout)) }).toEqual({
      ...{ stderr: '', exitCode: 0, diff: [`+ ${ROUTE4} # routes[0]`] },
    })
    expect(stdout).toContain("(prevResult is from libcni's result cache)")
  }
  expect((await tool([...below, '--pod', 'tenant/abc'])).stderr).toContain('is gone; only its cache entries are left')
})

describe.each(['plan', 'verify', 'repair'])('%s --pod', (command) => {
  const entries = (...pods: string[]) =>
    Object.fromEntries(
      pods.map((pod, i) => {
        const [namespace, name] = pod.split('/')
        const cniArgs = [...Object.entries({ K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: name })]
        return [`net-c${i}-eth0`, cacheEntry(`c${i}`, '/run/netns/gone', {}, { cniArgs })]
      }),
    )
  const POD = ['tenant/web-5b9f-x2x4', 'tenant/web-5b9f-x2x5', 'other/web-5b9f-x2x4', 'tenant/db-0']

  test.each([
    ['tenant/db-1', 'did you mean tenant/db-0?'],
    ['tenant/web', 'did you mean tenant/web-5b9f-x2x4 or tenant/web-5b9f-x2x5?'],
    ['tenants/web-5b9f-x2x4', 'did you mean tenant/web-5b9f-x2x4 or tenant/web-5b9f-x2x5 or other/web-5b9f-x2x4?'],
    ['apps/shop', 'to see which node it is on, run: kubectl -n apps get pod shop -o wide'],
  ])('says of %s, which the node does not have: %s', async (pod, advice) => {
    using cache = scratch(entries(...POD))
    const text = `--pod: no attachment of ${pod} with x-calico-route in ${cache.directory}; ${advice}`
    expect(await tool([command, '--cache', cache.directory, '--pod', pod])).toEqual(saidOf(command, text))
  })

  test('says what may hide it', async () => {
    using cache = scratch({ 'net-c0-eth0': 'broken' })
    expect(await tool([command, '--cache', cache.directory, '--pod', 'apps/shop'])).toEqual(
      saidOf(
        command,
        `--pod: no attachment of apps/shop with x-calico-route in ${cache.directory}; 1 file there cannot be read, see verify; no other pod is there either; in a container, give --root; to see which node it is on, run: kubectl -n apps get pod shop -o wide`,
      ),
    )
  })

  test.each([
    [['web-0'], '--pod: must be NAMESPACE/NAME, such as default/web-0'],
    [['a/b; reboot'], '--pod: must be NAMESPACE/NAME, such as default/web-0'],
    ...[['FILE', 'a.json'] as const, ['--netns', '--netns=/x'] as const, ['--name', '--name=x'] as const].map(
      ([name, word]): [string[], string] => [
        ['a/b', word],
        `${name}: cannot be combined with --pod, which takes it from libcni's result cache; leave it out`,
      ],
    ),
  ])('refuses %j', async (words, text) => {
    expect(await tool([command, '--pod', ...words])).toEqual(saidOf(command, text))
  })
})

test.each([
  ['verify', ['--pod', 'a/b', '--ifname', 'eth0'], '--ifname: cannot be combined with --pod, '],
  ['repair', ['--pod', 'a/b', '--ifname', 'eth0'], '--ifname: cannot be combined with --pod, '],
  ['plan', ['--pod', 'a/b', '--routes', 'x'], '--routes: cannot be combined with --pod, '],
  ['plan', ['--pod', 'a/b', '--links', 'x'], '--links: cannot be combined with --pod, '],
  ['plan', ['--netns', '/x', '--ifname', 'eth0', '--cache', '/x', 'a.json'], '--cache: needs --pod; '],
  ['plan', [], 'exactly one FILE is needed; or give --pod, '],
])('%s refuses %j', async (command, words, expected) => {
  const { stdout, stderr, exitCode } = await tool([command, ...words])
  expect({ stdout, stderr, exitCode }).toEqual({ stdout: '', stderr: expect.stringContaining(expected), exitCode: 2 })
})

test('plan --ifname has to be a NIC of the pod', async () => {
  const one = await addedPod(ABC)
  using cache = scratch(one.files)
  const text = '--ifname: tenant/abc has no attachment net1 with x-calico-route; it has eth0'
  expect(await tool(['plan', '--cache', cache.directory, '--pod', 'tenant/abc', '--ifname', 'net1'])).toEqual(
    saidOf('plan', text),
  )
})
