import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tool } from '../cli/tool.ts'
import { bind, boot, DHCP_PROGRAMS, inGuest, offerOf, shutDown } from '../support/bridge-binding.ts'
import { INTERNET, POD, UNDERLAY } from '../support/calico.ts'
import { masquerade } from '../support/masquerade-binding.ts'
import { configure, createNamespaces, removeNamespaces } from '../support/netns.ts'
import { attachCalico, attachOvn, OVN_POD, type Site, site } from '../support/ovn-nic.ts'
import { isMissing } from '../support/packages.ts'
import { call } from '../support/packets.ts'
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
