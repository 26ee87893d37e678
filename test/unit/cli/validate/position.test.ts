import { describe, expect, it } from 'vitest'
import { CALICO, list, OURS, validate } from '../../../support/validate.ts'

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

  const PER_POD = list([{ type: 'macvlan' }, { ...OURS, overrides: { allow: ['routes'], within: ['10.50.0.0/16'] } }])
  const OTHER = nad(`  config: '${PER_POD}'`).replace('name: a,', 'name: other,')
  const template = (annotation: string) => `kind: Pod
metadata:
  namespace: b
  annotations:
    k8s.v1.cni.cncf.io/networks: ${annotation}
`
  const indented = (text: string) => text.replaceAll('\n', '\n  ')
  const pod = (annotation: string) => `${OTHER}---\n${template(annotation)}`
  const WRONG = `[
      {"name": "other", "mac": "02:00"},
      {"namespace": "b", "name": "othr"},
      {"name": "other", "colour": 1,
       "cni-args": {"routes": [
         {"dst": "10.50.0.0/16", "gateway": 1}
       ]}}
    ]`
  it.each<[string, string]>([
    ['in a block', pod(`|\n      ${indented(WRONG)}`)],
    ['in a block with Windows line ends', pod(`|\n      ${indented(WRONG)}`).replaceAll('\n', '\r\n')],
    ['in a folded block', pod(`>-\n      ${indented(WRONG)}`)],
    ['in single quotes', pod(`'${WRONG}'`)],
    ['in double quotes', pod(`"${WRONG.replaceAll('"', '\\"')}"`)],
    ['of a List', `${OTHER}---\nkind: List\nitems:\n- ${indented(template(`'${WRONG}'`))}`],
    ['of a template', `${OTHER}---\nkind: Job\nspec:\n template:\n  ${indented(template(`'${WRONG}'`))}`],
  ])('a part of a JSON annotation stands: %s', async (_, text) => {
    const lines = (await validate(text)).lines.slice(0, -1)
    const found = lines.map((line) => {
      const [, row = '', column = '', said = ''] = /^stdin:(\d+):(\d+): \w+: \S*cncf\.io\/networks(.*)/.exec(line) ?? []
      return [
        text
          .split(/\r?\n/)
          [Number(row) - 1]?.slice(Number(column) - 1)
          .replaceAll('\\', ''),
        said,
      ]
    })
    expect(found).toEqual([
      [expect.stringMatching(/^"02:00"/), expect.stringMatching(/^\[0\]\.mac: must be a MAC address/)],
      [expect.stringMatching(/^"othr"/), expect.stringMatching(/^\[1\]\.name: no NetworkAttachmentDefinition b\/othr/)],
      [expect.stringMatching(/^"colour"/), expect.stringMatching(/^\[2\]\.colour: unknown key/)],
      [
        expect.stringMatching(/^"gateway"/),
        expect.stringMatching(/^\[2\]\.cni-args\.routes\[0\]\.gateway: network b\/other: unknown key/),
      ],
    ])
  })

  it('the JSON in an annotation breaks', async () => {
    const text = pod('|\n      [{"name": "other"},\n       ]')
    const line = text.split('\n').findIndex((one) => one.includes('[{"name": "other"')) + 1
    expect(await at(text)).toBe(
      `stdin:${line}:25: error: metadata.annotations.k8s.v1.cni.cncf.io/networks: not JSON: a comma before "]"; JSON allows none there, remove it; Multus refuses the pod`,
    )
  })

  it('the JSON in a definition breaks', async () => {
    expect(await at(nad(`  config: |\n    {\n      "name": "a",\n    }`))).toBe(
      'stdin:11:18: error: spec.config: not JSON: a comma before "}"; JSON allows none there, remove it',
    )
  })
})
