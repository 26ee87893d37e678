import { afterEach, describe, expect, test } from 'vitest'
import type { CalicoPod } from '../support/calico.ts'
import { AUTO, calicoConfig, calicoDefaults, DEMOTE, ovnConfig } from '../support/chains.ts'
import { changes, configure, removeNamespaces } from '../support/netns.ts'
import { attachCalico, attachOvn, defaults, detachOvn, type OvnNic, type Site, site } from '../support/ovn-nic.ts'
import { type Config, environment, run } from '../support/runtime.ts'
import { add, del, failure } from '../support/verbs.ts'

afterEach(removeNamespaces)

describe('two NICs: refused, the pod untouched', () => {
  const refuses = async (nic: CalicoPod | OvnNic, config: Config, msg: string | RegExp, code = 7) => {
    const { before, after } = await changes(nic.netns, async () => {
      const said = failure(await run(environment('ADD', nic), config))
      expect(said).toMatchObject({ code, msg: typeof msg === 'string' ? msg : expect.stringMatching(msg) })
    })
    expect(after).toBe(before)
  }

  test('auto where no NIC has or had a gateway', async () => {
    await using pod = await site()
    const eth0 = await attachCalico(pod)
    await attachOvn(pod, { defaultRoute: false })
    await refuses(
      eth0,
      calicoConfig(eth0, AUTO),
      /^ovnGateway: no IPv4 or IPv6 gateway is known: .*; write its address/,
    )
  })

  test('auto for a family that nobody has', async () => {
    await using pod = await site({ families: [4] })
    const net1 = await attachOvn(pod)
    await add(net1, ovnConfig(net1, DEMOTE))
    const eth0 = await attachCalico(pod)
    await refuses(
      eth0,
      calicoConfig(eth0, { ovnGateway: { ipv4: 'auto', ipv6: 'auto' } }),
      /^ovnGateway.*no IPv6 gateway/,
    )
    await add(eth0, calicoConfig(eth0, AUTO))
  })

  test.each([
    { ovnGateway: { ipv4: 'fd00:10:0:1::1' }, says: /^ovnGateway\.ipv4: fd00:10:0:1::1 is not an IPv4 address/ },
    { ovnGateway: { ipv6: '10.0.1.1' }, says: /^ovnGateway\.ipv6: 10\.0\.1\.1 is not an IPv6 address/ },
    { ovnGateway: '10.0.9.1', says: /^ovnGateway.*: 10\.0\.9\.1 is not on-link on net1/ },
    { ovnGateway: { ipv6: 'fd00:99::1' }, says: /^ovnGateway\.ipv6: fd00:99::1 is not on-link on net1/ },
    { ovnGateway: '10.0.1.0/24', says: /^ovnGateway: must be "auto" or an IP address/ },
    { ovnGateway: 'Auto', says: /^ovnGateway: must be "auto" or an IP address/ },
    { ovnGateway: { ipv4: '10.0.1.1', device: 'net1' }, says: /^ovnGateway\.device: / },
    { ovnGateway: { ipv4: '10.0.1.1', dev: 'net9' }, says: /^ovnGateway\.dev: the pod has no interface net9; it has / },
    { ovnGateway: { ipv4: '10.0.1.1', dev: 'net2' }, says: /^ovnGateway\.dev: interface net2 is down/ },
    { ovnGateway: { ipv4: 'auto', dev: 'eth9' }, says: /^ovnGateway\.dev: the pod has no interface eth9/ },
    { ovnGateway: { ipv4: '10.0.1.1', priority: -1 }, says: /^ovnGateway\.priority: / },
  ])('$ovnGateway', async ({ ovnGateway, says }) => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    await configure(pod.netns, 'link add net2 type veth peer name net3')
    await refuses(net1, ovnConfig(net1, { ovnGateway }), says)
  })

  test('an IPv6 gateway on a NIC that has no IPv6', async () => {
    await using pod = await site({ families: [4] })
    const net1 = await attachOvn(pod)
    await refuses(
      net1,
      ovnConfig(net1, { ovnGateway: 'fd00:10:0:1::1' }),
      /^ovnGateway.*fd00:10:0:1::1 is not on-link on net1/,
    )
  })

  test.each([
    { title: 'went', leave: (pod: Site) => detachOvn(pod) },
    { title: 'went down', leave: (pod: Site) => configure(pod.netns, 'link set net1 down') },
  ])('restoring after the NIC $title', async ({ leave }) => {
    await using pod = await site()
    const net1 = await attachOvn(pod)
    await add(net1, ovnConfig(net1, DEMOTE))
    const eth0 = await attachCalico(pod)
    await leave(pod)
    await refuses(eth0, calicoConfig(eth0, AUTO), /^ovnGateway: no IPv4 or IPv6 gateway is known/)
    expect(await defaults(pod.netns)).toEqual(calicoDefaults([4, 6]))
    await del(eth0, calicoConfig(eth0, AUTO))
    await del(net1, ovnConfig(net1, DEMOTE))
  })
})
