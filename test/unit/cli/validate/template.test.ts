import { describe, expect, it } from 'vitest'
import { CALICO, findings, list, OURS, validate } from '../../../support/validate.ts'

describe('validate says of a template, in one line', () => {
  const TEMPLATE =
    'error: a Helm or Go template, which can only be checked after rendering; run: helm template CHART | x-calico-route validate -'
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
    expect(await findings(text)).toEqual([
      TEMPLATE,
      'error: plugins[1].defaultRoute: must be remove, demote or keep, is "no"',
    ])
    expect((await findings(`{"a" 1, "b": "{{ .x }}"}`))[0]).toBe(
      'error: not JSON: ":" is expected after the key "a", found "1"',
    )
  })
})
