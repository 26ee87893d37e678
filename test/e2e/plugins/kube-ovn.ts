/**
 * CNI plugin that makes a port of a real OVN, as kube-ovn's daemon does, and prints kube-ovn's Result. Addresses come from the
 * configuration's IPAM plugin, "socket" is the databases'. These keys may be the argument: what only kube-ovn's daemon knows, not
 * the network's configuration. "default", by default for eth0 only, as with kube-ovn:
 * - true: the default route takes the place of whoever's has its metric; the Result tells the gateway;
 * - false: connected routes only, and no gateway.
 * @see https://github.com/kubeovn/kube-ovn/blob/master/pkg/daemon/ovs_linux.go
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { podAnnotations } from './api-server.ts'
import { type Conf, call, fail, ipam, print, type Result, readConf, version } from './cni.ts'

const { ifname, netns } = call
const id = createHash('sha1').update(`${call.container} ${ifname}`).digest('hex').slice(0, 11)
const nodeEnd = `o${id}`
let socket = ''
const mac = `00:00:00:${id.slice(0, 2)}:${id.slice(2, 4)}:${id.slice(4, 6)}`

const ip = (...lines: string[]) => execFileSync('ip', ['-batch', '-'], { input: lines.join('\n') })
const inPod = (command: string, args: string[], input = '') =>
  execFileSync('nsenter', [`--net=${netns}`, command, ...args], { input, encoding: 'utf8' })
const vsctl = (...args: string[]) => execFileSync('ovs-vsctl', [`--db=${socket}`, '--timeout=30', ...args])
const nbctl = (...args: string[]) => execFileSync('ovn-nbctl', [`--db=${socket}`, '--timeout=30', ...args])

/** With "provider", as kube-ovn's daemon decides it: by the pod's annotation, of which it asks the API server. */
async function isDefaultOf(conf: Conf): Promise<boolean> {
  if (typeof conf.default === 'boolean') return conf.default
  const annotation = conf.provider && (await podAnnotations())[`${conf.provider}.kubernetes.io/default_route`]
  return annotation ? annotation === 'true' : ifname === 'eth0'
}

function wire(addresses: string[], gateways: string[]): void {
  ip(`link add ${nodeEnd} mtu 1400 type veth peer name ${ifname} address ${mac} mtu 1400 netns ${netns}`)
  inPod('sh', ['-ec', `echo 0 >/proc/sys/net/ipv6/conf/${ifname}/accept_dad; ethtool -K ${ifname} tx off >/dev/null`])
  // up first, on both ends: an IPv6 address older than its link's carrier answers nobody for a second
  inPod('ip', ['link', 'set', ifname, 'up'])
  ip(`link set ${nodeEnd} up`)
  const hosts = addresses.map((address) => address.replace(/\/.*/, '')).join(' ')
  nbctl(
    ...['lsp-add', 'ls-vpc', id, '--', 'lsp-set-addresses', id, `${mac} ${hosts}`],
    ...['--', 'lsp-set-port-security', id, `${mac} ${hosts}`],
  )
  vsctl('add-port', 'br-int', nodeEnd, '--', 'set', 'Interface', nodeEnd, `external_ids:iface-id=${id}`)
  nbctl('wait-until', 'Logical_Switch_Port', id, 'up=true')
  nbctl('--wait=hv', 'sync')
  const lines = [
    ...addresses.map((address) => `addr add ${address} dev ${ifname}`),
    ...gateways.map((gw) => `route replace ${gw.includes(':') ? '::/0' : '0.0.0.0/0'} via ${gw} dev ${ifname}`),
  ]
  inPod('ip', ['-batch', '-'], lines.join('\n'))
}

function unwire(): void {
  vsctl('--if-exists', 'del-port', 'br-int', nodeEnd)
  nbctl('--if-exists', 'lsp-del', id)
  // its peer in the pod goes with it; that it is gone already is no error
  if (execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' }).includes(` ${nodeEnd}@`)) ip(`link del ${nodeEnd}`)
}

interface KernelRoute {
  dst: string
  gateway?: string
}

/** As kube-ovn does, the routes are read back from the kernel. */
function result(conf: Conf, given: Result, isDefault: boolean): Result {
  const families = ['-4', '-6'].map((family) => JSON.parse(inPod('ip', [family, '-j', 'route', 'show', 'dev', ifname])))
  const routes = (families.flat() as KernelRoute[]).filter(({ dst }) => !dst.startsWith('fe80:'))
  return {
    cniVersion: conf.cniVersion,
    interfaces: [{ name: ifname, mac, sandbox: netns }],
    ips: (given.ips ?? []).map(({ address, gateway }) => ({
      ...(conf.cniVersion.startsWith('0.') ? { version: address.includes(':') ? '6' : '4' } : {}),
      interface: 0,
      address,
      ...(isDefault && gateway !== undefined ? { gateway } : {}),
    })),
    routes: routes.map(({ dst, gateway }) => ({
      dst: dst !== 'default' ? dst : gateway?.includes(':') ? '::/0' : '0.0.0.0/0',
      ...(gateway === undefined ? {} : { gw: gateway }),
    })),
  }
}

if (call.command === 'VERSION') version()
else {
  const conf: Conf = { ...readConf(), ...JSON.parse(process.argv[2] ?? '{}') }
  socket = String(conf.socket)
  if (call.command === 'ADD') {
    const isDefault = await isDefaultOf(conf).catch((error) => fail(conf, 11, String(error)))
    const given: Result = JSON.parse(ipam(conf, 'ADD'))
    try {
      wire(
        (given.ips ?? []).map(({ address }) => address),
        isDefault ? (given.ips ?? []).flatMap(({ gateway }) => gateway ?? []) : [],
      )
    } catch (error) {
      unwire()
      ipam(conf, 'DEL')
      fail(conf, 11, String((error as { stderr?: Buffer }).stderr ?? error))
    }
    print(result(conf, given, isDefault))
  } else if (call.command === 'DEL') {
    unwire()
    ipam(conf, 'DEL')
  } else if (call.command === 'CHECK') {
    inPod('ip', ['link', 'show', ifname])
  }
}
