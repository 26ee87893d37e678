import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { conflist, nic, type PluginConf, tuning, witness, xCalicoRoute } from './conflist.ts'
import { Containerd } from './containerd.ts'
import { type Attachment, cachedResult, inventory, REACH_ALL, REACH_SERVICE, reach, routes } from './pod.ts'

const LOG = { logFile: '/run/x-calico-route.log' }

interface Around {
  before?: PluginConf[]
  after?: PluginConf[]
}

/** Calico's NIC, which must end with underlay routes only... */
const calico = (cniVersion: string, { before = [], after = [] }: Around) =>
  conflist('k8s-pod-network', cniVersion, nic.calico, ...before, xCalicoRoute(LOG), ...after, tuning)

/** ...and, attached at the same time, a second NIC that has a default route of its own and keeps it. */
const second = ({ before = [], after = [] }: Around) => {
  const bridge = { ...nic.bridge, ipam: { ...nic.bridge.ipam, routes: [] } }
  const byMetric = { type: 'test-default-route', metric: 4096 }
  const ours = xCalicoRoute({
    ...LOG,
    defaultRoute: 'keep',
    routes: [{ dst: '192.0.2.0/24' }, { dst: '2001:db8:2::/64', priority: 50 }],
  })
  return conflist('second', '1.0.0', bridge, byMetric, ...before, ours, ...after)
}

const ETH0 = [
  '169.254.1.1 scope link',
  '198.51.100.0/24 via 169.254.1.1 proto 142',
  '2001:db8:51::/64 via fe80::ecee:eeff:feee:eeee proto 142 metric 1024',
  expect.stringMatching(/^fd00:10:199::[0-9a-f]+ proto kernel metric 256$/),
]
const ETH1 = [
  expect.stringMatching(/^10\.197\.0\.0\/24 proto kernel scope link src 10\.197\.0\.\d+$/),
  '192.0.2.0/24 via 10.197.0.1 proto 142',
  '2001:db8:2::/64 via fd00:10:197::1 proto 142 metric 50',
  'default via 10.197.0.1 metric 4096',
  'default via fd00:10:197::1 metric 4096',
  'fd00:10:197::/64 proto kernel metric 256',
]

describe("containerd's CRI", () => {
  let containerd: Containerd
  beforeEach(async () => {
    containerd = await Containerd.start()
  })
  afterEach(() => containerd.node.close())

  const attached = async (id: string): Promise<Attachment> => {
    const { netns } = await containerd.cri.sandbox(id)
    return { node: containerd.node, netns }
  }
  const cached = (network: string, id: string, ifname: string) => cachedResult(containerd.node, network, ifname, id)
  const witnessed = (id: string) =>
    containerd.node
      .read('/run/witness.jsonl')
      .split('\n')
      .filter((line) => line.includes(id))
      .map((line) => JSON.parse(line) as { command: string; netns: string; ifname: string })

  /** Whether the two ADDs of one pod were at work at the same time, as their log records have it. */
  const overlapped = (id: string) => {
    const [one, other] = containerd.node
      .read(LOG.logFile)
      .split('\n')
      .filter((line) => line.includes(id) && line.includes('"ADD"'))
      .map((line) => JSON.parse(line) as { time: string; durationMs: number })
      .map(({ time, durationMs }) => ({ start: Date.parse(time) - durationMs, end: Date.parse(time) }))
    return one !== undefined && other !== undefined && one.start < other.end && other.start < one.end
  }

  it.each(['0.3.1', '0.4.0', '1.0.0'])(
    'runs, stops twice and removes a sandbox at cniVersion %s',
    async (cniVersion) => {
      await containerd.configure(calico(cniVersion, { after: [witness] }))
      const before = await inventory(containerd.node)

      const id = await containerd.cri.runSandbox('testvm')
      const pod = await attached(id)
      expect(await routes(pod, 'eth0')).toEqual(ETH0)
      expect(await reach(pod)).toEqual(REACH_SERVICE)
      expect(cached('k8s-pod-network', id, 'eth0')).toMatchObject({
        cniVersion,
        routes: [
          { dst: '198.51.100.0/24', gw: '169.254.1.1' },
          { dst: '2001:db8:51::/64', gw: 'fe80::ecee:eeff:feee:eeee' },
        ],
      })
      const { addresses } = await containerd.cri.sandbox(id)
      expect(addresses).toEqual([expect.stringMatching(/^10\.199\.3\./), expect.stringMatching(/^fd00:10:199::/)])

      await containerd.cri.stopSandbox(id)
      await containerd.cri.stopSandbox(id)
      await containerd.cri.removeSandbox(id)
      const deletes = witnessed(id).filter(({ command }) => command === 'DEL')
      expect(deletes.map(({ netns }) => netns)).toEqual([pod.netns, '', ''])
      expect(await inventory(containerd.node)).toEqual(before)
    },
  )

  it('attaches two conflists in parallel, with two copies of the plugin at work in one pod', async () => {
    const before = [{ type: 'test-together', interfaces: ['eth0', 'eth1'] }]
    await containerd.configure(calico('0.3.1', { before }), second({ before }))
    const empty = await inventory(containerd.node)

    const pods: string[] = []
    for (let round = 0; round < 12; round += 1) {
      const ids = await Promise.all([0, 1, 2].map((pod) => containerd.cri.runSandbox(`pod-${round}-${pod}`)))
      for (const id of ids) {
        const pod = await attached(id)
        expect(await routes(pod, 'eth0')).toEqual(ETH0)
        expect(await routes(pod, 'eth1')).toEqual(ETH1)
        // by eth0 to the service, by eth1's default route to everything else
        expect(await reach(pod)).toEqual(REACH_ALL)
        expect(cached('k8s-pod-network', id, 'eth0').routes?.map(({ dst }) => dst)).not.toContain('0.0.0.0/0')
        expect(cached('second', id, 'eth1').routes?.map(({ dst }) => dst)).toContain('0.0.0.0/0')
      }
      await Promise.all(
        ids.map(async (id) => {
          await containerd.cri.stopSandbox(id)
          await containerd.cri.removeSandbox(id)
        }),
      )
      pods.push(...ids)
    }
    expect(await inventory(containerd.node)).toEqual(empty)
    expect(pods.filter(overlapped)).not.toEqual([])
  })

  it.each(['eth0', 'eth1'])('leaves nothing when the plugin after us fails on %s', async (ifname) => {
    await containerd.configure(calico('1.0.0', { after: [witness] }), second({ after: [witness] }))
    const before = await inventory(containerd.node)
    containerd.node.write('/run/failing', ifname)

    await expect(containerd.cri.runSandbox('failing')).rejects.toThrow(
      'plugin type="test-witness" failed (add): made to fail',
    )
    expect(await containerd.cri.sandboxes()).toEqual([])
    expect(await inventory(containerd.node)).toEqual(before)
  })

  it("gives kubelet our message for the pod's event", async () => {
    await containerd.configure(
      conflist('k8s-pod-network', '1.0.0', nic.calico, xCalicoRoute({ routes: [{ dst: '198.51.100.21/24' }] })),
    )
    const before = await inventory(containerd.node)
    await expect(containerd.cri.runSandbox('wrong')).rejects.toThrow(
      /^RunPodSandbox: failed to setup network for sandbox "\w+": plugin type="x-calico-route" failed \(add\): routes\[0\]\.dst/,
    )
    expect(await inventory(containerd.node)).toEqual(before)
  })
})
