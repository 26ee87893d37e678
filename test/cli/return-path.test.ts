import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, type CalicoPod, calicoPod, HOST_VETH, POD, UNDERLAY } from '../support/calico.ts'
import { directory } from '../support/examples.ts'
import { configure, netnsPath, removeNamespaces } from '../support/netns.ts'
import { call, host } from '../support/packets.ts'
import { type CalicoRelease, calicoResult } from '../support/results.ts'
import { PLUGIN } from '../support/runtime.ts'
import { hostWhereIpIs, throughSed } from '../support/tools.ts'
import { add } from '../support/verbs.ts'
import { cacheEntry, LIST, OURS } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

/** What is said of a pod whose address leads elsewhere on its node, by a route of these words. */
const missingReturnPath = (address: string, route: string) =>
  `no return path to ${address}: the node's route is ${route}, not dev ${HOST_VETH}`
const noRoute = (address: string) =>
  `no return path to ${address}: the node has no route to it; it must have one with dev ${HOST_VETH}`

async function addedPod(release: CalicoRelease = '3.32'): Promise<{ pod: CalicoPod; result: unknown }> {
  const pod = await calicoPod()
  return { pod, result: await add(pod, { ...OURS, prevResult: calicoResult(pod, { release }) }) }
}

/** Runs the tool on a node: in its network namespace, as in a container with hostNetwork. */
const onNode = (node: string, ...words: string[]) =>
  tool([`--net=${netnsPath(node)}`, PLUGIN, ...words], { executable: 'nsenter' })

const chainAfter = (type: string) => ({
  config: Buffer.from(JSON.stringify({ ...LIST, plugins: [{ type }, OURS] })).toString('base64'),
})

/** What `verify` on the node of a pod says of its one attachment. */
async function verdict({ pod, result }: { pod: CalicoPod; result: unknown }, more: object = {}, run = onNode) {
  using cache = scratch({ one: cacheEntry('abc', pod.path, result, more) })
  const { stdout, stderr } = await run(pod.node, 'verify', '-o', 'json', '--cache', cache.directory)
  expect(stderr).toBe('')
  const [{ state, differences, message }] = JSON.parse(stdout).attachments
  return differences ?? message ?? state
}

/** Only that, of a chain that is not as it was set up. */
async function returnPathOf(...of: Parameters<typeof verdict>): Promise<string[]> {
  const said: unknown = await verdict(...of)
  return Array.isArray(said) ? said.filter((one) => one.startsWith('no return path')) : []
}

/** What Felix makes of an endpoint's addresses that are not the pod's first ones: it takes their routes away. */
const likeFelix = (node: string) =>
  configure(
    node,
    `
    route del ${POD[4]}/32
    route del ${POD[6]}/128
    route add 10.0.1.11/32 dev ${HOST_VETH}
    route add fd00:10:0:1::11/128 dev ${HOST_VETH}`,
  )

describe('x-calico-route verify on the node', () => {
  test.each<CalicoRelease>(['3.30', '3.31', '3.32'])('finds the return path to a pod of Calico %s', async (release) => {
    expect(await verdict(await addedPod(release))).toBe('ok')
  })

  test('does not call a pod ok that no answer reaches: its routes are right, the node’s lead elsewhere', async () => {
    const added = await addedPod()
    const { pod } = added
    await using _ = await host(pod.underlay, 'underlay')
    expect(await call(pod.netns, UNDERLAY[4], UNDERLAY[6])).toEqual({
      [UNDERLAY[4]]: `underlay sees ${POD[4]}`,
      [UNDERLAY[6]]: `underlay sees ${POD[6]}`,
    })
    await likeFelix(pod.node)
    expect(Object.values(await call(pod.netns, UNDERLAY[4], UNDERLAY[6]))).not.toContainEqual(/sees/)
    expect(await verdict(added)).toEqual([
      missingReturnPath(POD[4], `via ${UNDERLAY[4]} dev eth0`),
      missingReturnPath(POD[6], `via ${UNDERLAY[6]} dev eth0`),
    ])
  })

  test('tells it in one line, and by its exit status', async () => {
    const { pod, result } = await addedPod()
    await configure(pod.node, `route del ${POD[4]}/32`)
    using cache = scratch({ one: cacheEntry('abc', pod.path, result) })
    const { stdout, stderr, exitCode } = await onNode(pod.node, 'verify', '--quiet', '--cache', cache.directory)
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 1 })
    expect(stdout.split('\n')[1]).toMatch(
      /^abc +tenant\/abc +k8s-pod-network +eth0 +differs +no return path to 10\.199\.3\.153: /,
    )
  })

  test('adds it to what is wrong in the pod itself', async () => {
    const added = await addedPod()
    await configure(added.pod.netns, 'route del 10.50.0.0/16')
    await configure(added.pod.node, `route del ${POD[4]}/32`)
    expect(await verdict(added)).toEqual([
      expect.stringMatching(/^routes\[0\]: missing: /),
      expect.stringMatching(/^no return path to /),
    ])
  })

  test.each<[string, string, string[]]>([
    ['only IPv6 has none', `route del ${POD[6]}/128`, [missingReturnPath(POD[6], `via ${UNDERLAY[6]} dev eth0`)]],
    [
      'Calico’s own blackhole of the block is left',
      `route del ${POD[4]}/32\nroute add blackhole 10.199.3.128/26 proto 80`,
      [missingReturnPath(POD[4], 'blackhole 10.199.3.128/26')],
    ],
    [
      'an unreachable prefix is left, beside a default route',
      `route del ${POD[6]}/128\nroute add unreachable fd00:10:199::/64`,
      [missingReturnPath(POD[6], 'unreachable fd00:10:199::/64 dev lo')],
    ],
    [
      'there is nothing at all',
      `route del ${POD[4]}/32\nroute del ${POD[6]}/128\nroute del default\nroute del ::/0`,
      [noRoute(POD[4]), noRoute(POD[6])],
    ],
    ['the address is the node’s own', `addr add ${POD[4]}/32 dev lo`, [missingReturnPath(POD[4], 'local dev lo')]],
    [
      'another interface has the address, by another table that goes first',
      `route add ${POD[4]}/32 dev eth0 table 99\nrule add to 10.199.0.0/16 lookup 99`,
      [missingReturnPath(POD[4], 'dev eth0')],
    ],
  ])('finds none where %s', async (_, change, expected) => {
    const added = await addedPod()
    await configure(added.pod.node, change)
    expect(await verdict(added)).toEqual(expected)
  })

  test('asks for the way to all pods at once', async () => {
    const [good, bad] = [await addedPod(), await addedPod()]
    // The second pod on the first one's node, by other addresses: `cali2` there.
    const ends = `link add cali2 type veth peer name eth0 netns ${bad.pod.netns}`
    await configure(bad.pod.netns, 'link del eth0')
    await configure(
      good.pod.node,
      `${ends}\nlink set cali2 up\nroute add default via ${CALICO[4]} dev cali2 onlink metric 9`,
    )
    await configure(bad.pod.netns, `link set eth0 up\naddr add 10.199.3.9/32 dev eth0`)
    const result = { cniVersion: '1.0.0', interfaces: [{ name: 'cali2' }], ips: [{ address: '10.199.3.9/32' }] }
    using cache = scratch({
      one: cacheEntry('aaa', good.pod.path, good.result),
      two: cacheEntry('bbb', bad.pod.path, result),
    })
    using calls = scratch()
    using counted = hostWhereIpIs(`echo >> ${calls.file('ip')}; exec "$REAL_IP" "$@"`)
    const words = [`--net=${netnsPath(good.pod.node)}`, PLUGIN, 'verify', '-o', 'json', '--cache', cache.directory]
    const { stdout } = await tool(words, { executable: 'nsenter', shell: counted.via[4] ?? '' })
    const { attachments } = JSON.parse(stdout)
    expect(attachments[0]).toMatchObject({ container: 'aaa', state: 'ok' })
    expect(attachments[1].differences).toContain(
      `no return path to 10.199.3.9: the node's route is via ${UNDERLAY[4]} dev eth0, not dev cali2`,
    )
    const { stdout: lines } = await execa('wc', ['-l', calls.file('ip')])
    expect(Number.parseInt(lines, 10)).toBe(3) // one for each pod, one for the node
  })

  test('knows the return path of ptp, whose addresses have the prefix of their network', async () => {
    const added = await addedPod()
    const veth = { name: HOST_VETH, mac: 'ee:ee:ee:ee:ee:ee' }
    const eth0 = { name: 'eth0', sandbox: added.pod.path }
    const ips = [{ interface: 1, address: `${POD[4]}/24` }]
    const ofPtp = { pod: added.pod, result: { cniVersion: '1.0.0', interfaces: [veth, eth0], ips } }
    expect(await returnPathOf(ofPtp, chainAfter('ptp'))).toEqual([])
    await likeFelix(added.pod.node)
    expect(await returnPathOf(ofPtp, chainAfter('ptp'))).toEqual([
      missingReturnPath(POD[4], `via ${UNDERLAY[4]} dev eth0`),
    ])
  })

  test('by the namespace of the node’s first process below --root, where its own is not the node’s', async () => {
    const { pod, result } = await addedPod()
    using root = scratch()
    const cache = root.file('var/lib/cni/results')
    for (const directory of [cache, root.file('proc/1/ns'), root.file('run')]) mkdirSync(directory, { recursive: true })
    writeFileSync(`${cache}/one`, cacheEntry('abc', pod.path, result))
    writeFileSync(root.file('proc/1/ns/net'), '')
    symlinkSync('/run/netns', root.file('run/netns'))
    const shell = `mount --bind ${netnsPath(pod.node)} ${root.file('proc/1/ns/net')}; exec "$@"`
    const words = ['verify', '--root', root.directory]
    expect(await tool(words, { shell })).toMatchObject({ exitCode: 0, stderr: '' })
    await likeFelix(pod.node)
    const { stdout, exitCode } = await tool(words, { shell })
    expect({ stdout, exitCode }).toEqual({
      stdout: expect.stringContaining('no return path to 10.199.3.153'),
      exitCode: 1,
    })
    expect((await tool(words)).exitCode).toBe(0) // not there, and nothing is said
  })

  test('says that it could not look, when it could not', async () => {
    const added = await addedPod()
    using failing = hostWhereIpIs(
      'if [ -e $DIRECTORY/once ]; then echo boom >&2; exit 3; fi; touch $DIRECTORY/once; exec "$REAL_IP" "$@"',
    )
    const run = (node: string, ...words: string[]) =>
      tool([`--net=${netnsPath(node)}`, PLUGIN, ...words], { executable: 'nsenter', shell: failing.via[4] ?? '' })
    expect(await verdict(added, {}, run)).toBe(
      "the node's routes cannot be read: ip: gave no answer (exit status 3); boom",
    )
  })

  test('takes a pod that ends meanwhile for gone', async () => {
    const { pod, result } = await addedPod()
    await configure(pod.node, `route del ${POD[4]}/32`)
    using cache = scratch({ one: cacheEntry('abc', pod.path, result) })
    // The second conversation is the node's: before it, the pod goes.
    using ending = hostWhereIpIs(
      `if [ -e $DIRECTORY/once ]; then "$REAL_IP" netns del ${pod.netns}; fi; touch $DIRECTORY/once; exec "$REAL_IP" "$@"`,
    )
    const words = [`--net=${netnsPath(pod.node)}`, PLUGIN, 'verify', '--cache', cache.directory]
    const { stdout, exitCode } = await tool(words, { executable: 'nsenter', shell: ending.via[4] ?? '' })
    expect({ stdout, exitCode }).toEqual({ stdout: expect.stringMatching(/\nabc .* gone\n$/), exitCode: 0 })
  })
})

describe('x-calico-route verify says nothing of a return path', () => {
  test('where it does not see the node: in a container with a network of its own', async () => {
    const added = await addedPod()
    await likeFelix(added.pod.node)
    expect(await verdict(added, {}, (_, ...words) => tool(words))).toBe('ok')
  })

  test('where interfaces of other namespaces have the same numbers, and another name', async () => {
    const added = await addedPod()
    await likeFelix(added.pod.node)
    await configure(added.pod.node, `link set ${HOST_VETH} down\nlink set ${HOST_VETH} name vethforeign`)
    expect(await verdict(added)).toBe('ok')
  })

  test.each(['kube-ovn', 'bridge', 'cilium-cni'])('behind %s, whoever carries its packets', async (type) => {
    const added = await addedPod()
    await likeFelix(added.pod.node)
    expect(await verdict(added, chainAfter(type))).toBe('ok')
  })

  test('of a port of a bridge', async () => {
    const added = await addedPod()
    await likeFelix(added.pod.node)
    await configure(added.pod.node, `link add br0 type bridge\nlink set ${HOST_VETH} master br0`)
    expect(await verdict(added)).toBe('ok')
  })

  test('of a NIC that has no other end: a macvlan', async () => {
    const added = await addedPod()
    const { pod } = added
    await likeFelix(pod.node)
    await configure(
      pod.netns,
      `
      link del eth0
      link add lower type veth peer name other
      link add eth0 link lower type macvlan mode bridge
      link set lower up
      link set other up
      link set eth0 up`,
    )
    expect(await returnPathOf(added)).toEqual([])
  })

  test('of a veth whose other end is in the pod, too', async () => {
    const added = await addedPod()
    const { pod } = added
    await likeFelix(pod.node)
    await configure(pod.netns, `link del eth0\nlink add eth0 type veth peer name other\nlink set eth0 up`)
    expect(await returnPathOf(added)).toEqual([])
  })

  test('to an address that no plugin reported', async () => {
    const added = await addedPod()
    await configure(added.pod.netns, 'addr add 192.0.2.7/32 dev eth0\naddr add 2001:db8::7/128 dev eth0 nodad')
    expect(await verdict(added)).toBe('ok')
  })
})

describe('x-calico-route verify of a VM with KubeVirt’s bridge binding', () => {
  /** The NIC in a bridge by another name, and in its place a dummy with its addresses; where there is no such driver, an ifb. */
  const AS_KUBEVIRT = `
    link set eth0 down
    link set eth0 name eth0-nic
    link add k6t-eth0 type bridge
    link set eth0-nic master k6t-eth0
    link set eth0-nic up
    link add eth0 type ifb
    addr add ${POD[4]}/32 dev eth0`
  const IFB_FOR_DUMMY = throughSed('s/"info_kind":"ifb"/"info_kind":"dummy"/g')

  test.each([
    ['finds the return path to its address, which is in the guest', '', 'ok'],
    ['and finds it missing', `route del ${POD[4]}/32`, [missingReturnPath(POD[4], `via ${UNDERLAY[4]} dev eth0`)]],
  ])('%s', async (_, change, expected) => {
    const added = await addedPod()
    await configure(added.pod.netns, AS_KUBEVIRT)
    await configure(added.pod.node, change)
    using kernel = hostWhereIpIs(IFB_FOR_DUMMY)
    const asKernel = (node: string, ...words: string[]) =>
      tool([`--net=${netnsPath(node)}`, PLUGIN, ...words], { executable: 'nsenter', shell: kernel.via[4] ?? '' })
    expect(await verdict(added, {}, asKernel)).toEqual(expected)
  })
})

describe('of one pod', () => {
  const words = (pod: CalicoPod, file: string) => ['--netns', pod.path, '--ifname', 'eth0', file]

  test('verify tells of the return path as of any other difference', async () => {
    const { pod } = await addedPod()
    using files = scratch({ 'net.conflist': JSON.stringify(LIST) })
    const verify = (...more: string[]) => onNode(pod.node, 'verify', ...more, ...words(pod, files.file('net.conflist')))
    expect(await verify()).toEqual({ exitCode: 0, stdout: 'eth0: ok\n', stderr: '' })
    await likeFelix(pod.node)
    expect(await verify()).toEqual({
      exitCode: 1,
      stdout: [
        `eth0: ${missingReturnPath(POD[4], `via ${UNDERLAY[4]} dev eth0`)}\n`,
        `eth0: ${missingReturnPath(POD[6], `via ${UNDERLAY[6]} dev eth0`)}\n`,
      ].join(''),
      stderr: '',
    })
    expect(JSON.parse((await verify('-o', 'json')).stdout)).toMatchObject({
      state: 'differs',
      differences: [expect.stringContaining('no return path'), expect.stringContaining('no return path')],
    })
  })

  test('plan warns of it, where ADD is still to come', async () => {
    const pod = await calicoPod()
    const file = `${directory}/calico-underlay.yaml`
    const plan = async () => (await onNode(pod.node, 'plan', ...words(pod, file))).stdout
    expect(await plan()).not.toContain('warning: no return path')
    await likeFelix(pod.node)
    expect((await plan()).split('\n').filter((line) => line.includes('no return path'))).toEqual([
      `warning: ${missingReturnPath(POD[4], `via ${UNDERLAY[4]} dev eth0`)}`,
      `warning: ${missingReturnPath(POD[6], `via ${UNDERLAY[6]} dev eth0`)}`,
    ])
    expect((await tool(['plan', ...words(pod, file)])).stdout).not.toContain('no return path')
  })

  test('CAP_SYS_ADMIN is enough, as for all else', async () => {
    const { pod, result } = await addedPod()
    await likeFelix(pod.node)
    using cache = scratch({ one: cacheEntry('abc', pod.path, result) })
    const setpriv = ['setpriv', '--bounding-set=-all,+sys_admin', '--inh-caps=-all', PLUGIN]
    const verify = ['verify', '--cache', cache.directory]
    const { stdout, exitCode } = await tool([`--net=${netnsPath(pod.node)}`, ...setpriv, ...verify], {
      executable: 'nsenter',
    })
    expect({ stdout, exitCode }).toEqual({
      stdout: expect.stringContaining('no return path to 10.199.3.153'),
      exitCode: 1,
    })
  })
})
