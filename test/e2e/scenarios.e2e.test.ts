import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { INTERNET, UNDERLAY } from '../support/calico.ts'
import { oneIn } from '../support/examples.ts'
import { SERVICES } from '../support/more-nics.ts'
import { cnitoolBuilt, messageOf } from './cnitool.ts'
import { conflist, installPlugins, nic, type PluginConf, tuning, xCalicoRoute } from './conflist.ts'
import { Containerd } from './containerd.ts'
import { local, type Ran, TestNode } from './node.ts'
import { kubeOvn, startOvn, tracePaths } from './ovn.ts'

type Family = 4 | 6
const FAMILIES: { name: string; families: Family[] }[] = [
  { name: 'IPv4', families: [4] },
  { name: 'IPv6', families: [6] },
  { name: 'dual stack', families: [4, 6] },
]

const BEHIND_CALICO = { 4: ['10.199.0.0/16', '10.50.0.0/16'], 6: ['fd00:10:199::/64', 'fd00:10:50::/64'] } as const
const routesOf = (families: Family[]) => families.flatMap((family) => BEHIND_CALICO[family].map((dst) => ({ dst })))
const calico = (families: Family[]): PluginConf => ({
  ...nic.calico,
  ipam: { ...nic.calico.ipam, ranges: families.map((family) => nic.calico.ipam.ranges[family === 4 ? 0 : 1]) },
})
const ours = (conf: object): PluginConf => xCalicoRoute({ routes: [], ...conf })

/** The chains of the deployments, by the network they are. */
const chains = (families: Family[]) => {
  const gateway = {
    ...(families.includes(4) && { ipv4: '10.0.1.1' }),
    ...(families.includes(6) && { ipv6: 'fd00:10:0:1::1' }),
  }
  const routes = routesOf(families)
  return {
    calico: [calico(families), ours({ routes }), tuning],
    'calico-restore': [calico(families), ours({ routes, ovnGateway: 'auto' }), tuning],
    'calico-plain': [calico(families)],
    'ovn-gateway': [kubeOvn(families, { default: false }), ours({ ovnGateway: gateway })],
    // a metric that leaves Calico's place free, for a runtime that attaches both at once
    'ovn-late': [kubeOvn(families, { default: false }), ours({ ovnGateway: { ...gateway, priority: 4096 } })],
    'ovn-auto': [kubeOvn(families, { default: true }), ours({ ovnGateway: 'auto' })],
    'ovn-demote': [kubeOvn(families, { default: true }), ours({ defaultRoute: 'demote' })],
    'ovn-plain': [kubeOvn(families, { default: true })],
  } satisfies Record<string, PluginConf[]>
}
type Network = keyof ReturnType<typeof chains>

/** What every deployment is for: the underlay by Calico's NIC only, everything else by OVN's only. */
const separatePaths = (families: Family[], calicoNic: string, ovnNic: string) =>
  Object.fromEntries(
    families.flatMap((family) => [
      [UNDERLAY[family], expect.stringMatching(`^underlay sees .*, 5 packets by ${calicoNic}$`)],
      [INTERNET[family], expect.stringMatching(`^internet sees .*, 5 packets by ${ovnNic}$`)],
    ]),
  )
const withoutUnderlay = (families: Family[], ovnNic: string) =>
  Object.fromEntries(
    families.map((family) => [INTERNET[family], expect.stringMatching(`^internet sees .*, 5 packets by ${ovnNic}$`)]),
  )
const withoutInternet = (families: Family[], calicoNic: string) => ({
  ...separatePaths(families, calicoNic, '-'),
  ...Object.fromEntries(families.map((family) => [INTERNET[family], 'ENETUNREACH, no packets'])),
})
const internet = (families: Family[]) => families.map((family) => INTERNET[family])
const everywhere = (families: Family[]) => families.flatMap((family) => [UNDERLAY[family], INTERNET[family]])

/** What was seen, a line for each pod at each stage: answered by whom, and how many packets left by which NIC. */
const table: Record<string, string>[] = []
afterAll(() => console.table(table))

const COLUMNS: Record<string, string> = {
  [UNDERLAY[4]]: 'underlay IPv4',
  [INTERNET[4]]: 'internet IPv4',
  [UNDERLAY[6]]: 'underlay IPv6',
  [INTERNET[6]]: 'internet IPv6',
}

/** Follows a pod's packets to where they are answered, for the expectation and for the table at the end. */
async function trace(node: TestNode, netns: string, scenario: string, client: string, addresses: string[]) {
  const seen = await tracePaths(node, netns, ...addresses)
  const short = (answer: string) => answer.replace(/ sees .*, (\d+) packets by (\w+)/, ', $1 by $2')
  const cells: Record<string, string> = {}
  for (const [address, answer] of Object.entries(seen)) {
    const column = COLUMNS[address]
    if (column) cells[column] = short(answer)
    else cells.others = [cells.others, `${address}: ${short(answer)}`].filter(Boolean).join('; ')
  }
  table.push({ scenario, client, ...cells })
  return seen
}

describe.skipIf(!cnitoolBuilt)('with a real OVN beside Calico’s wiring, attached by cnitool', () => {
  let node: TestNode
  let pods = 0
  beforeAll(async () => {
    node = await TestNode.start(async (started) => {
      await installPlugins(started, local('../../.cache/e2e/bin'))
      await startOvn(started)
    })
    for (const address of Object.values(SERVICES)) await node.run(['ip', 'addr', 'add', address, 'dev', 'lo'])
  })
  afterAll(() => node.close())

  /** The plugins of the example as they are. The node answers for the Services, that nobody is there. */
  const PTP: PluginConf[] = oneIn('ptp-services.conflist', 'plugin list').plugins
  const BY_PTP = Object.fromEntries(Object.values(SERVICES).map((one) => [one, 'ECONNREFUSED, 5 packets by eth0']))

  /** What is still to be detached after a test, the last first. That it may be detached already is part of what is tested. */
  const attached: (() => Promise<Ran>)[] = []
  afterEach(async () => {
    for (let detach = attached.pop(); detach; detach = attached.pop()) await detach()
  })

  /** A pod, to which networks are attached and from which they are detached by name. */
  const podOf = async <More extends string = never>(families: Family[], more?: Record<More, PluginConf[]>) => {
    const name = `pod${++pods}`
    const netns = await node.pod(name)
    const networks = new Map(
      Object.entries<PluginConf[]>({ ...chains(families), ...more }).map(([network, plugins]) => {
        const unique = `${network}-${families.join('')}`
        node.write(`/etc/cni/net.d/${unique}.conflist`, conflist(unique, '1.0.0', ...plugins))
        return [network, unique]
      }),
    )
    type Known = Network | More
    const call = (verb: string, network: Known, ifname: string, reject: boolean): Promise<Ran> =>
      node.run(['/opt/cni/bin/cnitool', verb, networks.get(network) ?? '', netns], {
        env: { CNI_PATH: '/opt/cni/bin', CNI_IFNAME: ifname },
        reject,
      })
    const attach = (network: Known, ifname: string, reject = true) => {
      attached.push(() => call('del', network, ifname, true))
      return call('add', network, ifname, reject)
    }
    return {
      netns,
      attach,
      detach: (network: Known, ifname: string) => call('del', network, ifname, true),
      check: (network: Known, ifname: string) => call('check', network, ifname, true),
      /** The tool for people, of all pods there are; it says nothing of what is right. */
      verify: () => node.run(['/opt/cni/bin/x-calico-route', 'verify', '--quiet'], { reject: false }),
      tryToAttach: (network: Known, ifname: string) => attach(network, ifname, false),
      trace: (scenario: string) => trace(node, netns, scenario, 'cnitool', everywhere(families)),
      traceTo: (scenario: string, ...addresses: string[]) => trace(node, netns, scenario, 'cnitool', addresses),
      address: async (ifname: string) => {
        const { stdout } = await node.inPod(netns, ['ip', '-4', '-o', 'addr', 'show', 'dev', ifname])
        return / inet (\S+)\//.exec(stdout)?.[1] ?? ''
      },
      defaults: async () => {
        const { stdout } = await node.inPod(netns, ['ip', '-o', 'route', 'show', 'table', 'main', 'default'])
        const six = await node.inPod(netns, ['ip', '-6', '-o', 'route', 'show', 'table', 'main', 'default'])
        const lines = `${stdout}${six.stdout}`.split('\n')
        return lines.map((line) => line.replaceAll(/ pref medium| {2,}/g, ' ').trim()).filter(Boolean)
      },
    }
  }
  const ovnDefaults = (families: Family[], nic: string, proto = '') =>
    families.map((family) =>
      family === 4
        ? `default via 10.0.1.1 dev ${nic}${proto}`
        : `default via fd00:10:0:1::1 dev ${nic}${proto} metric 1024`,
    )

  describe.each(FAMILIES)('$name', ({ families, name }) => {
    it('without x-calico-route, one of the two networks is out of reach', async () => {
      const pod = await podOf(families)
      await pod.attach('calico-plain', 'eth0')
      await pod.attach('ovn-plain', 'net1')
      const seen = await pod.trace(`none, Calico then OVN, ${name}`)
      expect(seen).not.toMatchObject(separatePaths(families, 'eth0', 'net1'))
    })

    it.each(['ovn-gateway', 'ovn-auto'] as const)('Calico first, then OVN (%s)', async (ovn) => {
      const pod = await podOf(families)
      await pod.attach('calico', 'eth0')
      await pod.attach(ovn, 'net1')
      expect(await pod.defaults()).toEqual(ovnDefaults(families, 'net1', ovn === 'ovn-gateway' ? ' proto 143' : ''))
      expect(await pod.trace(`Calico then ${ovn}, ${name}`)).toEqual(separatePaths(families, 'eth0', 'net1'))
      await pod.check('calico', 'eth0')
      await pod.check(ovn, 'net1')
      expect(await pod.verify()).toEqual({ exitCode: 0, stdout: '', stderr: '' })

      await pod.detach(ovn, 'net1')
      expect(await pod.trace(`Calico then ${ovn}, OVN unplugged, ${name}`)).toEqual(withoutInternet(families, 'eth0'))
      await pod.attach(ovn, 'net1')
      expect(await pod.trace(`Calico then ${ovn}, OVN plugged again, ${name}`)).toEqual(
        separatePaths(families, 'eth0', 'net1'),
      )
      await pod.detach('calico', 'eth0')
      expect(await pod.traceTo(`Calico then ${ovn}, Calico unplugged, ${name}`, ...internet(families))).toEqual(
        withoutUnderlay(families, 'net1'),
      )
      await pod.detach(ovn, 'net1')
      expect(await pod.defaults()).toEqual([])
    })

    // The natural order, with Multus' names: the pod's first network is eth0.
    it('OVN first, then Calico: refused without demotion', async () => {
      const pod = await podOf(families)
      await pod.attach('ovn-plain', 'eth0')
      expect(messageOf(await pod.tryToAttach('calico-restore', 'net1'))).toContain('File exists')
      await pod.detach('calico-restore', 'net1')
      expect(await pod.defaults()).toEqual(ovnDefaults(families, 'eth0'))
    })

    it('OVN first, then Calico: demoted, let in, restored', async () => {
      const pod = await podOf(families)
      await pod.attach('ovn-demote', 'eth0')
      expect(await pod.traceTo(`OVN demoted, Calico never comes, ${name}`, ...internet(families))).toEqual(
        withoutUnderlay(families, 'eth0'),
      )
      await pod.attach('calico-restore', 'net1')
      expect(await pod.defaults()).toEqual(ovnDefaults(families, 'eth0', ' proto 145'))
      expect(await pod.trace(`OVN then Calico, ${name}`)).toEqual(separatePaths(families, 'net1', 'eth0'))
      await pod.check('ovn-demote', 'eth0')
      await pod.check('calico-restore', 'net1')
      expect(await pod.verify()).toEqual({ exitCode: 0, stdout: '', stderr: '' })

      await pod.detach('calico-restore', 'net1')
      expect(await pod.traceTo(`OVN then Calico, Calico unplugged, ${name}`, ...internet(families))).toEqual(
        withoutUnderlay(families, 'eth0'),
      )
      await pod.attach('calico-restore', 'net1')
      expect(await pod.trace(`OVN then Calico, Calico plugged again, ${name}`)).toEqual(
        separatePaths(families, 'net1', 'eth0'),
      )
      await pod.detach('calico-restore', 'net1')
      await pod.detach('ovn-demote', 'eth0')
      expect(await pod.defaults()).toEqual([])
    })
  })

  describe('a macvlan NIC on a network of its own', () => {
    const OUTSIDE = ['172.16.3', '172.16.4'] as const
    const six = (prefix: string) => `fd00:${prefix.replaceAll('.', ':')}::`
    beforeAll(async () => {
      const links = OUTSIDE.map(
        (prefix, index) => `
        ip link add outside${index} type veth peer name outside${index} netns underlay
        ip link set outside${index} up
        ip -n underlay link set outside${index} up
        ip -n underlay addr add ${prefix}.2/24 dev outside${index}
        ip -n underlay addr add ${six(prefix)}2/64 dev outside${index} nodad`,
      )
      await node.run(['sh', '-ec', links.join('\n')])
    })
    const macvlan = (index: 0 | 1, families: Family[] = [4]): PluginConf => {
      const prefix = OUTSIDE[index]
      const ranges = {
        4: [{ subnet: `${prefix}.0/24`, rangeStart: `${prefix}.101`, gateway: `${prefix}.2` }],
        6: [{ subnet: `${six(prefix)}/64`, rangeStart: `${six(prefix)}101`, gateway: `${six(prefix)}2` }],
      }
      const routes = families.map((family) => ({ dst: family === 4 ? '0.0.0.0/0' : '::/0' }))
      const ipam = { type: 'host-local', ranges: families.map((family) => ranges[family]), routes }
      return { type: 'macvlan', master: `outside${index}`, ipam }
    }

    it('with addresses of another plugin takes the default that Calico’s NIC gives up', async () => {
      const pod = await podOf([4], { direct: [macvlan(1)] })
      await pod.attach('calico', 'eth0')
      await pod.attach('direct', 'net1')
      expect(await pod.defaults()).toEqual(['default via 172.16.4.2 dev net1'])
      expect(await pod.trace('Calico and macvlan, IPv4')).toEqual({
        [UNDERLAY[4]]: expect.stringMatching(/^underlay sees 10\.199\..*, 5 packets by eth0$/),
        [INTERNET[4]]: expect.stringMatching(/^underlay sees 172\.16\.4\..*, 5 packets by net1$/),
      })
    })

    it.each([
      { title: 'ptp first', order: ['services', 'direct'] },
      { title: 'ptp second, whose default routes are joined with those of macvlan', order: ['direct', 'services'] },
    ] as const)('leads everywhere but to the Services, which are behind ptp: $title', async ({ title, order }) => {
      const pod = await podOf([4, 6], { services: PTP, direct: [macvlan(1, [4, 6])] })
      for (const network of order) await pod.attach(network, network === 'services' ? 'eth0' : 'net1')
      expect(await pod.defaults()).toEqual([
        'default via 172.16.4.2 dev net1',
        'default via fd00:172:16:4::2 dev net1 metric 1024',
      ])
      expect(await pod.traceTo(`macvlan and ${title}`, ...Object.values(SERVICES), ...internet([4, 6]))).toEqual({
        ...BY_PTP,
        [INTERNET[4]]: expect.stringMatching(/^underlay sees 172\.16\.4\..*, 5 packets by net1$/),
        [INTERNET[6]]: expect.stringMatching(/^underlay sees fd00:172:16:4::.*, 5 packets by net1$/),
      })
      await pod.check('services', 'eth0')
      expect(await pod.verify()).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    })

    it('of a NAT gateway has the only default, and the VPC is behind eth0', async () => {
      const vpc = [kubeOvn([4]), ours({ routes: [{ dst: '10.0.0.0/16' }] })]
      const pod = await podOf([4], { vpc, outside: [macvlan(0)] })
      const other = await podOf([4])
      await other.attach('ovn-plain', 'eth0')
      await pod.attach('vpc', 'eth0')
      await pod.attach('outside', 'net1')
      expect(await pod.defaults()).toEqual(['default via 172.16.3.2 dev net1'])
      const neighbour = await other.address('eth0')
      expect(await pod.traceTo('NAT gateway, IPv4', INTERNET[4], neighbour, '10.0.9.9')).toEqual({
        [INTERNET[4]]: expect.stringMatching(/^underlay sees 172\.16\.3\..*, 5 packets by net1$/),
        [neighbour]: 'ECONNREFUSED, 5 packets by eth0', // the other pod of the VPC answers, where nobody listens
        '10.0.9.9': expect.stringMatching(/5 packets by eth0$/),
      })
      await pod.check('vpc', 'eth0')
    })
  })

  it('a ptp NIC leads to the Services only, and OVN has the default', async () => {
    const pod = await podOf([4, 6], { services: PTP })
    await pod.attach('services', 'eth0')
    await pod.attach('ovn-auto', 'net1')
    expect(await pod.defaults()).toEqual(ovnDefaults([4, 6], 'net1'))
    expect(await pod.traceTo('ptp and OVN, dual stack', ...Object.values(SERVICES), ...internet([4, 6]))).toEqual({
      ...BY_PTP,
      ...withoutUnderlay([4, 6], 'net1'),
    })
    await pod.check('services', 'eth0')
    expect(await pod.verify()).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  })
})

describe('with a real OVN beside Calico’s wiring, in containers of containerd', () => {
  let containerd: Containerd
  beforeAll(async () => {
    containerd = await Containerd.start()
    await startOvn(containerd.node)
  })
  afterAll(() => containerd.node.close())

  it.each(FAMILIES)('both networks attached at once, the gateway with a metric of its own: $name', async (row) => {
    const { families, name } = row
    const { calico: first, 'ovn-late': second } = chains(families)
    // so that the two copies of the plugin really work in one pod at one time
    const together: PluginConf = { type: 'test-together', interfaces: ['eth0', 'eth1'] }
    const meet = ([made, ...rest]: PluginConf[]) => [made as PluginConf, together, ...rest]
    await containerd.configure(
      conflist(`calico-${families.join('')}`, '1.0.0', ...meet(first)),
      conflist(`ovn-${families.join('')}`, '1.0.0', ...meet(second)),
    )
    for (let round = 0; round < 3; round += 1) {
      const id = await containerd.cri.runSandbox(`pod-${families.join('')}-${round}`)
      const { netns } = await containerd.cri.sandbox(id)
      const scenario = `both at once, ${name}, pod ${round + 1}`
      expect(await trace(containerd.node, netns, scenario, 'containerd', everywhere(families))).toEqual(
        separatePaths(families, 'eth0', 'eth1'),
      )
      await containerd.cri.stopSandbox(id)
      await containerd.cri.removeSandbox(id)
    }
  })
})
