import { describe, expect, it } from 'vitest'
import { validate } from '../../../support/validate.ts'

const HEAD = 'apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata:\n  name: a\nspec:\n'
const JSON_LINES = ['{', '  "cniVersion": "1.0.0",', '  "name": "net",', '  "plugins": [{ "type": "calico" }]', '}']
const indented = (by: string) => JSON_LINES.map((line) => `${by}${line}\n`).join('')
const TO_WRITE = 'write "config: |", and below it the JSON, indented by spaces'
const TAB = 'a line is indented by a tab'
const QUOTES = 'its quotes end too early, or never'
const FLUSH = 'the JSON is not indented, or has no "|" before it'

describe('a "config" that the YAML around it breaks is one error, at the first place', () => {
  it.each<[what: string, config: string, place: string, cause: string]>([
    ['indented by tabs', `|\n${indented('\t')}`, '7:1', TAB],
    ['with a tab in one line', `|\n    {\n\t"name": "net"}\n`, '8:1', TAB],
    ['with quotes in quotes', `"{ "cniVersion": "1.0.0", "name": "net" }"\n`, '6:11', QUOTES],
    ['with quotes in quotes, over lines', `"${indented('    ').trim()}"\n`, '6:11', QUOTES],
    ['with an apostrophe in single quotes', `'{ "name": "it's" }'\n`, '6:26', QUOTES],
    ['not indented', `|\n${indented('')}`, '7:1', FLUSH],
    ['without a "|"', `\n${indented('')}`, '7:1', FLUSH],
  ])('%s', async (_, config, place, cause) => {
    expect((await validate(`${HEAD}  config: ${config}`)).lines).toEqual([
      `stdin:${place}: error: spec.config: not YAML: ${cause}; ${TO_WRITE}`,
      'stdin: 1 error',
    ])
  })

  it('in every document of a file, and with the line ends of Windows', async () => {
    const one = `${HEAD}  config: |\n${indented('')}`
    const { lines } = await validate(`${one}---\n${one}`.replaceAll('\n', '\r\n'))
    expect(lines).toEqual([
      `stdin:7:1: error: spec.config: not YAML: ${FLUSH}; ${TO_WRITE}`,
      `stdin:19:1: error: spec.config: not YAML: ${FLUSH}; ${TO_WRITE}`,
      'stdin: 2 errors',
    ])
  })
})

it.each([
  [
    'elsewhere in the definition',
    `${HEAD}  config: |\n${indented('    ')}labels: [\n`,
    /^stdin:13:\d+: error: not YAML: /,
  ],
  [
    'in the "config" of another kind',
    `kind: ConfigMap\nspec:\n  config: "a "b" c"\n`,
    /^stdin:3:\d+: error: not YAML: /,
  ],
  [
    'in another document than the definition',
    `${HEAD}  config: '{}'\n---\nkind: ConfigMap\nconfig: "a "b" c"\n`,
    /^stdin:9:\d+: error: not YAML: /,
  ],
])('a mistake %s is told in the words of the parser', async (_, text, expected) => {
  expect((await validate(text)).lines.filter((line) => line.includes('not YAML'))[0]).toMatch(expected)
})
