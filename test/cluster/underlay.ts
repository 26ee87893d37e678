/**
 * The hosts beside the cluster that kind/check.sh calls, and the network that node and hosts are in, as kind/up.sh has them:
 *
 *     pods ... [node] kind0 172.18.0.2 --bridge-- eth0 172.18.31.21 [host-21], eth0 172.18.31.22 [host-22]: HTTP on 80 and 8080
 */
import type { TestNode } from '../e2e/node.ts'

const NODE = { 4: '172.18.0.2', 6: 'fc00:f853:ccd:e793::2' } as const
const HOSTS = [21, 22]

// Links before addresses: an IPv6 address older than its link's carrier answers nobody for a second.
const host = (last: number) => `
ip netns add host-${last}
ip link add host${last} type veth peer name eth0 netns host-${last}
ip link set host${last} master kind0 up
ip -n host-${last} -batch - <<BATCH
link set lo up
link set eth0 up
addr add 172.18.31.${last}/16 dev eth0
addr add fc00:f853:ccd:e793::31${last}/64 dev eth0 nodad
route add default via ${NODE[4]}
route add ::/0 via ${NODE[6]}
BATCH
mkdir -p /run/www-${last}
echo 'host ${last}' >/run/www-${last}/index.html
for port in 80 8080; do
  ip netns exec host-${last} busybox httpd -h /run/www-${last} -p "$port" >/dev/null 2>&1 # detaches itself
done
`

/** @returns when the hosts answer the node */
export async function startUnderlay(node: TestNode): Promise<void> {
  const script = `
ip link add kind0 type bridge
ip link set kind0 up
${HOSTS.map(host).join('')}
ip addr add ${NODE[4]}/16 dev kind0
ip addr add ${NODE[6]}/64 dev kind0 nodad
for host in ${HOSTS.map((last) => `172.18.31.${last} [fc00:f853:ccd:e793::31${last}]`).join(' ')}; do
  timeout 10 busybox wget -q -O /dev/null "http://$host/"
done
`
  await node.run(['bash', '-ec', script])
}
