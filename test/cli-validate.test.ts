import { describe, expect, it } from 'vitest'
import { validate as command } from '../src/cli/validate.ts'

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
      'a capability in the wrong entry',
      list([CALICO, { ...OURS, capabilities: { mac: true } }]),
      ['warning: plugins[1].capabilities: ignored; x-calico-route has no capability mac; it belongs to tuning'],
    ],
    [
      'keys that are not ours',
      list([CALICO, { ...OURS, ovnGateWay: 'auto', route: [], colour: 1, 'cni.dev/x': 1 }]),
      [
        'warning: plugins[1].ovnGateWay: unknown key, ignored; did you mean "ovnGateway"?',
        'warning: plugins[1].route: unknown key, ignored; did you mean "routes"?',
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
    expect(await said(text)).toEqual(expected)
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
    [
      'in a block, by its indentation',
      nad(`  config: |\n    {\n     "cniVersion": "1.0.0",\n\n     "name": "-" }`),
      '13:14',
    ],
    [
      'in a block with an indentation indicator',
      nad(`  config: |2\n      {"cniVersion": "1.0.0",\n       "name": "-" }`),
      '11:16',
    ],
    [
      'in a block with Windows line ends',
      nad(`  config: |\n    {"cniVersion": "1.0.0",\n     "name": "-" }`).replaceAll('\n', '\r\n'),
      '11:14',
    ],
    ['of a quoted string, where it begins', nad(`  config: '{"cniVersion": "1.0.0", "name": "-" }'`), '9:11'],
    ['of a folded string, where it begins', nad(`  config: >\n    {"cniVersion": "1.0.0",\n    "name": "-" }`), '9:11'],
    ['in JSON', '{\n "cniVersion": "1.0.0", "plugins": [{"type": "a"}],\n "name": "-"}', '3:10'],
    [
      'of a definition in JSON, at its string',
      `{"kind": "List", "items": [\n{"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "a"},\n"spec": {"config": "{\\"name\\": \\"-\\", \\"cniVersion\\": \\"1.0.0\\"}"}}]}`,
      '3:20',
    ],
  ])('%s', async (_, text, position) => {
    expect(await at(text)).toBe(
      `stdin:${position}: error: name: "-" must start with a letter or digit, then only letters, digits, "_", "." and "-" may follow`,
    )
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
      'stdin:1:1: error: not YAML: Unresolved alias (the anchor must be set before the alias): b',
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
      'stdin:5:11: error: x-calico-route stands alone and has no NIC to work on; write a list, "plugins", and put it there after the plugin that makes the NIC (calico, kube-ovn, ...)',
    ],
    [
      'whose words would act on a terminal',
      list([CALICO, { ...OURS, '\x1b[2J': 1 }]),
      'stdin:1:124: note: plugins[1].?[2J: unknown key, ignored',
    ],
  ])('%s', async (_, text, expected) => {
    expect((await validate(text)).lines[0]).toBe(expected)
  })

  it('which documents it passed over', async () => {
    const { status, lines } = await validate(`kind: Pod\n---\n${NAD}spec:\n  config: |\n    ${list([CALICO])}\n`)
    expect({ status, lines }).toEqual({
      status: 0,
      lines: ['stdin: ok (1 chain: calico without x-calico-route; 1 other document passed over)'],
    })
  })

  it('with --strict, that a warning is too much', async () => {
    const text = list([CALICO, { ...OURS, route: [] }])
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
        },
      ],
    })
  })
})
