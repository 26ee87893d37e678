import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { CALICO, codes, findings, list, OURS, validate } from '../../../support/validate.ts'

const WRONG = { type: 'x-calico-route', routes: [{ dst: '10.50.31.21/16' }] }
const HOST_BITS = 'error: plugins[1].routes[0].dst: "10.50.31.21/16" has host bits set; write 10.50.0.0/16'
const configMap = (data: object) =>
  stringify({ kind: 'ConfigMap', metadata: { name: 'calico-config' }, data }, { lineWidth: 0 })

describe('validate finds in a ConfigMap', () => {
  it.each<[string, object, string[]]>([
    ['a plugin list', { cni_network_config: list([CALICO, WRONG]) }, [HOST_BITS]],
    ['several', { a: list([CALICO, WRONG]), 'b.conflist': list([CALICO, WRONG]) }, [HOST_BITS, HOST_BITS]],
    [
      'the delegates of Multus',
      {
        'cni-conf.json': JSON.stringify({
          cniVersion: '0.3.1',
          name: 'm',
          type: 'multus',
          delegates: [JSON.parse(list([CALICO, WRONG]))],
        }),
      },
      [HOST_BITS.replace('plugins', 'delegates[0].plugins')],
    ],
    [
      'a list with a placeholder for a number',
      { x: list([{ ...CALICO, mtu: 7 }, WRONG]).replace('"mtu":7', '"mtu": __CNI_MTU__') },
      [HOST_BITS],
    ],
    [
      'ours in what is not JSON',
      { x: list([CALICO, OURS]).replace(',', ',,') },
      [expect.stringMatching(/^error: data\.x: not JSON: a key in double quotes is expected/)],
    ],
  ])('%s', async (_, data, expected) => {
    expect(await findings(configMap(data))).toEqual(expected)
  })

  it.each<[string, object]>([
    ['a daemon’s configuration', { 'daemon-config.json': '{"cniVersion": "0.3.1", "logLevel": "verbose"}' }],
    ['somebody’s template', { x: '{"cniVersion": "0.3.1", "type": <TYPE>}' }],
    ['other texts', { x: '{', y: 'type: x', z: '' }],
  ])('nothing in %s', async (_, data) => {
    expect(await findings(`${configMap(data)}---\n${configMap({ net: list([CALICO, OURS]) })}`)).toEqual([])
  })

  it('where it stands', async () => {
    const text = `kind: ConfigMap\ndata:\n  cni_network_config: |-\n    {"cniVersion": "1.0.0", "name": "n", "mtu": __CNI_MTU__,\n     "plugins": [{"type": "calico"}, {"type": "x-calico-route", "routes": [{"dst": "10.50.0.1/16"}]}]}\n`
    expect(await codes(text)).toEqual(['5:84 XCR001'])
    expect((await validate(text)).lines.at(-1)).toBe(
      'stdin: 1 error (1 chain: calico, x-calico-route; 1 other document skipped)',
    )
  })

  it('the cluster’s own network', async () => {
    const pod = { kind: 'Pod', metadata: { annotations: { 'k8s.v1.cni.cncf.io/networks': 'a/more' } } }
    const more = {
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { name: 'more', namespace: 'a' },
      spec: { config: list([CALICO, OURS]) },
    }
    const text = [configMap({ cni_network_config: list([CALICO]) }), stringify(pod), stringify(more)].join('---\n')
    expect(await codes(text)).toEqual([expect.stringMatching(/ XCR302$/)])
  })
})

describe('validate reads a Template of OpenShift', () => {
  const template = (...objects: object[]) =>
    stringify(
      { apiVersion: 'template.openshift.io/v1', kind: 'Template', objects, parameters: [{ name: 'NODES' }] },
      { lineWidth: 0 },
    )
  const definition = (config: string, name = 'net') => ({
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name, namespace: 'tenant' },
    spec: { config },
  })

  it('and finds what is wrong in its objects', async () => {
    const pod = {
      kind: 'Pod',
      metadata: { namespace: 'tenant', annotations: { 'k8s.v1.cni.cncf.io/networks': 'nat' } },
    }
    expect(await findings(template(definition(list([CALICO, WRONG])), pod))).toEqual([
      HOST_BITS,
      'warning: metadata.annotations.k8s.v1.cni.cncf.io/networks: no NetworkAttachmentDefinition tenant/nat among the files; did you mean "tenant/net"?',
    ])
  })

  it('and notes the parameters that a value depends on, and no others', async () => {
    const routes = [{ dst: '${NODES}' }, { dst: '10.50.0.0/16', congctl: 'a b' }]
    const text = template(definition(list([CALICO, { ...OURS, routes }]), '${NAME}'))
    expect(await findings(text)).toEqual([
      'note: plugins[1].routes[0].dst: ${NODES} is a parameter of the Template; to check its value, run: oc process --local -f FILE -o yaml | x-calico-route validate -',
      expect.stringMatching(/^error: plugins\[1\]\.routes\[1\]\.congctl: /),
    ])
    const [first] = parse(text).objects
    expect(await findings(stringify(first))).toEqual(
      expect.arrayContaining([expect.stringMatching(/^error: .*"\$\{NODES\}"/)]),
    )
  })
})
