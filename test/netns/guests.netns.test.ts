import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { tool } from '../cli/tool.ts'
import { bind, boot, inGuest, offerOf, shutDown } from '../support/bridge-binding.ts'
import { INTERNET, POD, UNDERLAY } from '../support/calico.ts'
import { exampleConfig } from '../support/chains.ts'
import { DHCP_PROGRAMS } from '../support/dhcp-clients.ts'
import { oneIn } from '../support/examples.ts'
import { BRIDGE, GUEST, masquerade } from '../support/masquerade-binding.ts'
import { configure, createNamespaces, removeNamespaces } from '../support/netns.ts'
import { attachCalico, attachOvn, OVN_POD, type Site, site } from '../support/ovn-nic.ts'
import { isMissing } from '../support/packages.ts'
import { call, host } from '../support/packets.ts'
import { calicoResult } from '../support/results.ts'
import { hostWhereIpIs, throughSed } from '../support/tools.ts'
import { add } from '../support/verbs.ts'

/** What a VM's guest notices when a route set changes: of the masquerade binding at once, of the bridge binding at its next boot. */

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'xcr-guests-'))
})
afterEach(removeNamespaces)
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

const writeSet = (...prefixes: string[]) => writeFileSync(join(scratch, 'underlay'), `${prefixes.join('\n')}\n`)

/** Calico's NIC with a route set, and the VPC's with the default route. */
async function attach(pod: Site, more: object) {
  const eth0 = await attachCalico(pod)
  const conf = { setsDir: scratch, routes: [{ set: 'underlay', ...more }], prevResult: calicoResult(eth0) }
  await add(eth0, conf)
  const net1 = await attachOvn(pod, { defaultRoute: false })
  const gateway = Object.fromEntries(pod.families.map((family) => [`ipv${family}`, GATEWAY[family]]))
  await add(net1, { ovnGateway: gateway, prevResult: net1.result })
  const file = join(scratch, 'eth0.conf')
  writeFileSync(file, JSON.stringify({ cniVersion: '1.0.0', name: 'underlay', type: 'x-calico-route', ...conf }))
  return (shell = '"$@"') => tool(['repair', '--netns', pod.path, '--ifname', 'eth0', file], { shell })
}
const GATEWAY = { 4: '10.0.1.1', 6: 'fd00:10:0:1::1' } as const

describe.skipIf(isMissing({ nft: 'nftables' }, "KubeVirt's masquerade binding"))(
  'a guest behind the masquerade binding',
  () => {
    test('follows a changed set at once, in both families', async () => {
      await using pod = await site()
      writeSet('10.50.0.0/16', 'fd00:10:50::/64')
      const repair = await attach(pod, {})
      const { guest } = await createNamespaces('guest')
      await masquerade(pod, guest)
      const everywhere = () => call(guest, UNDERLAY[4], UNDERLAY[6], INTERNET[4], INTERNET[6])
      const before = {
        [UNDERLAY[4]]: `underlay sees ${POD[4]}`,
        [UNDERLAY[6]]: `underlay sees ${POD[6]}`,
        [INTERNET[4]]: `internet sees ${OVN_POD[4]}`,
        [INTERNET[6]]: `internet sees ${OVN_POD[6]}`,
      }
      expect(await everywhere()).toEqual(before)

      writeSet('10.50.0.0/16', 'fd00:10:50::/64', '203.0.113.0/24', '2001:db8:113::/48')
      expect(await repair()).toMatchObject({ exitCode: 0 })
      expect(await everywhere()).toEqual({
        ...before,
        [INTERNET[4]]: `underlay sees ${POD[4]}`,
        [INTERNET[6]]: `underlay sees ${POD[6]}`,
      })

      writeSet('10.50.0.0/16', 'fd00:10:50::/64')
      expect(await repair()).toMatchObject({ exitCode: 0 })
      expect(await everywhere()).toEqual(before)
    })

    test('of the example has one NIC: the underlay by Calico’s, everything else by the VPC’s, as its pod', async () => {
      await using pod = await site()
      const eth0 = await attachCalico(pod)
      const conf = exampleConfig('calico-vm-masquerade.yaml', calicoResult(eth0))
      await add(eth0, conf)
      const net1 = await attachOvn(pod)
      await add(net1, exampleConfig('kube-ovn-vpc.yaml', net1.result))
      const { guest } = await createNamespaces('guest')
      await masquerade(pod, guest)
      const everywhere = () => call(guest, UNDERLAY[4], UNDERLAY[6], INTERNET[4], INTERNET[6])
      expect(await everywhere()).toEqual({
        [UNDERLAY[4]]: `underlay sees ${POD[4]}`,
        [UNDERLAY[6]]: `underlay sees ${POD[6]}`,
        [INTERNET[4]]: `internet sees ${OVN_POD[4]}`,
        [INTERNET[6]]: `internet sees ${OVN_POD[6]}`,
      })

      // somebody removes a route, and repair brings it back
      const file = join(scratch, 'eth0.conf')
      writeFileSync(file, JSON.stringify(conf))
      await configure(pod.netns, 'route del 10.50.0.0/16\nroute del fd00:10:50::/64')
      expect(await everywhere()).toMatchObject({
        [UNDERLAY[4]]: `internet sees ${OVN_POD[4]}`,
        [UNDERLAY[6]]: `internet sees ${OVN_POD[6]}`,
      })
      expect(await tool(['repair', '--netns', pod.path, '--ifname', 'eth0', file])).toMatchObject({ exitCode: 0 })
      expect(await everywhere()).toMatchObject({
        [UNDERLAY[4]]: `underlay sees ${POD[4]}`,
        [UNDERLAY[6]]: `underlay sees ${POD[6]}`,
      })
    })

    test.each([
      {
        title: 'answers whom its routes lead to at Calico’s address, nobody else',
        more: {},
        answer: 'no answer',
        sent: `internet sees ${OVN_POD[4]}`,
      },
      {
        title: 'with source routing answers everybody there, and sends everything by Calico’s NIC',
        more: { sourceRouting: true, kubevirt: true },
        answer: `guest sees ${INTERNET[4]}`,
        sent: `underlay sees ${POD[4]}`,
      },
    ])('of the example $title', async ({ more, answer, sent }) => {
      await using pod = await site()
      const eth0 = await attachCalico(pod)
      await add(eth0, { ...exampleConfig('calico-vm-masquerade.yaml', calicoResult(eth0)), ...more })
      const net1 = await attachOvn(pod)
      await add(net1, exampleConfig('kube-ovn-vpc.yaml', net1.result))
      const { guest } = await createNamespaces('guest')
      await masquerade(pod, guest)
      await using _ = await host(guest, 'guest')
      expect(await call(pod.underlay, POD[4], POD[6])).toEqual({
        [POD[4]]: `guest sees ${UNDERLAY[4]}`,
        [POD[6]]: `guest sees ${UNDERLAY[6]}`,
      })
      // a caller with an address outside of "routes"
      await configure(pod.underlay, `route add ${POD[4]}/32 via 10.50.0.10 src ${INTERNET[4]}`)
      expect(await call(pod.underlay, POD[4])).toEqual({ [POD[4]]: answer })
      expect(await call(guest, INTERNET[4])).toEqual({ [INTERNET[4]]: sent })
    })

    test('configures IPv6 by the addresses that it has behind this binding', () => {
      const { spec } = oneIn('calico-vm-masquerade.yaml', 'VirtualMachine')
      const [{ cloudInitNoCloud: cloudInit } = {}] = spec.template.spec.volumes.filter((one) => one.cloudInitNoCloud)
      expect(parse(cloudInit?.networkData ?? '').ethernets.all).toMatchObject({
        dhcp4: true,
        addresses: [`${GUEST[6]}/120`],
        routes: [{ to: '::/0', via: BRIDGE[6] }],
      })
    })
  },
)

describe.skipIf(isMissing(DHCP_PROGRAMS, "KubeVirt's DHCP"))('a guest behind the bridge binding', () => {
  const client = 'isc-dhcp-client'

  test('keeps the routes of its boot when a set changes, and gets the new ones in its next pod', async () => {
    const { guest } = await createNamespaces('guest')
    /** A pod of the VM, and the guest booted in it. */
    const start = async (pod: Site) => {
      const repair = await attach(pod, { scope: 'link' })
      const offer = await offerOf(pod, 'eth0')
      if (!offer) throw new Error('no offer')
      const server = await bind(pod, guest, 'eth0', offer, scratch)
      // In the place of the NIC that it moved into the bridge, KubeVirt leaves a dummy with its address. Not every kernel
      // has that driver.
      await configure(pod.netns, `link add eth0 type ifb\naddr add ${POD[4]}/32 dev eth0`)
      await boot(guest, client, 'eth0', scratch)
      return { repair, server }
    }
    const old = ['10.50.0.0/16 dev eth0', '169.254.1.1 dev eth0']

    await using pod = await site({ families: [4] })
    writeSet('10.50.0.0/16')
    const { repair, server } = await start(pod)
    await using _ = server
    expect(await inGuest(guest)).toEqual(old)

    writeSet('10.50.0.0/16', '10.60.0.0/16')
    using kernel = hostWhereIpIs(throughSed('s/"info_kind":"ifb"/"info_kind":"dummy"/g'))
    expect(await repair(kernel.via[4])).toEqual({ exitCode: 0, stderr: '', stdout: 'eth0: ok\n' })
    expect(await inGuest(guest)).toEqual(old)
    await shutDown(guest)
    await configure(guest, 'link del eth0')

    await using next = await site({ families: [4] })
    const again = await start(next)
    await using __ = again.server
    expect(await inGuest(guest)).toEqual(['10.50.0.0/16 dev eth0', '10.60.0.0/16 dev eth0', '169.254.1.1 dev eth0'])
    await shutDown(guest)
  })
})
