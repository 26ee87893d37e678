import { describe, expect, it } from 'vitest'
import { validate as command } from '../../../src/cli/validate.ts'

/** What `validate` says of a text on stdin, line by line. */
async function validate(text: string, ...words: string[]): Promise<{ status: number; lines: string[] }> {
  let out = ''
  const terminal = {
    out: (part: string) => {
      out += part
    },
    err: () => {},
    input: () => text,
    colors: false,
    progress: false,
  }
  const status = await command.run([...words, '-'], terminal)
  return { status, lines: out.trimEnd().split('\n') }
}

/** Only what it says, without where. */
async function said(text: string): Promise<string[]> {
  const { lines } = await validate(text)
  return lines.slice(0, -1).map((line) => line.replace(/^stdin(?::\d+:\d+)?: /, ''))
}

const CALICO = { type: 'calico' }
const OURS = { type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }] }
const TUNING = { type: 'tuning', capabilities: { mac: true } }
const list = (plugins: object[], more: object = {}) =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins, ...more })

describe('validate says of a chain', () => {
  it('that it is ok, and which plugins it has', async () => {
    expect(await validate(list([CALICO, OURS, TUNING]))).toEqual({
      status: 0,
      lines: ['stdin: ok (1 chain: calico, x-calico-route, tuning)'],
    })
  })

  it.each<[string, string, string[]]>([
    [
      'x-calico-route first',
      list([OURS, CALICO]),
      [
        'error: plugins[0]: x-calico-route comes first; put it after the plugin that makes the NIC (calico, kube-ovn, ...)',
      ],
    ],
    [
      'only plugins before it that make no NIC',
      list([TUNING, OURS]),
      [
        'error: plugins[1]: x-calico-route comes after tuning, which make no NIC; put it after the plugin that makes the NIC (calico, kube-ovn, ...)',
      ],
    ],
    [
      'x-calico-route twice',
      list([CALICO, OURS, { type: 'x-calico-route' }]),
      [
        'warning: plugins[2]: x-calico-route stands in plugins[1] already and works on the same NIC; write all keys there',
      ],
    ],
    [
      'a plugin after it that moves its routes',
      list([CALICO, OURS, { type: 'sbr' }]),
      [
        'warning: plugins[2]: sbr moves the routes of the NIC to another table after x-calico-route has made them; put x-calico-route behind it',
      ],
    ],
    [
      'its name misspelt',
      list([CALICO, { ...OURS, type: 'x-calico-routes' }]),
      ['error: plugins[1].type: no plugin is known by the name of x-calico-routes; did you mean "x-calico-route"?'],
    ],
    [
      'a plugin without type',
      list([CALICO, {}]),
      ['error: plugins[1]: type: missing; it names the executable of the plugin'],
    ],
    ['no plugins', list([]), ['error: plugins: must be a list of plugins']],
    [
      'a version that Calico refuses',
      list([CALICO, OURS], { cniVersion: '1.1.0' }),
      ['error: cniVersion: Calico refuses versions above 1.0.0; write "1.0.0"'],
    ],
    [
      'a version that the plugin refuses',
      list([CALICO, OURS], { cniVersion: '0.2.0' }),
      [
        'error: cniVersion: "0.2.0" is not supported; the configuration asks for 0.2.0, x-calico-route supports 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0',
      ],
    ],
    ['no name', list([CALICO, OURS], { name: undefined }), ['error: name: missing']],
    [
      'our keys beside "plugins"',
      list([CALICO, OURS], { routes: [] }),
      ['warning: routes: ignored here; it belongs into the entry of "plugins" that is x-calico-route'],
    ],
    [
      'checks switched off',
      list([CALICO, OURS], { disableCheck: true }),
      ['note: disableCheck: no runtime will CHECK the routes; "x-calico-route verify" still does'],
    ],
    [
      'no version',
      list([CALICO, OURS], { cniVersion: undefined }),
      ['error: cniVersion: missing; write "1.0.0"; x-calico-route supports 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0'],
    ],
    [
      'an empty version',
      list([CALICO, OURS], { cniVersion: '' }),
      ['error: cniVersion: missing; write "1.0.0"; x-calico-route supports 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0'],
    ],
    [
      'several versions, of which libcni takes the newest',
      list([CALICO, OURS], { cniVersion: undefined, cniVersions: ['0.4.0', '1.0.0', '9.0.0'] }),
      [],
    ],
    [
      'several versions, of which the newest is none of Calico',
      list([CALICO, OURS], { cniVersions: ['1.1.0', '0.4.0'] }),
      ['error: cniVersions: Calico refuses versions above 1.0.0; write "1.0.0"'],
    ],
    ['no version where others read it', list([CALICO], { cniVersion: undefined }), []],
    ['an old version where others read it', list([CALICO], { cniVersion: '0.2.0' }), []],
    [
      'a version that is a number',
      list([CALICO], { cniVersion: 1 }),
      ['error: cniVersion: must be a string such as "1.0.0", is 1'],
    ],
    [
      'keys of route-override in ours',
      list([CALICO, { ...OURS, flushgateway: true, addroutes: [{ dst: '10.50.0.0/16' }] }]),
      [
        'error: plugins[1].flushgateway: a key of route-override; write "defaultRoute": "remove"',
        'error: plugins[1].addroutes: a key of route-override; write "routes"',
      ],
    ],
    [
      'keys of route-override in its own',
      list([CALICO, OURS, { type: 'tuning', flushgateway: true, addroutes: [] }]),
      [],
    ],
    [
      'our keys beside "plugins", in other letters',
      list([CALICO, OURS], { default_route: 'keep' }),
      ['warning: default_route: ignored here; it belongs into the entry of "plugins" that is x-calico-route'],
    ],
    ...['routes', 'ovnGateway', 'defaultRoute', 'overrides', 'kubevirt', 'logFile', 'args'].map(
      (key): [string, string, string[]] => [`${key} null`, list([CALICO, { ...OURS, [key]: null }]), []],
    ),
    ['null in a route', list([CALICO, { ...OURS, routes: [{ dst: '10.50.0.0/16', gw: null, mtu: null }] }]), []],
    ['null in cni-args', list([CALICO, { ...OURS, args: { cni: { routes: null } } }]), []],
    [
      'a wrong key beside everything that depends on others',
      list([
        CALICO,
        {
          ...OURS,
          logLevel: 'loud',
          ovnGateway: { ipv6: '10.0.0.1' },
          routes: [{ dst: '10.50.0.1/16', mtu: 1, gw: 'fe80::1' }],
          args: { cni: { dryRun: true } },
          prevResult: 5,
        },
      ]),
      [
        'error: plugins[1].args.cni.dryRun: not in "overrides.allow" of the network configuration',
        'error: plugins[1].logLevel: must be debug, info, warn or error, is "loud"',
        'error: plugins[1].ovnGateway.ipv6: 10.0.0.1 is not an IPv6 address; write an IPv6 address or "auto"',
        'error: plugins[1].prevResult: must be an object, is 5',
        'error: plugins[1].routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16',
        'error: plugins[1].routes[0].gw: fe80::1 is an IPv6 address, but 10.50.0.0/16 is IPv4; write an IPv4 address',
        'error: plugins[1].routes[0].mtu: must be an integer from 68 to 65520, is 1',
      ],
    ],
    [
      'a scope that the kernel does not keep',
      list([
        CALICO,
        {
          ...OURS,
          routes: [
            { dst: 'fd00:1::/48', scope: 'link' },
            { dst: 'fd00:2::/48', scope: 'global' },
            { dst: 'fd00:3::/48', scope: 'site' },
            { dst: 'fd00:4::/48', scope: 254 },
            { dst: '10.50.0.0/16', scope: 'site' },
          ],
        },
      ]),
      ['2', '3'].map(
        (index) =>
          `warning: plugins[1].routes[${index}].scope: IPv6 routes have no scope, so that this is ignored; leave it out, or write "link" for a route without next hop`,
      ),
    ],
    [
      'types that are no words',
      list([CALICO, { type: { a: 1 } }, OURS]),
      ['error: plugins[1].type: must be the name of an executable'],
    ],
    [
      'a capability in the wrong entry',
      list([CALICO, { ...OURS, capabilities: { mac: true } }]),
      ['warning: plugins[1].capabilities: ignored; x-calico-route has no capability mac; it belongs to tuning'],
    ],
    [
      'keys that are not ours',
      list([CALICO, { ...OURS, ovnGateWay: 'auto', route: [], colour: 1, 'cni.dev/x': 1 }]),
      [
        'error: plugins[1].ovnGateWay: unknown key; did you mean "ovnGateway"?',
        'error: plugins[1].route: unknown key; did you mean "routes"?',
        'note: plugins[1].colour: unknown key, ignored',
      ],
    ],
    [
      'overrides that allow nothing',
      list([CALICO, { ...OURS, overrides: { allow: ['routes'] } }]),
      ['warning: plugins[1].overrides: within: missing; without prefixes there, routes of a pod are always refused'],
    ],
    [
      'what KubeVirt makes nothing of',
      list([
        CALICO,
        {
          type: 'x-calico-route',
          kubevirt: true,
          defaultRoute: 'demote',
          routes: [{ dst: '10.50.0.0/16' }, { dst: '10.60.0.0/16', scope: 'link' }, { dst: 'fd00::/64' }],
          overrides: { allow: ['kubevirt'] },
        },
      ]),
      [
        'note: plugins[1].defaultRoute: a demoted IPv4 default is still a default to KubeVirt, which hands it to the VM',
        'note: plugins[1].routes[0]: DHCP clients that apply routes in order refuse this one, whose gateway comes last; write "scope": "link"',
        'note: plugins[1].routes[2]: KubeVirt hands no IPv6 route to a VM; cloud-init may',
        'note: plugins[1].overrides: KubeVirt hands no cni-args on: for a VM this changes nothing',
      ],
    ],
    [
      'a key twice',
      '{"cniVersion": "1.0.0", "name": "a", "name": "net", "plugins": [{"type": "calico"}]}',
      ['warning: name: stands in this object twice; the last one counts'],
    ],
    [
      'every mistake in our keys at once',
      list([CALICO, { type: 'x-calico-route', defaultRoute: 'no', routes: [{ dst: '10.50.0.1/16', via: 'x' }, {}] }]),
      [
        'error: plugins[1].defaultRoute: must be remove, demote or keep, is "no"',
        'error: plugins[1].routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16',
        'error: plugins[1].routes[0].via: unknown key; did you mean "gw"?',
        'error: plugins[1].routes[1]: dst: missing',
      ],
    ],
    [
      'cni-args that its overrides forbid',
      list([CALICO, { ...OURS, args: { cni: { routes: [] } } }]),
      ['error: plugins[1].args.cni.routes: not in "overrides.allow" of the network configuration'],
    ],
    [
      'a prevResult that is none',
      list([CALICO, { ...OURS, prevResult: { ips: [{ address: '10.0.0.1' }] } }]),
      ['error: plugins[1].prevResult.ips[0].address: must be an address with prefix length, is "10.0.0.1"'],
    ],
  ])('%s', async (_, text, expected) => {
    expect((await said(text)).toSorted()).toEqual(expected.toSorted())
  })
})

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
        'error: delegates[0]: x-calico-route stands alone and has no NIC to work on; write a list, "plugins", and put it there after the plugin that makes the NIC (calico, kube-ovn, ...)',
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
      ['error: delegates[0]: type: missing; it names the executable of the plugin'],
    ],
    ['delegates of somebody else', conf({ ...multus(LIST), type: 'genie' }), []],
    ['none: a cluster network', conf({ type: 'multus', clusterNetwork: '/etc/cni/net.d/10-calico.conflist' }), []],
    ['none: null', conf({ type: 'multus', delegates: null }), []],
  ])('%s', async (_, text, expected) => {
    expect(await said(text)).toEqual(expected)
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

describe('validate says of a definition', () => {
  const nad = (config: unknown, name = 'vpc-net') =>
    JSON.stringify({
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { name, namespace: 'tenant' },
      spec: { config: typeof config === 'string' ? config : JSON.stringify(config) },
    })
  const chain = (more: object) => nad({ cniVersion: '0.3.1', plugins: [{ type: 'kube-ovn' }, OURS], ...more })

  it.each<[string, string, string[]]>([
    ['without a name in its configuration, that Multus takes its own', chain({}), []],
    ['with an empty name in its configuration, the same', chain({ name: '' }), []],
    ['of a single plugin without name, the same', nad({ cniVersion: '0.3.1', type: 'macvlan' }), []],
    ['with a name null, that Multus leaves it so', chain({ name: null }), ['error: name: missing']],
    ['with a name that is none', chain({ name: 5 }), ['error: name: 5 must be a string that is not empty']],
    [
      'without a name of its own',
      nad({ type: 'macvlan' }, ''),
      ['error: metadata: name: missing; pods name the network by it', 'error: name: missing'],
    ],
    [
      'whose name is none for a network',
      nad({ type: 'macvlan' }, '-x'),
      ['error: name: "-x" must start with a letter or digit and have only letters, digits, "_", "." and "-"'],
    ],
    [
      'with a configuration null',
      nad({}).replace(/"config":"{}"/, '"config":null'),
      ['note: spec: config: missing; Multus then looks for a file of the network "vpc-net" on the node'],
    ],
    [
      'with another name than text',
      nad({ type: 'macvlan' }).replace('"name":"vpc-net"', '"name":{"a":1}'),
      ['error: metadata: name: missing; pods name the network by it', 'error: name: missing'],
    ],
  ])('%s', async (_, text, expected) => {
    expect(await said(text)).toEqual(expected)
  })

  it('by which name it goes', async () => {
    const { lines } = await validate(chain({}), '-o', 'json')
    expect(JSON.parse(lines.join('\n')).files[0].chains).toEqual([
      { network: 'tenant/vpc-net', plugins: ['kube-ovn', 'x-calico-route'] },
    ])
  })
})

/** As Multus' own examples are written. */
describe('validate takes a quoted configuration as the API server does', () => {
  const BODY = list([CALICO, OURS]).replaceAll(/[{,[]/g, (found) => `${found}\n`)
  const NAD =
    'apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata:\n  name: a\nspec:\n  config: '
  const quoted = (quote: string, indent: string, end: string) => {
    const body = quote === '"' ? BODY.replaceAll('"', '\\"') : BODY
    return `${NAD}${quote}${body.replaceAll('\n', `\n${indent}`)}${end}${quote}\nother: 1\n`
  }

  it.each(
    ["'", '"'].flatMap((quote) =>
      ['', ' ', '  ', '      ', '\t', '    \t', '\t  '].flatMap((indent) =>
        ['', '\n', '\n  ', '\n\t'].map((end) => ({ quote, indent, end })),
      ),
    ),
  )('$quote, indented by $indent, closed after $end', async ({ quote, indent, end }) => {
    for (const text of [quoted(quote, indent, end), quoted(quote, indent, end).replaceAll('\n', '\r\n')])
      expect((await validate(text)).lines).toEqual(['stdin: ok (1 chain: calico, x-calico-route)'])
  })

  it.each([
    ['with a byte order mark', `\uFEFF${quoted("'", '', '')}`],
    [
      'in JSON, with a byte order mark',
      `\uFEFF${JSON.stringify({ apiVersion: 'k8s.cni.cncf.io/v1', kind: 'NetworkAttachmentDefinition', metadata: { name: 'a' }, spec: { config: list([CALICO, OURS]) } })}`,
    ],
    [
      'in braces that close in the first column',
      quoted("'", '', '').replace('metadata:\n  name: a', 'metadata: {\nname: a\n}'),
    ],
    [
      'with a key merged in',
      quoted("'", '', '').replace('metadata:\n  name: a', 'x: &m {name: a}\nmetadata: {<<: *m}'),
    ],
  ])('%s', async (_, text) => {
    expect((await validate(text)).lines).toEqual(['stdin: ok (1 chain: calico, x-calico-route)'])
  })

  it.each([
    ['that a document ends in', quoted("'", '', '').replace('"name":', '\n---\n"name":')],
    ['that never ends', quoted("'", '', '').replace(/'\nother.*/s, '')],
  ])('and not one %s', async (_, text) => {
    expect((await validate(text)).lines[0]).toMatch(/: error: not YAML: /)
  })

  it('and tells of a key that stands twice, of which the last one counts', async () => {
    const text = quoted("'", '', '').replace('  name: a', '  name: b\n  name: a')
    expect((await validate(text)).lines).toEqual([
      'stdin:5:3: warning: a key stands in this object twice; the last one counts',
      'stdin: 1 warning (1 chain: calico, x-calico-route)',
    ])
  })

  it('a byte order mark inside of it is none that Multus takes', async () => {
    expect((await validate(quoted("'", '', '').replace("'{", "'\uFEFF{"))).lines[0]).toMatch(
      /: error: spec.config: not JSON: /,
    )
  })
})

describe('validate says of a template, in one line', () => {
  const TEMPLATE =
    'error: a Helm or Go template, which nobody can check before it is rendered; write: helm template CHART | x-calico-route validate -'
  const nad = (name: string, config: string, more = '') =>
    `apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata:\n  name: ${name}\n${more}spec:\n  config: ${config}\n`
  const CONFIG = `|\n    ${list([CALICO, OURS])}`
  const IN_JSON = (value: string) =>
    `|\n    ${list([CALICO, { ...OURS, logLevel: 'VALUE' }]).replace('"VALUE"', value)}`

  it.each<[string, string]>([
    [
      'names and conditions',
      nad('{{ .Release.Name }}-net', CONFIG, '{{- if .Values.ns }}\n  namespace: {{ .Values.ns }}\n{{- end }}\n'),
    ],
    ['a value alone', nad('{{ .Release.Name }}', CONFIG)],
    ['a loop around it', `{{- range .Values.networks }}\n${nad('a', CONFIG)}---\n{{- end }}\n`],
    ['a comment and an include', `{{/* networks */}}\n${nad('a', '{{ include "net" . | quote }}')}`],
    ['a configuration out of values', nad('a', '{{ .Values.config | toJson | quote }}')],
    ['a configuration in quotes', nad('a', `'{{ toJson .Values.config }}'`)],
    ['a value in the JSON', nad('a', IN_JSON('{{ .Values.level }}'))],
    ['a value in the JSON, in quotes', nad('a', IN_JSON('"{{ .Values.level }}"'))],
    ['a list of values', nad('a', CONFIG, '  labels:\n{{ toYaml .Values.labels | indent 4 }}\n')],
    [
      'a plugin list',
      `{"cniVersion": "1.0.0", "name": "a", "plugins": [\n{{ range .P }}{"type": "{{ . }}"}{{ end }}]}`,
    ],
    ['a plugin list whose values are in quotes', list([CALICO, { ...OURS, routes: [{ dst: '{{ .Values.dst }}' }] }])],
  ])('%s', async (_, text) => {
    const before = text.slice(0, text.indexOf('{{')).split('\n')
    const position = `${before.length}:${(before.at(-1) ?? '').length + 1}`
    const { status, lines } = await validate(text)
    expect({ status, first: lines[0], rest: lines.slice(1) }).toEqual({
      status: 1,
      first: `stdin:${position}: ${TEMPLATE}`,
      rest: [expect.stringMatching(/^stdin: 1 error/)],
    })
  })

  it('and nothing of it where nothing is wrong for it', async () => {
    const text = nad('a', CONFIG, '  annotations: {a: "{{ x }}"}\n')
    expect((await validate(text)).lines).toEqual(['stdin: ok (1 chain: calico, x-calico-route)'])
  })

  it('and every mistake that has nothing to do with it', async () => {
    const text = list([
      { ...CALICO, comment: '{{ .x }}' },
      { ...OURS, defaultRoute: 'no', routes: [{ dst: '{{ .y }}' }] },
    ])
    expect(await said(text)).toEqual([
      TEMPLATE,
      'error: plugins[1].defaultRoute: must be remove, demote or keep, is "no"',
    ])
    expect((await said(`{"a" 1, "b": "{{ .x }}"}`))[0]).toBe(
      'error: not JSON: ":" is expected after the key "a", found "1"',
    )
  })
})

describe('validate says what KubeVirt makes of a network', () => {
  const definition = (name: string, namespace?: string) =>
    JSON.stringify({
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { name, ...(namespace ? { namespace } : {}) },
      spec: { config: list([CALICO, { ...OURS, routes: [{ dst: 'fd00::/64' }] }]) },
    })
  const vm = (networkName: string, more: { kind?: string; binding?: object; namespace?: string } = {}) => {
    const { kind = 'VirtualMachine', binding = { bridge: {} }, namespace = 'tenant' } = more
    const byAnnotation = networkName.endsWith('@eth0')
    const pod = {
      ...(byAnnotation ? { metadata: { annotations: { 'v1.multus-cni.io/default-network': networkName } } } : {}),
      spec: {
        domain: { devices: { interfaces: [{ name: 'nic', ...binding }] } },
        networks: [byAnnotation ? { name: 'nic', pod: {} } : { name: 'nic', multus: { networkName, default: true } }],
      },
    }
    const metadata = { name: 'vm', namespace }
    if (kind === 'VirtualMachineInstance')
      return JSON.stringify({ kind, metadata: { ...metadata, ...pod.metadata }, spec: pod.spec })
    const spec =
      kind === 'VirtualMachinePool' ? { virtualMachineTemplate: { spec: { template: pod } } } : { template: pod }
    return JSON.stringify({ kind, metadata, spec })
  }
  const NOTE = 'note: plugins[1].routes[0]: KubeVirt hands no IPv6 route to a VM; cloud-init may'

  it.each<[string, string, string, boolean]>([
    ['that a machine has', definition('net', 'tenant'), vm('tenant/net'), true],
    ['that a machine of the same namespace has', definition('net', 'tenant'), vm('net'), true],
    [
      'that a machine of another namespace has not',
      definition('net', 'tenant'),
      vm('net', { namespace: 'other' }),
      false,
    ],
    ['whose namespace nobody says', definition('net'), vm('tenant/net'), true],
    ['that an instance has', definition('net', 'tenant'), vm('net', { kind: 'VirtualMachineInstance' }), true],
    ['that a set has', definition('net', 'tenant'), vm('net', { kind: 'VirtualMachineInstanceReplicaSet' }), true],
    ['that a pool has', definition('net', 'tenant'), vm('net', { kind: 'VirtualMachinePool' }), true],
    ['that is the default one of its pod', definition('net', 'tenant'), vm('tenant/net@eth0'), true],
    ['that it has by masquerading', definition('net', 'tenant'), vm('net', { binding: { masquerade: {} } }), false],
    ['of another name', definition('net', 'tenant'), vm('tenant/net2'), false],
    ['beside a document of another kind', definition('net', 'tenant'), vm('net', { kind: 'Deployment' }), false],
    [
      'beside a machine that is none',
      definition('net', 'tenant'),
      JSON.stringify({ kind: 'VirtualMachine', spec: { template: 5 } }),
      false,
    ],
    ['without any machine', definition('net', 'tenant'), 'kind: Pod', false],
  ])('%s', async (_, network, machine, told) => {
    expect(await said(`# machine\n${machine}\n---\n${network}\n`)).toEqual(told ? [NOTE] : [])
    expect(await said(`# network\n${network}\n---\n${machine}\n`)).toEqual(told ? [NOTE] : [])
  })
})

describe('validate, of whatever it is given,', () => {
  it.each([
    ['a list as a key', '? [a, b]\n: c\n'],
    ['an object as a key', '{{a: b}: c}\n'],
    ['an object as name', list([CALICO, OURS], { name: { a: 1 } })],
    ['an object as type', list([CALICO, { type: { a: 1 } }])],
    ['an object as version', list([CALICO, OURS], { cniVersion: { a: 1 } })],
    ['an object as kind', 'kind: {a: 1}\n'],
    [
      'an object as namespace',
      'kind: NetworkAttachmentDefinition\nmetadata: {name: {a: 1}, namespace: {b: 2}}\nspec: {}\n',
    ],
    [
      'lists for everything',
      list([
        CALICO,
        { type: 'x-calico-route', routes: [[]], ovnGateway: [], overrides: [], args: [], capabilities: [{}] },
      ]),
    ],
    ['an unknown tag', 'kind: !a Pod\nb: !!binary x\n'],
    ['10,000 brackets', '['.repeat(10_000)],
    ['10,000 brackets in YAML', `a: ${'['.repeat(10_000)}`],
    ['10,000 steps of indentation', Array.from({ length: 3_000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    [
      'aliases of aliases',
      `a: &a [x]\n${'bcdefghij'.replaceAll(/./g, (c) => `${c}: &${c} [${`*${String.fromCharCode(c.charCodeAt(0) - 1)}, `.repeat(9)}]\n`)}`,
    ],
  ])('%s, answers in lines, without a warning of Node.js', async (_, text) => {
    const warnings: unknown[] = []
    const listen = (warning: unknown) => warnings.push(warning)
    process.on('warning', listen)
    const { lines } = await validate(text)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(warnings).toEqual([])
    expect(lines.join('\n')).not.toMatch(/\[object|undefined/)
    for (const line of lines) expect(line).toMatch(/^stdin(:\d+:\d+)?: /)
  })
})

describe('validate says where', () => {
  const nad = (config: string) => `apiVersion: v1
kind: ConfigMap
---
# Calico's
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: { name: a, namespace: b }
spec:
${config}
`
  const BODY = list([CALICO, { ...OURS, routes: [{ dst: '10.50.0.0/16', gateway: 'x' }] }])
  const at = async (text: string) => (await validate(text)).lines[0]

  it.each<[string, string, string]>([
    ['in a block, by its indentation', nad(`  config: |\n    {\n     "type": "a",\n\n     "name": "-" }`), '13:14'],
    [
      'in a block with an indentation indicator',
      nad(`  config: |2\n      {"type": "a",\n       "name": "-" }`),
      '11:16',
    ],
    [
      'in a block with Windows line ends',
      nad(`  config: |\n    {"type": "a",\n     "name": "-" }`).replaceAll('\n', '\r\n'),
      '11:14',
    ],
    ['in JSON', '{\n "cniVersion": "1.0.0", "plugins": [{"type": "a"}],\n "name": "-"}', '3:10'],
  ])('%s', async (_, text, position) => {
    expect(await at(text)).toBe(
      `stdin:${position}: error: name: "-" must start with a letter or digit and have only letters, digits, "_", "." and "-"`,
    )
  })

  it.each<[string, string]>([
    ['in single quotes', nad(`  config: '{"type": "a''b", "name": "-" }'`)],
    ['in single quotes, on another line', nad(`  config: '{"type": "a",\n\n\t"name": "-"\n}'`)],
    ['in single quotes that end in the first column', nad(`  config: '{\n"type": "a",\n"name": "-"\n}\n'`)],
    ['in double quotes', nad(String.raw`  config: "{\"type\": \"a\u0062\\n\x63\",\t\"name\": \"-\" }"`)],
    [
      'in double quotes, behind a line that goes on',
      nad('  config: "{\\"type\\":\\\n  \\"a\\",\n\\\n  \\"name\\": \\n\\"-\\" }"').replaceAll('\\\\"', '\\"'),
    ],
    [
      'in double quotes, behind characters beyond the first plane',
      nad(String.raw`  config: "{\"type\": \"\U0001F980🦀\", \"name\": \"-\" }"`),
    ],
    ['in a folded string', nad(`  config: >-  # folded\n    {"type": "a",\n\n      "name": "-" }`)],
    [
      'in a literal string, behind a remark',
      nad(`  config: |  # 'literal'\n\n    {"type": "a",\n\n      "name": "-" }`),
    ],
    ['behind an anchor', nad(`  config: &c\n    '{"type": "a",\n"name": "-"}'`)],
    ['behind an alias', nad('  config: *c').replace('spec:', `x: &c '{"type": "a", "name": "-"}'\nspec:`)],
    ['with Windows line ends', nad(`  config: '{"type": "a",\n  "name": "-"}'`).replaceAll('\n', '\r\n')],
    ['behind a byte order mark', `\uFEFF${nad(`  config: '{"type": "a", "name": "-"}'`)}`],
    [
      'of a definition in JSON, in its string',
      `{"kind": "List", "items": [\n{"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "a"},\n"spec": {"config": "{\\"na\\u006de\\": \\"-\\", \\"type\\": \\"a\\"}"}}]}`,
    ],
  ])('%s', async (_, text) => {
    const [, line = '', column = '', said] = /^stdin:(\d+):(\d+): (.*)/.exec((await at(text)) ?? '') ?? []
    expect(said).toMatch(/^error: name: "-" must start with a letter or digit/)
    expect(
      text
        .replace(/^\uFEFF/, '')
        .split('\n')
        [Number(line) - 1]?.slice(Number(column) - 1),
    ).toMatch(/^\\?"-\\?"/)
  })

  it('an unknown key stands: at the key', async () => {
    expect(await at(nad(`  config: |\n    ${BODY}`))).toBe(
      `stdin:10:${5 + BODY.indexOf('"gateway"')}: error: plugins[1].routes[0].gateway: unknown key; did you mean "gw"?`,
    )
  })

  it('the JSON in a definition breaks', async () => {
    expect(await at(nad(`  config: |\n    {\n      "name": "a",\n    }`))).toBe(
      'stdin:11:18: error: spec.config: not JSON: a comma before "}"; JSON has none there, remove it',
    )
  })
})

describe('validate says of a file', () => {
  const NAD = 'apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: a}\n'
  it.each<[string, string, string]>([
    ['that is empty', ' \n', 'stdin: error: empty; a network configuration is expected'],
    ['that only comments on something', '# nothing\n---\n', 'stdin: error: empty; a network configuration is expected'],
    [
      'that is no text',
      '\x7fELF\0',
      'stdin: error: not a text in UTF-8; give a configuration in JSON, or a NetworkAttachmentDefinition in YAML',
    ],
    [
      'of another kind',
      'kind: VirtualMachine\n',
      'stdin: error: no network configuration, only VirtualMachine; give a configuration, a plugin list or a NetworkAttachmentDefinition',
    ],
    [
      'that is no YAML',
      'a: [1\nb: 2',
      'stdin:2:1: error: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['with a tab', 'a:\n\t- b', 'stdin:2:1: error: not YAML: Tabs are not allowed as indentation'],
    [
      'with an alias of nothing',
      'a: *b',
      'stdin:1:4: error: not YAML: *b stands for nothing, there is no &b before it',
    ],
    [
      'with an alias inside of what it stands for',
      'a: &a\n  b: [*a]',
      'stdin:2:7: error: not YAML: *a stands in the place of a part of itself',
    ],
    [
      'with an alias of a list in the place of a key',
      'a: &a [1]\nb:\n  *a : 1',
      'stdin:3:3: error: not YAML: a list or an object stands in the place of a key',
    ],
    [
      'with aliases of aliases',
      `a: &a [${'x, '.repeat(50)}]\n${'bcd'.replaceAll(/./g, (c) => `${c}: &${c} [${`*${String.fromCharCode(c.charCodeAt(0) - 1)}, `.repeat(50)}]\n`)}`,
      'stdin:1:1: error: not YAML: aliases make it more than 100 times as long, which the API server refuses',
    ],
    ['that is no JSON', '{"a": }', 'stdin:1:7: error: not JSON: a value is expected, found "}"'],
    [
      'with a mark before its JSON',
      '\uFEFF{}',
      'stdin:1:1: error: starts with a byte order mark, which runtimes do not take; remove it',
    ],
    [
      'with a plugin list in YAML',
      'plugins: []',
      'stdin:1:1: error: a network configuration must be JSON; no runtime reads it as YAML',
    ],
    [
      'whose definition holds an object',
      `${NAD}spec:\n  config:\n    name: a\n`,
      'stdin:6:5: error: spec.config: must be a string that holds JSON; write "config: |" and the JSON below it',
    ],
    [
      'whose definition leaves it to Multus',
      `${NAD}spec: {}\n`,
      'stdin:4:7: note: spec: config: missing; Multus then looks for a file of the network "a" on the node',
    ],
    [
      'whose definition holds us alone',
      `${NAD}spec:\n  config: '{"cniVersion": "1.0.0", "name": "a", "type": "x-calico-route"}'\n`,
      'stdin:5:12: error: x-calico-route stands alone and has no NIC to work on; write a list, "plugins", and put it there after the plugin that makes the NIC (calico, kube-ovn, ...)',
    ],
    [
      'whose words would act on a terminal',
      list([CALICO, { ...OURS, '\x1b[2J': 1 }]),
      'stdin:1:124: note: plugins[1].?[2J: unknown key, ignored',
    ],
  ])('%s', async (_, text, expected) => {
    expect((await validate(text)).lines[0]).toBe(expected)
  })

  it('of more than a hundred findings the gravest, in the order of the file, and how many more there are', async () => {
    const unknown = Array.from({ length: 101 }, (_, i) => [`unknown${i}`, true])
    const text = list([CALICO, { ...OURS, ...Object.fromEntries(unknown), routes: [{ dst: 'x' }], capabilities: {} }])
    const { lines } = await validate(text)
    expect(lines).toHaveLength(102)
    expect(lines.filter((line) => line.includes(': note: '))).toHaveLength(98)
    expect(lines.filter((line) => /: (?:error: .*dst|warning: .*capabilities)/.test(line))).toHaveLength(2)
    expect(lines.slice(100)).toEqual([
      'stdin: and 3 notes more',
      'stdin: 1 error, 1 warning (1 chain: calico, x-calico-route)',
    ])
    const [file] = JSON.parse((await validate(text, '-o', 'json')).lines.join('\n')).files
    expect(file).toMatchObject({ ok: false, notShown: 3, problems: { length: 100 } })
  })

  it('what is of a file of one long key, or value, in short', async () => {
    const { lines } = await validate(
      list([CALICO, { ...OURS, ['k'.repeat(2_000)]: 1, logFile: '\\n'.repeat(8_000_000) }]),
    )
    expect(lines).toHaveLength(3)
    expect(lines[0]).toMatch(/: note: plugins\[1\]\.k{77}\.\.\.: unknown key, ignored$/)
    expect(lines[1]).toMatch(
      /: error: plugins\[1\]\.logFile: must be the absolute path of a file, is "[\\n]{76}\.\.\.$/,
    )
  })

  it('which documents it passed over', async () => {
    const { status, lines } = await validate(`kind: Pod\n---\n${NAD}spec:\n  config: |\n    ${list([CALICO])}\n`)
    expect({ status, lines }).toEqual({
      status: 0,
      lines: ['stdin: ok (1 chain: calico without x-calico-route; 1 other document passed over)'],
    })
  })

  it('with --strict, that a warning is too much', async () => {
    const text = list([CALICO, { ...OURS, capabilities: { mac: true } }])
    expect((await validate(text)).status).toBe(0)
    expect((await validate(text, '--strict')).status).toBe(1)
  })

  it('in JSON for other programs', async () => {
    const text = list([CALICO, { ...OURS, defaultRoute: 'no' }])
    const { status, lines } = await validate(text, '-o', 'json')
    expect(status).toBe(1)
    expect(JSON.parse(lines.join('\n'))).toEqual({
      files: [
        {
          file: 'stdin',
          ok: false,
          chains: [{ network: 'net', plugins: ['calico', 'x-calico-route'] }],
          passedOver: [],
          problems: [
            {
              severity: 'error',
              line: 1,
              column: text.indexOf('"no"') + 1,
              path: 'plugins[1].defaultRoute',
              message: 'must be remove, demote or keep, is "no"',
            },
          ],
          notShown: 0,
        },
      ],
    })
  })
})
