/**
 * KubeVirt's bridge binding, as virt-launcher and virt-handler make it: the guest is a namespace behind the bridge, with a real
 * DHCP client.
 */
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { IP, parseRoutes, SHOW_ROUTES } from '../../src/net/iproute2.ts'
import { type DhcpOffer, dhcpOffer } from '../../src/plan/kubevirt.ts'
import { POD, POD_MAC } from './calico.ts'
import { type Client, recipeOf } from './dhcp-clients.ts'
import { configure, netnsPath, routes } from './netns.ts'
import { OVN_MAC, OVN_POD, type Site } from './ovn-nic.ts'

export const NICS = {
  eth0: { address: `${POD[4]}/32`, mac: POD_MAC, server: '10.199.3.158/28' },
  net1: { address: `${OVN_POD[4]}/24`, mac: OVN_MAC, server: '10.0.1.250/24' },
} as const
export type Nic = keyof typeof NICS

/** The offer that virt-handler makes of a pod's routes, read as the plugin reads them. */
export async function offerOf(pod: Site, nic: Nic): Promise<DhcpOffer | undefined> {
  const [command = '', ...args] = IP
  const { stdout } = await execa('nsenter', [`--net=${netnsPath(pod.netns)}`, command, ...args], {
    input: `${SHOW_ROUTES}\n`,
  })
  return dhcpOffer(parseRoutes(stdout), nic, NICS[nic].address)
}

/**
 * KubeVirt's bridge binding: the NIC gives its addresses away, goes into a bridge with the VM's NIC, which bears its MAC, and a DHCP
 * server on the bridge offers the VM what the NIC had.
 * @param scratch a directory for the files of the DHCP server
 */
export async function bind(
  pod: Site,
  guest: string,
  nic: Nic,
  offer: DhcpOffer,
  scratch: string,
): Promise<AsyncDisposable> {
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

/** The guest asks for its address, until it has a route by the NIC. */
export async function boot(guest: string, client: Client, nic: Nic, scratch: string): Promise<void> {
  const { files = () => ({}), command, stays = false } = recipeOf(client)
  for (const [name, text] of Object.entries({ 'resolv.conf': '', ...files(nic) })) {
    writeFileSync(`${scratch}/${name}`, text, { mode: 0o755 })
  }
  // The directories where clients keep what they know are those of the machine: the guest gets its own.
  const shell = `
    mount --bind ${scratch}/resolv.conf /etc/resolv.conf
    mkdir -p ${scratch}/lib
    mount --bind ${scratch}/lib /var/lib
    mount -t tmpfs tmpfs /run
    mount -t sysfs -o ro sysfs /sys
    ${command(nic, scratch).join(' ')}`
  const started = execa('nsenter', [
    `--net=${netnsPath(guest)}`,
    ...['unshare', '--mount', '--uts', 'sh', '-ec', shell],
  ])
  if (!stays) {
    await started
    return
  }
  started.catch(() => {}) // ends by a signal, as it should
  // It has applied its lease when two looks, some time apart, show the same routes.
  const deadline = Date.now() + 20_000
  for (let before = ''; Date.now() < deadline; ) {
    const now = (await routes(guest)).join('\n')
    if (now === before && now.includes(`dev ${nic}`)) return
    before = now
    await sleep(1_000)
  }
  throw new Error(`${client} applies no lease`)
}

/** The background process that dhclient becomes holds its NIC's lease; it ends with the namespace's processes. */
export async function shutDown(guest: string): Promise<void> {
  const pids = (await execa('ip', ['netns', 'pids', guest])).stdout.split('\n').filter(Boolean)
  for (const pid of pids) {
    try {
      process.kill(Number(pid))
    } catch (error) {
      // dhcpcd's processes end each other.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

export const inGuest = async (guest: string) =>
  (await routes(guest)).map((route) => route.replace(/ (?:proto kernel|scope link|src \S+)/g, '').trim())
