import { afterAll, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { changes, configure, createNamespaces, netnsPath, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { del } from '../support/verbs.ts'
import { expectAnswer } from './rules.ts'

/** What generated cases found on the real kernel, the smallest case of each. */
afterAll(removeNamespaces)

describe.concurrent('a refused ADD leaves nothing behind where the kernel caps', () => {
  test.each([{ mtu: 65535 }, { mtu: 65521 }, { advmss: 65535 }, { advmss: 65496 }])('%j of a route', async (more) => {
    const pod = await calicoPod()
    const config = { routes: [{ dst: '10.50.0.0/16', ...more }], prevResult: calicoResult(pod) }
    const { before, after } = await changes(pod.netns, async () => {
      const answer = await run(environment('ADD', pod), config)
      expectAnswer(answer)
      expect(answer.exitCode).toBe(1)
    })
    expect(after).toBe(before)
  })
})

test('DEL gives back the default that ADD demoted beside a gateway of the same address', async () => {
  const { pod: netns } = await createNamespaces('pod')
  await configure(
    netns,
    `
    link add net1 type veth peer name far
    link set far up
    link set net1 up
    addr add 10.0.1.10/24 dev net1
    route add default via 10.0.1.1 dev net1`,
  )
  const pod = { netns, path: netnsPath(netns), ifname: 'net1', families: [4] as const }
  const config = {
    defaultRoute: 'demote',
    ovnGateway: { ipv4: '10.0.1.1', priority: 4096 },
    prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.0.1.10/24' }] },
  }
  const defaults = async () => (await routes(netns)).filter((route) => route.startsWith('default'))
  // With a warning: the pod keeps another default, which is what was asked for.
  expect(await run(environment('ADD', pod), config)).toMatchObject({ exitCode: 0 })
  expect(await defaults()).toEqual([
    'default via 10.0.1.1 dev net1 proto 143 metric 4096',
    'default via 10.0.1.1 dev net1 proto 144 metric 4026531840',
  ])
  await del(pod, config)
  expect(await defaults()).toEqual(['default via 10.0.1.1 dev net1'])
})
