import { afterEach, describe, expect, test } from 'vitest'
import { CALICO } from '../support/calico.ts'
import { AUTO, calicoConfig, DEMOTE, everywhere, ovnConfig } from '../support/chains.ts'
import { configure, removeNamespaces, routes } from '../support/netns.ts'
import { attachCalico, attachOvn, paths, separatePaths, site } from '../support/ovn-nic.ts'
import { environment, run } from '../support/runtime.ts'

afterEach(removeNamespaces)

describe('two copies at once in one pod', () => {
  const ROUNDS = Number(process.env.XCR_STRESS_ROUNDS ?? 200)
  const PODS = 4

  // What a runtime that attaches two networks at the same time may find when the copies start.
  const STARTS = {
    'the default demoted, Calico’s beside it': `
      route replace default via ${CALICO[4]} dev eth0
      route replace ::/0 via ${CALICO[6]} dev eth0
      route replace default via 10.0.1.1 dev net1 proto 144 metric 4026531840
      route replace ::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864`,
    'kube-ovn’s default in the place of Calico’s': `
      route replace default via 10.0.1.1 dev net1
      route replace ::/0 via fd00:10:0:1::1 dev net1`,
  }
  const RESET = `
    route flush proto 142
    -6 route flush proto 142
    route flush exact 0.0.0.0/0
    -6 route flush exact ::/0`

  test(`end in the same state: ${ROUNDS} times`, async () => {
    const starts = Object.values(STARTS)
    const seen = new Map<string, number>()
    const inOnePod = async (index: number) => {
      await using pod = await site()
      const eth0 = await attachCalico(pod)
      const net1 = await attachOvn(pod)
      for (let round = index; round < ROUNDS; round += PODS) {
        await configure(pod.netns, `${RESET.replaceAll('-6 ', '')}${starts[(round >> 2) % starts.length]}`)
        const calls = [
          run(environment('ADD', eth0), calicoConfig(eth0, AUTO)),
          run(environment('ADD', net1), ovnConfig(net1, DEMOTE)),
        ]
        const answers = await Promise.all(calls)
        const said = answers.map(({ exitCode, stdout, stderr }) =>
          exitCode === 0 && stderr === '' ? 'ok' : stdout + stderr,
        )
        const kernel = (await routes(pod.netns)).filter((route) => /default|proto 142/.test(route))
        const outcome = [...said, ...kernel.map((route) => route.replace(/(default.*) proto \d+/, '$1'))].join('\n')
        seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
      }
      expect(await paths(pod.netns, ...everywhere([4, 6]))).toEqual(separatePaths([4, 6]))
    }
    await Promise.all(Array.from({ length: PODS }, (_, index) => inOnePod(index)))
    expect(Object.fromEntries(seen)).toEqual({
      [[
        'ok',
        'ok',
        '10.199.0.0/16 via 169.254.1.1 dev eth0 proto 142',
        '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
        'default via 10.0.1.1 dev net1',
        'default via fd00:10:0:1::1 dev net1 metric 1024',
        `fd00:10:199::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
        `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
      ].join('\n')]: ROUNDS,
    })
  }, 600_000)
})
