import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { inDumpOrder } from '../../src/plan/kubevirt.ts'
import { bind, boot, inGuest, offerOf, shutDown } from '../support/bridge-binding.ts'
import { POD, UNDERLAY } from '../support/calico.ts'
import { CLIENTS, type Client, DHCP_PROGRAMS } from '../support/dhcp-clients.ts'
import { configurations } from '../support/examples.ts'
import { configure, createNamespaces, inNetns, removeNamespaces } from '../support/netns.ts'
import { attachCalico, paths, site } from '../support/ovn-nic.ts'
import { isMissing } from '../support/packages.ts'
import { calicoResult } from '../support/results.ts'
import { add } from '../support/verbs.ts'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'xcr-clients-'))
})
afterEach(removeNamespaces)
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

const REACHED = `underlay sees ${POD[4]}, 5 packets by eth0`

/** The columns of the table in docs/kubevirt.md. */
const LAYOUTS = [
  configurations('calico-vm.yaml')[0]?.routes,
  [{ dst: '10.50.0.0/16', scope: 'link' }],
  [{ dst: '10.50.0.0/16' }],
]

describe.skipIf(isMissing(DHCP_PROGRAMS, "KubeVirt's DHCP"))('docs/kubevirt.md is right about', () => {
  const rows = readFileSync(new URL('../../docs/kubevirt.md', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| '))

  /** What a VM whose NIC has these routes makes of them. */
  const outcome = async (client: Client, routes: unknown) => {
    await using pod = await site({ families: [4] })
    const { guest } = await createNamespaces('guest')
    const eth0 = await attachCalico(pod)
    await add(eth0, { routes, prevResult: calicoResult(eth0) })
    const offer = await offerOf(pod, 'eth0')
    if (!offer) throw new Error('no offer')
    await using _ = await bind(pod, guest, 'eth0', offer, scratch)
    await boot(guest, client, 'eth0', scratch)
    const got = await inGuest(guest)
    const underlay = (await paths(guest, UNDERLAY[4]))[UNDERLAY[4]]
    await shutDown(guest)
    await removeNamespaces()
    const isDefault = got.some((one) => one.startsWith('default'))
    if (underlay === REACHED) return isDefault ? 'a default route by eth0' : 'the underlay'
    if (got.some((one) => one.startsWith('10.50.0.0 '))) return 'only 10.50.0.0'
    return underlay === 'ENETUNREACH, no packets' ? 'nothing' : underlay
  }

  test.each(Object.keys(CLIENTS) as Client[])('%s', { timeout: 60_000 }, async (client) => {
    const cells: unknown[] = []
    for (const routes of LAYOUTS) cells.push(await outcome(client, routes))
    expect(rows).toContain(`| ${client} | ${cells.join(' | ')} |`)
  })
})

describe('routes through an unused address', () => {
  test('carry packets in the pod itself', async () => {
    await using pod = await site({ families: [4] })
    const eth0 = await attachCalico(pod)
    await add(eth0, { routes: LAYOUTS[0], prevResult: calicoResult(eth0) })
    expect(await paths(pod.netns, UNDERLAY[4])).toEqual({ [UNDERLAY[4]]: REACHED })
  })
})

describe("the kernel's order of a dump", () => {
  const LENGTHS = { '0.0.0.0': 0, '9.64.0.0': 10, '10.0.0.0': 7, '10.128.0.0': 9, '128.0.0.0': 1, '192.168.0.0': 13 }
  const prefixes = fc
    .constantFrom(...Object.entries(LENGTHS))
    .chain(([base, shortest]) => fc.integer({ min: shortest, max: 32 }).map((length) => `${base}/${length}`))
  const routes = fc.uniqueArray(fc.record({ dst: prefixes, priority: fc.nat(2) }), {
    maxLength: 100,
    selector: ({ dst, priority }) => `${dst} ${priority}`,
  })

  test('is ours, of random prefixes of a few bases', async () => {
    await fc.assert(
      fc.asyncProperty(routes, async (table) => {
        const { netns = '' } = await createNamespaces('netns')
        const lines = table.map(({ dst, priority }) => `route add ${dst} dev lo metric ${priority}`)
        await configure(netns, ['link set lo up', ...lines].join('\n'))
        const shown: { dst: string; metric?: number }[] = JSON.parse(
          await inNetns(netns, 'ip', ['-json', 'route', 'show']),
        )
        const dumped = shown.map(({ dst, metric = 0 }) => {
          const written = dst === 'default' ? '0.0.0.0/0' : dst.includes('/') ? dst : `${dst}/32`
          return { dst: written, priority: metric }
        })
        expect(inDumpOrder(table)).toEqual(dumped)
        await removeNamespaces()
      }),
      { numRuns: 10 },
    )
  })
})
