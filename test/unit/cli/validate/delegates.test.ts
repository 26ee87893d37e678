import { describe, expect, it } from 'vitest'
import { CALICO, findings, OURS, validate } from '../../../support/validate.ts'

describe('validate says of the delegates of Multus', () => {
  const WRONG = { type: 'x-calico-route', routes: [{ dst: '10.50.31.21/16' }] }
  const multus = (...delegates: unknown[]) => ({ type: 'multus', kubeconfig: '/k', delegates })
  const LIST = { cniVersion: '0.3.1', name: 'k8s-pod-network', plugins: [CALICO, WRONG] }
  const HOST_BITS = (path: string) =>
    `error: ${path}plugins[1].routes[0].dst: "10.50.31.21/16" has host bits set; write 10.50.0.0/16`
  const conf = (body: object) => JSON.stringify({ cniVersion: '0.3.1', name: 'multus-cni-network', ...body })

  it.each<[string, string, string[]]>([
    ['a list', conf(multus(LIST)), [HOST_BITS('delegates[0].')]],
    ['a second one', conf(multus({ ...LIST, plugins: [{ type: 'ptp' }] }, LIST)), [HOST_BITS('delegates[1].')]],
    ['in a plugin list', conf({ plugins: [multus(LIST)] }), [HOST_BITS('plugins[0].delegates[0].')]],
    ['of its shim', conf({ ...multus(LIST), type: 'multus-shim' }), [HOST_BITS('delegates[0].')]],
    [
      'in another Multus',
      conf(multus({ ...LIST, plugins: [multus(LIST)] })),
      [HOST_BITS('delegates[0].plugins[0].delegates[0].')],
    ],
    ['in another one, alone', conf(multus({ name: 'a', ...multus(LIST) })), [HOST_BITS('delegates[0].delegates[0].')]],
    [
      'us alone',
      conf(multus({ cniVersion: '0.3.1', name: 'a', type: 'x-calico-route', routes: 5 })),
      [
        'error: delegates[0]: x-calico-route is alone and has no NIC to work on; write a list, "plugins", with it after the plugin that makes the NIC (calico, kube-ovn, ...)',
        'error: delegates[0].routes: must be an array, is 5',
      ],
    ],
    ['others, which read the rest themselves', conf(multus({ type: 'flannel', delegate: {} })), []],
    [
      'a list without name',
      conf(multus({ ...LIST, name: undefined, plugins: [CALICO, OURS] })),
      ['error: delegates[0]: name: missing'],
    ],
    [
      'what is no object',
      conf(multus('x', null)),
      ['0', '1'].map((i) => `error: delegates[${i}]: must be an object with "cniVersion", "name" and "plugins"`),
    ],
    [
      'what is no plugin',
      conf(multus({ name: 'a' })),
      ['error: delegates[0]: type: missing; write the name of the executable of the plugin'],
    ],
    ['delegates of somebody else', conf({ ...multus(LIST), type: 'genie' }), []],
    ['none: a cluster network', conf({ type: 'multus', clusterNetwork: '/etc/cni/net.d/10-calico.conflist' }), []],
    ['none: null', conf({ type: 'multus', delegates: null }), []],
  ])('%s', async (_, text, expected) => {
    expect(await findings(text)).toEqual(expected)
  })

  it('in the order of the file, and which chains there are', async () => {
    const text = conf(multus({ ...LIST, plugins: [CALICO, OURS] }))
    expect((await validate(text)).lines).toEqual(['stdin: ok (2 chains: multus; calico, x-calico-route)'])
  })

  it('where a mistake stands', async () => {
    const text = conf(multus(LIST))
    expect((await validate(text)).lines[0]).toMatch(new RegExp(`^stdin:1:${text.indexOf('"10.50.31.21') + 1}: `))
  })
})
