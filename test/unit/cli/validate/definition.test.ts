import { describe, expect, it } from 'vitest'
import { CALICO, findings, list, OURS, validate } from '../../../support/validate.ts'

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
      ['note: spec: config: missing; Multus then looks for a configuration file of the network "vpc-net" on the node'],
    ],
    [
      'with another name than text',
      nad({ type: 'macvlan' }).replace('"name":"vpc-net"', '"name":{"a":1}'),
      ['error: metadata: name: missing; pods name the network by it', 'error: name: missing'],
    ],
  ])('%s', async (_, text, expected) => {
    expect(await findings(text)).toEqual(expected)
  })

  it.each([
    'NetworkAttachmentDefinitions',
    'NetworkAttachementDefinition',
    'networkattachmentdefinition',
    'net-attach-def',
  ])('of kind %s what to write, and what else is wrong', async (kind) => {
    const text = chain({ name: undefined }).replace('NetworkAttachmentDefinition', kind)
    const said = `error: kind: must be NetworkAttachmentDefinition, is "${kind}"`
    expect(await findings(text)).toEqual([said])
    expect(await findings(text.replace('k8s.cni.cncf.io/v1', 'k8s.cni.cncf.io/v1alpha1'))).toEqual([
      'error: apiVersion: must be k8s.cni.cncf.io/v1',
      said,
    ])
  })

  it.each(['NetworkPolicy', 'MultiNetworkPolicy', 'x'.repeat(100)])('nothing of kind %s', async (kind) => {
    const { lines } = await validate(chain({}).replace('NetworkAttachmentDefinition', kind))
    expect(lines).toEqual([expect.stringContaining('no network configuration found, only')])
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
    expect((await validate(text)).lines[0]).toMatch(
      /: error: spec\.config: not YAML: its quotes end too early, or never; /,
    )
  })

  it('and tells of a key that stands twice, of which the last one counts', async () => {
    const text = quoted("'", '', '').replace('  name: a', '  name: b\n  name: a')
    expect((await validate(text)).lines).toEqual([
      'stdin:5:3: warning: a key appears twice in this object; the last one counts',
      'stdin: 1 warning (1 chain: calico, x-calico-route)',
    ])
  })

  it('a byte order mark inside of it is none that Multus takes', async () => {
    expect((await validate(quoted("'", '', '').replace("'{", "'\uFEFF{"))).lines[0]).toMatch(
      /: error: spec.config: not JSON: /,
    )
  })
})
