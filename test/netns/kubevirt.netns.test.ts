import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { IP, parseRoutes, SHOW_ROUTES } from '../../src/net/iproute2.ts'
import { type DhcpOffer, dhcpOffer, unreachableInOrder } from '../../src/plan/kubevirt.ts'
import { INTERNET, POD, POD_MAC, UNDERLAY } from '../support/calico.ts'
import { changes, configure, createNamespaces, inNetns, netnsPath, removeNamespaces, routes } from '../support/netns.ts'
import { attachCalico, attachOvn, OVN_MAC, OVN_POD, paths, type Site, separatePaths, site } from '../support/ovn-nic.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { add, failure } from '../support/verbs.ts'

const TOOLS = { dnsmasq: 'dnsmasq-base', dhclient: 'isc-dhcp-client', busybox: 'busybox-static' }
const directories = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']
const missing = Object.entries(TOOLS).filter(([tool]) => !directories.some((path) => existsSync(`${path}/${tool}`)))
if (missing.length > 0) {
  const said = `KubeVirt's DHCP needs the Debian packages ${missing.map(([, name]) => name).join(' ')}`
  if (process.env.CI) throw new Error(said)
  console.warn(`${said}: its tests are left out`)
}

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'xcr-kubevirt-'))
})
afterEach(removeNamespaces)
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

/** What a client makes of the classless routes (option 121) of an offer, in their order, as Alpine's and CirrOS's scripts do. */
const UDHCPC_SCRIPT = `#!/bin/sh
case $1 in bound)
  ip addr add $ip/$mask dev $interface
  set -- $staticroutes
  while [ $# -gt 0 ]; do
    if [ $2 = 0.0.0.0 ]; then ip route add $1 dev $interface; else ip route add $1 via $2 dev $interface; fi
    shift 2
  done
esac
true
`

/** Real DHCP clients, each with the program that applies what it was offered. */
const CLIENTS = {
  // Debian's, with Debian's own scripts
  'isc-dhcp-client': (ifname: string, directory: string) => [
    ...['dhclient', '-1', '-v', '-lf', `${directory}/leases-${ifname}`, '-pf', `${directory}/pid-${ifname}`, ifname],
  ],
  udhcpc: (ifname: string, directory: string) => {
    writeFileSync(`${directory}/udhcpc`, UDHCPC_SCRIPT, { mode: 0o755 })
    return ['busybox', 'udhcpc', '-f', '-q', '-n', '-i', ifname, '-O', '121', '-s', `${directory}/udhcpc`, '-T', '1']
  },
} as const
type Client = keyof typeof CLIENTS

const NICS = {
  eth0: { address: `${POD[4]}/32`, mac: POD_MAC, server: '10.199.3.158/28' },
  net1: { address: `${OVN_POD[4]}/24`, mac: OVN_MAC, server: '10.0.1.250/24' },
} as const
type Nic = keyof typeof NICS

/** The offer that virt-handler makes of a pod's routes, read as the plugin reads them. */
async function offerOf(pod: Site, nic: Nic): Promise<DhcpOffer | undefined> {
  const [command = '', ...args] = IP
  const { stdout } = await execa('nsenter', [`--net=${netnsPath(pod.netns)}`, command, ...args], {
    input: `${SHOW_ROUTES}\n`,
  })
  return dhcpOffer(parseRoutes(stdout), nic, NICS[nic].address)
}

/**
 * KubeVirt's bridge binding: the NIC gives its addresses away, goes into a bridge with the VM's NIC, which bears its MAC, and a DHCP
 * server on the bridge offers the VM what the NIC had.
 */
async function bind(pod: Site, guest: string, nic: Nic, offer: DhcpOffer): Promise<AsyncDisposable> {
  const { address, mac, server } = NICS[nic]
  await configure(
    pod.netns,
    `
    link set ${nic} down
    link set ${nic} name ${nic}-nic
    link set ${nic}-nic address 02:00:00:00:00:01
    addr flush dev ${nic}-nic
    link add k6t-${nic} type bridge
    link set ${nic}-nic master k6t-${nic}
    link add tap-${nic} type veth peer name ${nic} address ${mac} netns ${guest}
    link set tap-${nic} master k6t-${nic}
    link set ${nic}-nic up
    link set tap-${nic} up
    link set k6t-${nic} up
    # dnsmasq offers addresses of its own subnet only; KubeVirt's server needs none
    addr add ${server} dev k6t-${nic}`,
  )
  await configure(guest, `link set ${nic} up`)
  const [ip, length] = address.split('/')
  const option = (number: number, value = '') => `--dhcp-option-force=${number}${value && `,${value}`}`
  const classless = offer.classlessRoutes.flatMap(({ dst, gw }) => [dst, gw]).join()
  const dnsmasq = execa('nsenter', [
    `--net=${netnsPath(pod.netns)}`,
    ...[
      'dnsmasq',
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--port=0',
      '--user=root',
      '--no-ping',
      '--pid-file=',
    ],
    ...['--log-facility=-', `--interface=k6t-${nic}`, '--bind-interfaces', '--dhcp-authoritative'],
    `--dhcp-leasefile=${scratch}/dnsmasq-${nic}`,
    `--dhcp-range=${ip},${ip}`,
    `--dhcp-host=${mac},${ip}`,
    option(1, length === '32' ? '255.255.255.255' : '255.255.255.0'),
    offer.router === undefined ? '--dhcp-option=3' : option(3, offer.router),
    ...(classless === '' ? [] : [option(121, classless)]),
  ])
  dnsmasq.catch(() => {}) // ends by a signal, as it should
  // it says that it has started, or ends
  await Promise.race([new Promise((resolve) => dnsmasq.stderr.once('data', resolve)), dnsmasq])
  return {
    async [Symbol.asyncDispose]() {
      dnsmasq.kill()
      await dnsmasq.catch(() => {})
    },
  }
}

/** The guest asks for its address. Its scripts write to files of the machine, which are therefore others for them. */
async function boot(guest: string, client: Client, nic: Nic): Promise<void> {
  writeFileSync(`${scratch}/resolv.conf`, '')
  const shell = `mount --bind ${scratch}/resolv.conf /etc/resolv.conf; exec "$@"`
  await execa('nsenter', [
    `--net=${netnsPath(guest)}`,
    ...['unshare', '--mount', '--uts', 'sh', '-ec', shell, 'sh'],
    ...CLIENTS[client](nic, scratch),
  ])
}

/** The background process that dhclient becomes holds its NIC's lease; it ends with the namespace's processes. */
async function shutDown(guest: string): Promise<void> {
  const pids = (await execa('ip', ['netns', 'pids', guest])).stdout.split('\n').filter(Boolean)
  for (const pid of pids) process.kill(Number(pid))
}

const inGuest = async (guest: string) =>
  (await routes(guest)).map((route) => route.replace(/ (?:proto kernel|scope link|src \S+)/g, '').trim())

const calicoOnly = { routes: [], defaultRoute: 'keep' }
const throughGateway = { routes: [{ dst: '10.199.0.0/16' }, { dst: '10.50.0.0/16' }] }
const onLink = { kubevirt: true, routes: [{ dst: '10.50.0.0/16', scope: 'link' }] }

describe.skipIf(missing.length > 0).each(Object.keys(CLIENTS) as Client[])('a VM whose DHCP client is %s', (client) => {
  /** A VM on a pod's NICs after Calico's chain, and with `ovn` after kube-ovn's, have run. */
  const vm = async (pod: Site, conf: object, { ovn = false } = {}) => {
    const { guest } = await createNamespaces('guest')
    const eth0 = await attachCalico(pod)
    await add(eth0, { ...conf, prevResult: calicoResult(eth0) })
    const nics: Nic[] = ['eth0']
    if (ovn) {
      const net1 = await attachOvn(pod, { defaultRoute: false })
      await add(net1, { ovnGateway: '10.0.1.1', prevResult: net1.result })
      nics.push('net1')
    }
    const offers = await Promise.all(nics.map((nic) => offerOf(pod, nic)))
    const servers: AsyncDisposable[] = []
    for (const [index, nic] of nics.entries()) {
      const offer = offers[index]
      if (!offer) throw new Error(`no offer for ${nic}`)
      servers.push(await bind(pod, guest, nic, offer))
      await boot(guest, client, nic)
    }
    return {
      guest,
      offers,
      async [Symbol.asyncDispose]() {
        await shutDown(guest)
        await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
      },
    }
  }

  test('on Calico alone gets its default route', async () => {
    await using pod = await site({ families: [4] })
    await using one = await vm(pod, calicoOnly)
    expect(await inGuest(one.guest)).toEqual(['169.254.1.1 dev eth0', 'default via 169.254.1.1 dev eth0'])
    expect(await paths(one.guest, UNDERLAY[4], INTERNET[4])).toEqual({
      [UNDERLAY[4]]: `underlay sees ${POD[4]}, 5 packets by eth0`,
      [INTERNET[4]]: `underlay sees ${POD[4]}, 5 packets by eth0`,
    })
  })

  test('gets the underlay, and nothing else, where the routes are on-link', async () => {
    await using pod = await site({ families: [4] })
    await using one = await vm(pod, onLink)
    expect(await inGuest(one.guest)).toEqual(['10.50.0.0/16 dev eth0', '169.254.1.1 dev eth0'])
    expect(await paths(one.guest, UNDERLAY[4], INTERNET[4])).toEqual({
      [UNDERLAY[4]]: `underlay sees ${POD[4]}, 5 packets by eth0`,
      [INTERNET[4]]: 'ENETUNREACH, no packets',
    })
  })

  test('reaches the underlay by Calico and the rest by OVN', async () => {
    await using pod = await site({ families: [4] })
    await using one = await vm(pod, onLink, { ovn: true })
    expect(await inGuest(one.guest)).toEqual([
      '10.0.1.0/24 dev net1',
      '10.50.0.0/16 dev eth0',
      '169.254.1.1 dev eth0',
      'default via 10.0.1.1 dev net1',
    ])
    expect(await paths(one.guest, UNDERLAY[4], INTERNET[4])).toEqual(separatePaths([4]))
  })

  test('gets no underlay where the routes lead through a gateway that the offer names too late', async () => {
    await using pod = await site({ families: [4] })
    await using one = await vm(pod, throughGateway)
    expect(one.offers.map((offer) => offer && unreachableInOrder(offer, NICS.eth0.address))).toEqual([
      ['10.50.0.0/16', '10.199.0.0/16'],
    ])
    expect(await inGuest(one.guest)).toEqual(['169.254.1.1 dev eth0'])
    expect(await paths(one.guest, UNDERLAY[4])).toEqual({ [UNDERLAY[4]]: 'ENETUNREACH, no packets' })
  })
})

describe("KubeVirt's offer, from the kernel's own dump", () => {
  const offer = async (conf: object) => {
    await using pod = await site({ families: [4] })
    const eth0 = await attachCalico(pod)
    await add(eth0, { ...conf, prevResult: calicoResult(eth0) })
    return offerOf(pod, 'eth0')
  }

  test('of Calico alone has its default as router and, last, as a classless route', async () => {
    expect(await offer(calicoOnly)).toEqual({
      router: '169.254.1.1',
      classlessRoutes: [
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
        { dst: '0.0.0.0/0', gw: '169.254.1.1' },
      ],
    })
  })

  test('of routes through a gateway makes it the router, and has the prefix that the VM itself is in', async () => {
    expect(await offer(throughGateway)).toEqual({
      router: '169.254.1.1',
      classlessRoutes: [
        { dst: '10.50.0.0/16', gw: '169.254.1.1' },
        { dst: '10.199.0.0/16', gw: '169.254.1.1' },
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
      ],
    })
  })

  test('of on-link routes has no router, and suits every client', async () => {
    const made = await offer(onLink)
    expect(made).toEqual({
      classlessRoutes: [
        { dst: '10.50.0.0/16', gw: '0.0.0.0' },
        { dst: '169.254.1.1/32', gw: '0.0.0.0' },
      ],
    })
    expect(made && unreachableInOrder(made, NICS.eth0.address)).toEqual([])
  })
})

describe('kubevirt: true refuses, the pod untouched', () => {
  const CASES = [
    {
      title: 'to leave an addressed NIC without route',
      before: `
        route replace default dev eth0
        route del 169.254.1.1`,
      conf: {},
      msg: /^kubevirt: eth0 would keep no IPv4 route/,
    },
    {
      title: 'an unreachable route',
      before: 'route add unreachable 10.60.0.0/16',
      conf: { routes: [{ dst: '10.50.0.0/16' }] },
      msg: /^kubevirt: KubeVirt cannot read a route that leads nowhere, unreachable 10\.60\.0\.0\/16/,
    },
    {
      title: 'a blackhole route',
      before: 'route add blackhole 10.60.0.0/16',
      conf: { routes: [{ dst: '10.50.0.0/16' }] },
      msg: /^kubevirt: KubeVirt cannot read a route that leads nowhere, blackhole 10\.60\.0\.0\/16/,
    },
    {
      title: 'a multipath route on another NIC',
      before: 'route add 10.60.0.0/16 nexthop via 10.0.1.1 dev net1 nexthop via 10.0.1.2 dev net1',
      conf: { routes: [{ dst: '10.50.0.0/16' }] },
      msg: /^kubevirt: KubeVirt cannot read the multipath route 10\.60\.0\.0\/16/,
    },
  ]
  test.each(CASES)('$title', async ({ before: script, conf, msg }) => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await attachOvn(pod, { defaultRoute: false })
    await configure(pod.netns, script)
    const config = { ...conf, prevResult: calicoResult(eth0) }
    const { before, after } = await changes(pod.netns, async () => {
      const said = failure(await run(environment('ADD', eth0), { ...config, kubevirt: true }))
      expect(said).toMatchObject({ code: 7, msg: expect.stringMatching(msg) })
    })
    expect(after).toBe(before)
    await add(eth0, config) // which a pod without VM is welcome to
  })

  test('but takes routes of the kernel that KubeVirt does not look at', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await configure(pod.netns, 'route add unreachable 10.60.0.0/16 table 100\nroute add unreachable fd00:60::/64')
    await add(eth0, { ...onLink, prevResult: calicoResult(eth0) })
    expect(await inNetns(pod.netns, 'ip', ['route', 'show', '10.50.0.0/16'])).toContain('dev eth0 proto 142 scope link')
  })
})
