import { afterEach, describe, expect, test } from 'vitest'
import { offerOf } from '../support/bridge-binding.ts'
import { POD } from '../support/calico.ts'
import { AUTO, calicoConfig, ovnConfig } from '../support/chains.ts'
import { masquerade } from '../support/masquerade-binding.ts'
import { createNamespaces, removeNamespaces, routes } from '../support/netns.ts'
import { attachCalico, attachOvn, site } from '../support/ovn-nic.ts'
import { isMissing } from '../support/packages.ts'
import { answered, ask, service, stranger, unanswered } from '../support/source-routing.ts'
import { add } from '../support/verbs.ts'

afterEach(removeNamespaces)

describe.skipIf(isMissing({ nft: 'nftables' }, "KubeVirt's masquerade binding"))(
  'a guest behind the masquerade binding',
  () => {
    test('answers a client whose address is in no route with sourceRouting, and not without', async () => {
      await using pod = await site()
      const client = await stranger(pod)
      const eth0 = await attachCalico(pod)
      const config = calicoConfig(eth0, { kubevirt: true })
      await add(eth0, config)
      const net1 = await attachOvn(pod)
      await add(net1, ovnConfig(net1, AUTO))
      const { guest } = await createNamespaces('guest')
      await masquerade(pod, guest)
      await using _ = await service(guest, '10.0.2.2', 'fd10:0:2::2')
      expect(await ask(client, POD[4], POD[6])).toEqual(unanswered(POD[4], POD[6]))
      await add(eth0, { ...config, sourceRouting: true })
      expect(await ask(client, POD[4], POD[6])).toEqual(answered(client, POD[4], POD[6]))
    })
  },
)

test('a guest of the bridge binding is offered the same, since the main table is the same', async () => {
  const [without, withIt] = await Promise.all(
    [{}, { sourceRouting: true }].map(async (keys) => {
      await using pod = await site({ families: [4] })
      const eth0 = await attachCalico(pod)
      const onLink = { kubevirt: true, routes: [{ dst: '10.50.0.0/16', scope: 'link' }] }
      await add(eth0, calicoConfig(eth0, { ...onLink, ...keys }))
      return { offer: await offerOf(pod, 'eth0'), main: await routes(pod.netns) }
    }),
  )
  expect(withIt).toEqual(without)
  expect(withIt?.offer?.classlessRoutes).toContainEqual({ dst: '10.50.0.0/16', gw: '0.0.0.0' })
})
