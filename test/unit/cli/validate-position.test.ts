import { describe, expect, it } from 'vitest'
import { CALICO, list, OURS, validate } from '../../support/validate.ts'

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
      'stdin:11:18: error: spec.config: not JSON: a comma before "}"; JSON allows none there, remove it',
    )
  })
})
