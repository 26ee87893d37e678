/**
 * CNI plugin that wires a pod as Calico's Linux data plane does, and prints Calico's Result. Addresses come from the
 * configuration's IPAM plugin; if that is calico-ipam, from the pool that is the argument: host-local's configuration.
 * "release" says whose Result to print:
 * - "3.30" and older: the host's veth by name, no sandbox, addresses that belong to no interface;
 * - "3.31": the pod's interface as well;
 * - "3.32" (default): and routes that are none: each address with the mask of its IPAM block.
 * As Calico does, it fails in a pod that has a default route.
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/dataplane/linux/dataplane_linux.go
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { type Conf, call, fail, ipam, print, type Result, readConf, version } from './cni.ts'

// the link-local address of ee:ee:ee:ee:ee:ee, which every host veth bears
const GATEWAY = { 4: '169.254.1.1', 6: 'fe80::ecee:eeff:feee:eeee' } as const
const BITS = { 4: 32, 6: 128 } as const
const BLOCK = { 4: 26, 6: 122 } as const

const hostVeth = `cali${createHash('sha1').update(`${call.container} ${call.ifname}`).digest('hex').slice(0, 11)}`
const family = (address: string) => (address.includes(':') ? 6 : 4)

const ip = (lines: string[]) => execFileSync('ip', ['-batch', '-'], { input: lines.join('\n') })
const inPod = (command: string, args: string[], input = '') =>
  execFileSync('nsenter', [`--net=${call.netns}`, command, ...args], { input, encoding: 'utf8' })

/** calico-ipam, by host-local: the addresses of all Calico networks of the node are of one store. */
function withPool(conf: Conf): Conf {
  if (conf.ipam?.type !== 'calico-ipam') return conf
  const pool = JSON.parse(process.argv[2] ?? '') as { type: string; ranges: { subnet: string }[][] }
  const { assign_ipv4 = 'true', assign_ipv6 = 'false' } = conf.ipam
  const assigned = { 4: assign_ipv4 === 'true', 6: assign_ipv6 === 'true' }
  const ranges = pool.ranges.filter((range) => range.every(({ subnet }) => assigned[family(subnet)]))
  return { ...conf, name: 'calico-ipam', ipam: { ...pool, ranges } }
}

function wire(addresses: string[]): void {
  // up first, on both ends: an IPv6 address older than its link's carrier answers nobody for a second
  ip([`link add ${hostVeth} address ee:ee:ee:ee:ee:ee type veth peer name ${call.ifname} netns ${call.netns}`])
  execFileSync('sh', ['-ec', `echo 0 >/proc/sys/net/ipv6/conf/${hostVeth}/accept_dad`])
  inPod('sh', ['-ec', `echo 0 >/proc/sys/net/ipv6/conf/${call.ifname}/accept_dad; ip link set ${call.ifname} up`])
  ip([`link set ${hostVeth} up`])
  // Calico's order: the way to the gateway, the default route, the address
  const pod = addresses.flatMap((address) =>
    family(address) === 4
      ? [
          `route add ${GATEWAY[4]} dev ${call.ifname} scope link`,
          `route add default via ${GATEWAY[4]} dev ${call.ifname}`,
        ]
      : [`route add ::/0 via ${GATEWAY[6]} dev ${call.ifname}`],
  )
  inPod('ip', ['-batch', '-'], [...pod, ...addresses.map((a) => `addr add ${a} dev ${call.ifname}`)].join('\n'))
  ip(addresses.map((a) => `route add ${a} dev ${hostVeth}`))
  const v4 = `/proc/sys/net/ipv4/conf/${hostVeth}`
  execFileSync('sh', [
    '-ec',
    `echo 1 >${v4}/proxy_arp; echo 1 >${v4}/route_localnet
    echo 0 >/proc/sys/net/ipv4/neigh/${hostVeth}/proxy_delay; echo 1 >/proc/sys/net/ipv6/conf/${hostVeth}/proxy_ndp`,
  ])
}

// its peer in the pod goes with it; that it is gone already is no error
function unwire(): void {
  if (execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' }).includes(` ${hostVeth}@`)) ip([`link del ${hostVeth}`])
}

function result(conf: Conf, addresses: string[]): Result {
  const release = conf.release ?? '3.32'
  const mac = () => JSON.parse(inPod('ip', ['-j', 'link', 'show', call.ifname]))[0].address
  return {
    cniVersion: conf.cniVersion,
    interfaces: [
      { name: hostVeth },
      ...(release === '3.30' ? [] : [{ name: call.ifname, mac: mac(), sandbox: call.netns }]),
    ],
    ips: addresses.map((address) => ({
      ...(conf.cniVersion.startsWith('0.') ? { version: `${family(address)}` } : {}),
      ...(release === '3.30' ? {} : { interface: 1 }),
      address,
    })),
    ...(release === '3.32'
      ? { routes: addresses.map((a) => ({ dst: a.replace(/\d+$/, `${BLOCK[family(a)]}`) })) }
      : {}),
  }
}

if (call.command === 'VERSION') version()
else {
  const conf = withPool(readConf())
  if (call.command === 'ADD') {
    const given: Result = JSON.parse(ipam(conf, 'ADD'))
    const addresses = (given.ips ?? []).map(({ address }) => address.replace(/\d+$/, `${BITS[family(address)]}`))
    try {
      wire(addresses)
    } catch (error) {
      unwire()
      ipam(conf, 'DEL')
      fail(conf, 999, String(error))
    }
    print(result(conf, addresses))
  } else if (call.command === 'DEL') {
    unwire()
    ipam(conf, 'DEL')
  } else if (call.command === 'CHECK') {
    inPod('ip', ['link', 'show', call.ifname])
  }
}
