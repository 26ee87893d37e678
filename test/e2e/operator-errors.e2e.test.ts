import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Cnitool, cnitoolBuilt, messageOf } from './cnitool.ts'
import { conflist, nic, type PluginConf, xCalicoRoute } from './conflist.ts'
import { local } from './node.ts'
import { inventory } from './pod.ts'

/** docs/troubleshooting.md shows what these tests make; with UPDATE_DOCS=1 they write it there. */
const PAGE = local('../../docs/troubleshooting.md')
const BLOCK = /(?<=<!-- operator-errors:begin -->\n).*(?=<!-- operator-errors:end -->)/s

const DST = '10.50.0.0/16'

/** A mistake in our configuration, or in what surrounds it: the chain, the pod, the node. */
interface Mistake {
  readonly title: string
  readonly conf?: { readonly routes?: object[]; readonly defaultRoute?: string }
  readonly chain?: (ours: PluginConf) => PluginConf[]
  readonly cniVersion?: string
  readonly pod?: string
  readonly via?: readonly string[]
}

const routes = (...list: object[]) => ({ routes: list })

/** Runs a command as on a node that lacks the package iproute2. */
const WITHOUT_IP = [
  'unshare',
  '--mount',
  'sh',
  '-ec',
  `mkdir -p /run/usr/upper /run/usr/work
  mount -t overlay -o lowerdir=/usr,upperdir=/run/usr/upper,workdir=/run/usr/work overlay /usr
  rm -f /usr/bin/ip /usr/sbin/ip /bin/ip /sbin/ip
  exec "$0" "$@"`,
]

const IPV4_ONLY = { ...nic.calico, ipam: { ...nic.calico.ipam, ranges: nic.calico.ipam.ranges.slice(0, 1) } }

const MISTAKES: Mistake[] = [
  { title: 'a host where a network belongs', conf: routes({ dst: '10.50.31.21/16' }) },
  { title: 'a misspelt key', conf: routes({ dst: DST, gateway: '169.254.1.1' }) },
  { title: 'an unknown word', conf: { defaultRoute: 'delete' } },
  { title: 'the same route twice', conf: routes({ dst: DST }, { dst: DST, mtu: 1400 }) },
  { title: 'a gateway of the other family', conf: routes({ dst: DST, gw: 'fe80::1' }) },
  { title: 'a gateway that the NIC does not reach directly', conf: routes({ dst: DST, gw: '10.50.0.1' }) },
  { title: "a source address that is not the pod's", conf: routes({ dst: DST, src: '10.199.9.9' }) },
  {
    title: 'an IPv6 route for a NIC that has no IPv6',
    conf: routes({ dst: 'fd00:10:50::/48' }),
    chain: (ours) => [IPV4_ONLY, ours],
  },
  {
    title: 'a route that another NIC of the pod has',
    conf: routes({ dst: DST }),
    pod: `ip link add net1 type veth; ip link set net1 up; ip route add ${DST} dev net1`,
  },
  { title: 'x-calico-route first in the chain', chain: (ours) => [ours] },
  { title: 'a conflist older than CNI 0.3', cniVersion: '0.2.0', chain: (ours) => [nic.ptp, ours] },
  { title: 'a node without the package iproute2', chain: (ours) => [nic.ptp, ours], via: WITHOUT_IP },
]

/** The part of a configuration that is the mistake, as an operator writes it. */
function written({ conf = {} }: Mistake): string {
  const parts = conf.routes ?? (conf.defaultRoute ? [conf] : [])
  const json = parts.map((part) => JSON.stringify(part, null, 1).replaceAll(/\n */g, ' '))
  return json.length > 0 ? `: \`${json.join(', ')}\`` : ''
}

describe.skipIf(!cnitoolBuilt)('the errors that operators see', () => {
  let cnitool: Cnitool
  beforeEach(async () => {
    cnitool = await Cnitool.start()
  })
  afterEach(() => cnitool.node.close())

  const provoke = async (mistake: Mistake) => {
    const { conf, chain = (ours) => [nic.calico, ours], cniVersion = '1.0.0', pod, via } = mistake
    const network = cnitool.configure(conflist('k8s-pod-network', cniVersion, ...chain(xCalicoRoute(conf))))
    const netns = await cnitool.node.pod('testvm')
    if (pod) await cnitool.node.inPod(netns, ['sh', '-ec', pod])
    const message = messageOf(await cnitool.run('add', network, netns, via))
    expect(await cnitool.run('del', network, netns)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    await cnitool.node.run(['ip', 'netns', 'del', 'testvm'])
    // the same addresses for every mistake, so that the messages do not depend on their order
    await cnitool.node.run(['rm', '-rf', '/var/lib/cni/networks'])
    return message
  }

  it('say what is wrong and what to do, as docs/troubleshooting.md shows them', async () => {
    const before = await inventory(cnitool.node)
    let document = ''
    for (const mistake of MISTAKES) {
      const message = await provoke(mistake)
      expect(message).toMatch(/^plugin type="x-calico-route" failed \(add\): \S.*$/)
      document += `- ${mistake.title}${written(mistake)}\n\n  \`\`\`text\n  ${message}\n  \`\`\`\n`
    }
    expect(await inventory(cnitool.node)).toEqual(before)
    if (process.env.UPDATE_DOCS)
      writeFileSync(
        PAGE,
        readFileSync(PAGE, 'utf8').replace(BLOCK, () => document),
      )
    const shown = BLOCK.exec(readFileSync(PAGE, 'utf8'))?.[0]
    expect(shown, 'to write them, run UPDATE_DOCS=1 npm test -- e2e/operator-errors').toBe(document)
  })
})
