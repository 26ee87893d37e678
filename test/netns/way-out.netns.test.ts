/** Whoever has CAP_NET_ADMIN in a pod can leave every route as it was, and lead packets elsewhere all the same. CHECK tells. */
import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, type CalicoPod, calicoPod } from '../support/calico.ts'
import { configure, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import { add, check, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }, { dst: '10.60.0.0/16', table: 100 }]

async function addedPod(keys: object = {}) {
  const pod = await calicoPod()
  const conf = { routes: ROUTES, ...keys }
  const prevResult = await add(pod, { ...conf, prevResult: calicoResult(pod) })
  return { pod, config: { ...conf, prevResult } }
}

const ip = (pod: CalicoPod, ...words: string[]) => execa('ip', ['-n', pod.netns, ...words])
const VIA = `via ${CALICO[4]} dev eth0`
const PEER = ['link add net1 type veth peer name peer', 'link set net1 up', 'address add 10.0.1.10/24 dev net1'].join(
  '\n',
)

/** What CHECK says where these were carried out in a pod that is as configured. */
async function told(batch: string, rules: readonly string[], keys: object = {}): Promise<string> {
  const { pod, config } = await addedPod(keys)
  await configure(pod.netns, `${PEER}\n${batch}`)
  for (const rule of rules) await ip(pod, ...rule.split(' '))
  const { code, details = '' } = await fails('CHECK', pod, config)
  expect(code).toBe(110)
  return details
}

describe('a rule that goes before the main table', () => {
  test('and leads to another one is told for each route, with the way that packets take', async () => {
    const details = await told('route add default via 10.0.1.1 dev net1 table 99', ['rule add pref 100 lookup 99'])
    expect(details).toBe(
      'routes[0]: packets to 10.50.0.0/16 do not take this route: an "ip rule" sends them to table 99, via 10.0.1.1 dev net1',
    )
  })

  test('and is for IPv6', async () => {
    const details = await told('route add default dev net1 table 99\nroute add ::/0 dev net1 table 99', [
      '-6 rule add pref 100 lookup 99',
    ])
    expect(details).toMatch(
      /^routes\[1\]: packets to fd00:10:50::\/64 do not take this route: an "ip rule" sends them to table 99, dev net1$/,
    )
  })

  test('and refuses packets', async () => {
    const details = await told('', ['rule add pref 100 to 10.50.0.0/16 prohibit'])
    expect(details).toBe(
      'routes[0]: packets to 10.50.0.0/16 go nowhere; run "ip route get 10.50.0.0" and "ip rule" in the pod',
    )
  })

  test('and gives the NIC a default route again, which was removed', async () => {
    const details = await told(`route add default ${VIA} table 99`, ['rule add pref 100 to 192.0.0.0/8 lookup 99'])
    expect(details).toMatch(
      /^defaultRoute: packets to other destinations, such as 192\.0\.2\.1, still leave through eth0: .* table 99, via 169\.254\.1\.1 dev eth0$/,
    )
  })

  test.each([
    { what: 'is for what is sent from an address, as of sbr', rule: 'rule add pref 100 from 10.199.3.153 lookup 99' },
    { what: 'is for marked packets', rule: 'rule add pref 100 fwmark 7 lookup 99' },
    { what: 'finds nothing in its table', rule: 'rule add pref 100 lookup 98' },
    { what: 'comes after the main table', rule: 'rule add pref 40000 lookup 99' },
    { what: 'is for other destinations', rule: 'rule add pref 100 to 10.51.0.0/16 lookup 99' },
  ])('but $what is no difference', async ({ rule }) => {
    const { pod, config } = await addedPod()
    await configure(pod.netns, `${PEER}\nroute add default via 10.0.1.1 dev net1 table 99`)
    await ip(pod, ...rule.split(' '))
    await check(pod, config)
  })

  test('is a default route of another NIC no business of ours', async () => {
    const { pod, config } = await addedPod()
    await configure(pod.netns, `${PEER}\nroute add default via 10.0.1.1 dev net1 table 99`)
    await ip(pod, 'rule', 'add', 'pref', '100', 'to', '192.0.0.0/8', 'lookup', '99')
    await check(pod, config)
  })
})

test('another interface by the name of the NIC is told by its MAC address', async () => {
  const { pod, config } = await addedPod()
  const mac = '02:00:00:00:00:99'
  const [own] = JSON.parse((await ip(pod, '-json', 'link', 'show', 'eth0')).stdout)
  const prevResult = {
    ...config.prevResult,
    interfaces: [{ name: 'eth0', mac: own.address.toUpperCase(), sandbox: pod.path }],
  }
  await check(pod, { ...config, prevResult })
  // The routes of the one before go with it, and come back by the other one.
  await configure(
    pod.netns,
    [
      'link set eth0 down',
      'link set eth0 name away',
      `link add eth0 address ${mac} type veth peer name peer0`,
      'link set eth0 up',
      'link set peer0 up',
      'address add 10.199.3.153/32 dev eth0',
      `route add ${CALICO[4]} dev eth0 scope link`,
      `route add 10.50.0.0/16 ${VIA} proto 142`,
      `route add fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142`,
      `route add 10.60.0.0/16 ${VIA} proto 142 table 100`,
    ].join('\n'),
  )
  const { details } = await fails('CHECK', pod, { ...config, prevResult })
  expect(details).toBe(
    `eth0: not the interface of the Result: its MAC address is ${mac}, not ${own.address.toUpperCase()}`,
  )
})

describe('what the kernel changed while it showed it', () => {
  /** The first time it is asked, ip(8) shows a part, and says so in the middle of an answer. */
  const INTERRUPTED = `if [ -e $DIRECTORY/once ]; then exec "$REAL_IP" "$@"; fi
: > $DIRECTORY/once
answer() { printf '['; echo 'Dump was interrupted and may be inconsistent.' >&2; printf ']\\n'; }
while read -r line; do case $line in *show*) answer ;; esac; done`

  test('is looked at again, by ADD, CHECK and DEL', async () => {
    const pod = await calicoPod()
    const conf = { routes: ROUTES, prevResult: calicoResult(pod) }
    const via = () => hostWhereIpIs(INTERRUPTED)
    using first = via()
    const added = await run(environment('ADD', pod), conf, first.via)
    expect(added).toMatchObject({ exitCode: 0, stderr: '' })
    using second = via()
    const config = { ...conf, prevResult: JSON.parse(added.stdout) }
    expect(await run(environment('CHECK', pod), config, second.via)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    using third = via()
    expect(await run(environment('DEL', pod), config, third.via)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect((await ip(pod, 'route', 'show', 'table', 'all', 'proto', '142')).stdout).toBe('')
  })

  test('each time is an error of ADD, which has touched nothing, and a warning of DEL, which takes ours', async () => {
    const { pod, config } = await addedPod()
    const always = `echo 'Dump was interrupted and may be inconsistent.' >&2; exec "$REAL_IP" "$@"`
    using host = hostWhereIpIs(always)
    expect(await fails('ADD', pod, config, host.via)).toMatchObject({
      code: 100,
      msg: "ip: the pod's routes change faster than they can be read; find out who changes them",
    })
    const { exitCode, stderr } = await run(environment('DEL', pod), config, host.via)
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining("the pod's routes could not be read"),
    })
    expect((await ip(pod, 'route', 'show', 'table', 'all', 'proto', '142')).stdout).toBe('')
    await del(pod, config)
  })
})
