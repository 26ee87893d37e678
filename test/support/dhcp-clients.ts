/** Real DHCP clients, each with the program that applies what it was offered. */

/** The programs with their Debian packages. */
export const DHCP_PROGRAMS = {
  dnsmasq: 'dnsmasq-base',
  dhclient: 'isc-dhcp-client',
  busybox: 'busybox-static',
  udhcpc: 'udhcpc',
  dhcpcd: 'dhcpcd-base',
  networkctl: 'systemd',
}

/** How a client is run. */
interface Recipe {
  /** What it reads, by name; it is written into the directory. */
  readonly files?: (ifname: string) => Readonly<Record<string, string>>
  /** Until it has applied its lease, it is in the foreground; or it `stays` there. */
  readonly command: (ifname: string, directory: string) => readonly string[]
  readonly stays?: true
}

/** What a client makes of the classless routes (option 121) of an offer, in their order, as Alpine's and CirrOS's scripts do. */
const ALPINE_SCRIPT = `#!/bin/sh
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

const udhcpc = (script: (directory: string) => string, files: Readonly<Record<string, string>> = {}): Recipe => ({
  files: () => files,
  command: (ifname, directory) => `busybox udhcpc -f -q -n -i ${ifname} -O 121 -s ${script(directory)} -T 1`.split(' '),
})

export const CLIENTS = {
  // Debian's, with Debian's own scripts
  'isc-dhcp-client': {
    command: (ifname, directory) =>
      `dhclient -1 -v -lf ${directory}/leases-${ifname} -pf ${directory}/pid-${ifname} ${ifname}`.split(' '),
  },
  udhcpc: udhcpc((directory) => `${directory}/udhcpc`, { udhcpc: ALPINE_SCRIPT }),
  "udhcpc with Debian's script": udhcpc(() => '/etc/udhcpc/default.script'),
  'dhcpcd 9': {
    files: () => ({ 'dhcpcd.conf': 'option classless_static_routes, routers, interface_mtu\nnoarp\n' }),
    command: (ifname, directory) =>
      `dhcpcd --ipv4only --noipv4ll --waitip=4 --timeout 20 --config ${directory}/dhcpcd.conf --script /bin/true ${ifname}`.split(
        ' ',
      ),
  },
  'systemd-networkd': {
    files: (ifname) => ({
      [`${ifname}.network`]: `[Match]\nName=${ifname}\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n`,
    }),
    command: (ifname, directory) => [
      ...`mkdir -p /run/systemd/network /run/systemd/netif; cp ${directory}/${ifname}.network /run/systemd/network/;`.split(
        ' ',
      ),
      'chown -R systemd-network: /run/systemd; exec /lib/systemd/systemd-networkd',
    ],
    stays: true,
  },
} satisfies Record<string, Recipe>
export type Client = keyof typeof CLIENTS

export const recipeOf = (client: Client): Recipe => CLIENTS[client]
