/** Documents of a width that is given, for what must not grow faster than they do. */

const times = <T>(n: number, make: (index: number) => T) => Array.from({ length: n }, (_, index) => make(index))
const keys = (n: number, name: (index: number) => string = (i) => `key${i}`) =>
  Object.fromEntries(times(n, (i) => [name(i), i]))

const CALICO = { type: 'calico' }
const ours = (more: object = {}) => ({ type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }], ...more })
const list = (plugins: readonly unknown[], more: object = {}) =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins, ...more }, null, 1)
const USUAL = list([CALICO, ours()])
/** The usual list, with more members before its name. */
const withMembers = (members: string) => USUAL.replace('"name"', () => `${members}, "name"`)

const dst = (i: number) => `10.${(i >> 14) & 255}.${(i >> 6) & 255}.${(i & 63) << 2}/30`
const badRoutes = (n: number) => list([CALICO, ours({ routes: times(n, (i) => ({ dst: dst(i), gw: 'x', mtu: 1 })) })])
const multus = (delegates: readonly unknown[]) => ({ cniVersion: '1.0.0', name: 'm', type: 'multus', delegates })
const nested = (depth: number, inner: object) => times(depth, () => 0).reduce((one) => multus([one]), inner)

const NAD = 'NetworkAttachmentDefinition'
const definition = (name: string, config: string) =>
  `apiVersion: k8s.cni.cncf.io/v1\nkind: ${NAD}\nmetadata: {name: ${name}, namespace: d}\nspec:\n  config: ${config}\n`
const nad = (name: string, config = USUAL) => definition(name, JSON.stringify(config))
const block = (config: string) => definition('n', `|\n    ${config.replaceAll('\n', '\n    ')}`)
const documents = (...texts: readonly string[]) => texts.join('---\n')
const pod = (networks: string) =>
  `kind: Pod\nmetadata:\n  namespace: d\n  annotations: {k8s.v1.cni.cncf.io/networks: '${networks}'}\n`
const vm = (names: readonly string[]) => {
  const interfaces = names.map((name) => ({ name, bridge: {} }))
  const networks = names.map((name) => ({ name, multus: { networkName: name } }))
  const spec = { domain: { devices: { interfaces } }, networks }
  return `${JSON.stringify({ kind: 'VirtualMachineInstance', metadata: { namespace: 'd' }, spec })}\n`
}
const subnet = (i: number) =>
  `apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: s${i}}\nspec: {vpc: v, provider: ${i === 0 ? 'n' : `p${i}`}.d.ovn, cidrBlock: ${dst(i)}, gateway: 10.255.0.1}\n`
const secret = (i: number) =>
  `kind: Secret\nmetadata: {name: s${i}, namespace: d}\nstringData: {networkdata: '{"config": [{"mac_address": "x"}]}'}\n`
const guest = (i: number) =>
  `kind: VirtualMachineInstance\nmetadata: {namespace: d}\nspec:\n  networks: [{name: n, multus: {networkName: n}}]\n  volumes: [{cloudInitNoCloud: {networkDataSecretRef: {name: s${i}}}}]\n`
const demoting = list([{ type: 'kube-ovn' }, ours({ defaultRoute: 'demote' })])
const BAD_NAD = `{kind: ${NAD}, spec: {config: 5}}`

/** By what they have many of. */
export const WIDE: Readonly<Record<string, (n: number) => string>> = {
  'keys of a list': (n) => list([CALICO, ours()], keys(n)),
  'keys of ours': (n) => list([CALICO, ours(keys(n))]),
  'keys like ours, beside plugins': (n) =>
    list(
      [CALICO, ours()],
      keys(n, (i) => `ro${i}ut${i}es`),
    ),
  'keys of a route': (n) => list([CALICO, ours({ routes: [{ dst: '10.50.0.0/16', ...keys(n) }] })]),
  'keys of ours, and wrong routes': (n) => list([CALICO, ours({ ...keys(n), routes: times(n, () => ({ dst: 'x' })) })]),
  'keys that repeat': (n) => withMembers(times(n, () => '"a": 1').join(', ')),
  'keys below a long one': (n) => list([CALICO, ours()], { ['k'.repeat(n)]: keys(n) }),
  'keys that repeat below a long one': (n) =>
    withMembers(`"${'k'.repeat(n)}": {${times(n, () => '"a": 1').join(', ')}}`),
  'values, deep inside': (n) => withMembers(`"x": ${'['.repeat(400)}${times(n, () => '1')}${']'.repeat(400)}`),
  'plugins of Calico': (n) => list([...times(n, () => CALICO), ours()]),
  'plugins of ours': (n) => list([CALICO, ...times(n, () => ours())]),
  'plugins that undo ours': (n) => list([CALICO, ours(), ...times(n, () => ({ type: 'sbr' }))]),
  'plugins that are none': (n) => list(times(n, (i) => [{}, 5, { type: 5 }, { type: 'x-calico-rout' }][i % 4])),
  'routes that are wrong': badRoutes,
  'routes for a VM': (n) => list([CALICO, ours({ kubevirt: true, routes: times(n, (i) => ({ dst: dst(i) })) })]),
  'routes that others cover': (n) =>
    list([
      CALICO,
      ours({ routes: times(n, (i) => ({ dst: i % 2 ? dst(i) : `fd00:${i.toString(16)}::/${32 + (i % 9)}` })) }),
    ]),
  'routes, each inside of the one before': (n) =>
    list([CALICO, ours({ routes: times(n, (i) => ({ dst: `fd00:${Math.floor(i / 96)}::/${32 + (i % 96)}` })) })]),
  'prefixes that others cover': (n) =>
    list([CALICO, ours({ overrides: { allow: ['routes'], within: times(n, (i) => (i ? dst(i) : '10.0.0.0/8')) } })]),
  'wrong words': (n) => list([CALICO, ours({ overrides: { allow: times(n, () => 'x') } })]),
  capabilities: (n) => list([CALICO, ours({ capabilities: keys(n) })]),
  versions: (n) => list([CALICO, ours()], { cniVersions: times(n, (i) => `0.${i % 7}.${i}`) }),
  'routes of prevResult': (n) =>
    list([CALICO, ours({ prevResult: { cniVersion: '1.0.0', routes: times(n, (i) => ({ dst: dst(i) })) } })]),
  delegates: (n) => JSON.stringify(multus(times(n, () => JSON.parse(USUAL))), null, 1),
  'delegates of Calico': (n) => JSON.stringify(multus(times(n, () => CALICO)), null, 1),
  'delegates, deep inside': (n) => JSON.stringify(nested(100, multus(times(n, () => CALICO)))),
  'keys of ours, deep inside': (n) => JSON.stringify(nested(100, JSON.parse(list([CALICO, ours(keys(n))])))),
  'items that are numbers': (n) => JSON.stringify({ kind: 'List', items: times(n, (i) => i) }, null, 1),
  'findings in a string of JSON': (n) =>
    JSON.stringify({ kind: NAD, metadata: { name: 'n' }, spec: { config: badRoutes(n) } }, null, 1),
  'findings in a quoted string of YAML': (n) => nad('n', badRoutes(n)),
  'findings in a block of YAML': (n) => block(badRoutes(n)),
  'lines behind a template': (n) =>
    list(
      times(n, () => ({ type: 5 })),
      { x: '{{ a }}' },
    ),
  definitions: (n) => documents(...times(n, (i) => nad(`n${i}`))),
  'definitions that demote, and Calico': (n) =>
    documents(...times(n, (i) => documents(nad(`n${i}`, demoting), nad(`c${i}`)))),
  'definitions that ask for an annotation, and Calico': (n) =>
    documents(...times(n, (i) => nad(`n${i}`, list([{ type: 'macvlan', ipam: { type: 'kube-ovn' } }])))),
  'definitions and pods': (n) => documents(...times(n, (i) => documents(nad(`n${i}`), pod(`n${i}`)))),
  'definitions and VMs': (n) => documents(...times(n, (i) => documents(nad(`n${i}`), vm([`n${i}`])))),
  'definitions with comments that silence': (n) =>
    documents(
      ...times(n, (i) => `# x-calico-route: ignore XCR201\n${nad(`n${i}`, list([CALICO, ours({ colour: 1 })]))}`),
    ),
  'comments that silence nothing': (n) =>
    nad('n') + times(n, (i) => `k${i}: 1 # x-calico-route: ignore XCR201\n`).join(''),
  'definitions, and a pod that asks for all of them': (n) =>
    documents(...times(n, (i) => nad(`n${i}`, list([{ type: 'macvlan' }]))), pod(times(n, (i) => `n${i}`).join(', '))),
  'definitions, and a pod that asks for others': (n) =>
    documents(...times(n, (i) => nad(`n${i}`)), pod(times(n, (i) => `m${i}`).join(', '))),
  'Subnets of one VPC, and pods with cni-args': (n) =>
    documents(
      nad('n', list([{ type: 'kube-ovn', provider: 'n.d.ovn' }])),
      nad('c'),
      ...times(n, (i) => subnet(i)),
      ...times(n, () => pod('[{"name": "n"}, {"name": "c", "cni-args": {"routes": []}}]')),
    ),
  'annotations of a pod': (n) =>
    documents(
      nad('n', list([{ type: 'kube-ovn', provider: 'n.d.ovn' }])),
      pod('n').replace('{k8s', () => `{${times(n, (i) => `p${i}.kubernetes.io/ip_address: x, `).join('')}k8s`),
    ),
  'Secrets, and VMs with cloud-init': (n) => documents(nad('n'), ...times(n, (i) => documents(secret(i), guest(i)))),
  'ConfigMaps with configurations': (n) =>
    documents(...times(n, () => `kind: ConfigMap\ndata:\n  x: ${JSON.stringify(badRoutes(1))}\n`)),
  'parameters of a Template': (n) =>
    `kind: Template\nobjects:\n- ${JSON.stringify({ kind: NAD, metadata: { name: 'n' }, spec: { config: list([CALICO, ours({ routes: times(n, () => ({ dst: '${X}' })) })]) } })}\n`,
  'networks of a pod': (n) => documents(nad('n'), pod(times(n, () => 'n').join(', '))),
  'networks of a pod in JSON': (n) => documents(nad('n'), pod(JSON.stringify(times(n, () => ({ name: 'n', x: 1 }))))),
  'networks of a VM': (n) => documents(nad('n'), vm(times(n, (i) => `i${i}`))),
  'keys in YAML': (n) => nad('n') + times(n, (i) => `key${i}: ${i}\n`).join(''),
  'keys in YAML that repeat': (n) => nad('n') + times(n, () => 'key: 1\n').join(''),
  'keys between brackets in YAML': (n) => `${nad('n')}x: {${times(n, (i) => `k${i}: ${i}`).join(', ')}}\n`,
  'keys and items in YAML': (n) =>
    `kind: List\n${times(n, (i) => `k${i}: 1\n`).join('')}items:\n${times(n, () => `- ${BAD_NAD}\n`).join('')}`,
  'keys in YAML that are lists': (n) => nad('n') + times(n, () => '? [a]\n: b\n').join(''),
  'keys in YAML that stand for lists': (n) =>
    `${times(n, (i) => `k${i}: &a${i} [1]\n`).join('')}m:\n${times(n, (i) => `  *a${i} : 1\n`).join('')}`,
  'lists in YAML, deep inside': (n) => `${nad('n')}x: ${'['.repeat(100)}${times(n, () => '[1]')}${']'.repeat(100)}\n`,
  anchors: (n) => nad('n') + times(n, (i) => `k${i}: &a${i} x\nj${i}: *a${i}\n`).join(''),
  'anchors with findings': (n) =>
    `kind: List\nitems:\n${times(n, (i) => `- &n${i} ${BAD_NAD}\n- *n${i}\n- *n${i}\n`).join('')}`,
  'aliases of nothing': (n) => nad('n') + times(n, (i) => `j${i}: *c\n`).join(''),
  'merged objects': (n) => `x: &x {a: 1}\n${times(n, (i) => `j${i}: {<<: *x, b: 2}\n`).join('')}---\n${nad('n')}`,
  'documents that are no YAML': (n) => documents(...times(n, () => 'kind: [\n')),
  'lines that are no YAML': (n) => times(n, () => '- }\n').join(''),
  'items before the end of what is no JSON': (n) => `{${'"a": 1,\n'.repeat(n)}}`,
}
