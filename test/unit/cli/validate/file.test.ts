import { describe, expect, it } from 'vitest'
import { CALICO, list, OURS, validate } from '../../../support/validate.ts'

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

describe('validate says of a file', () => {
  const NAD = 'apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: a}\n'
  it.each<[string, string, string]>([
    ['that is empty', ' \n', 'stdin: error: empty; write a network configuration'],
    ['that only comments on something', '# nothing\n---\n', 'stdin: error: empty; write a network configuration'],
    [
      'that is no text',
      '\x7fELF\0',
      'stdin: error: not UTF-8 text; give a configuration in JSON, or a NetworkAttachmentDefinition in YAML',
    ],
    [
      'of another kind',
      'kind: VirtualMachine\n',
      'stdin: error: no network configuration found, only VirtualMachine; give a plugin list or a NetworkAttachmentDefinition',
    ],
    [
      'that is no YAML',
      'a: [1\nb: 2',
      'stdin:2:1: error: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['with a tab', 'a:\n\t- b', 'stdin:2:1: error: not YAML: Tabs are not allowed as indentation'],
    ['with an alias of nothing', 'a: *b', 'stdin:1:4: error: not YAML: *b is not defined; write &b before it'],
    [
      'with an alias inside of what it stands for',
      'a: &a\n  b: [*a]',
      'stdin:2:7: error: not YAML: *a is inside the node that it stands for',
    ],
    [
      'with an alias of a list in the place of a key',
      'a: &a [1]\nb:\n  *a : 1',
      'stdin:3:3: error: not YAML: a list or an object cannot be a key; write a string',
    ],
    [
      'with aliases of aliases',
      `a: &a [${'x, '.repeat(50)}]\n${'bcd'.replaceAll(/./g, (c) => `${c}: &${c} [${`*${String.fromCharCode(c.charCodeAt(0) - 1)}, `.repeat(50)}]\n`)}`,
      'stdin:1:1: error: not YAML: aliases make it more than 100 times as long, which the API server refuses; use fewer',
    ],
    ['that is no JSON', '{"a": }', 'stdin:1:7: error: not JSON: a value is expected, found "}"'],
    [
      'with a mark before its JSON',
      '\uFEFF{}',
      'stdin:1:1: error: starts with a byte order mark, which runtimes refuse; remove it',
    ],
    [
      'with a plugin list in YAML',
      'plugins: []',
      'stdin:1:1: error: a network configuration must be JSON; no runtime reads it as YAML',
    ],
    [
      'whose definition holds an object',
      `${NAD}spec:\n  config:\n    name: a\n`,
      'stdin:6:5: error: spec.config: must be a string that holds JSON; write "config: |" with the JSON below it',
    ],
    [
      'whose definition leaves it to Multus',
      `${NAD}spec: {}\n`,
      'stdin:4:7: note: spec: config: missing; Multus then looks for a configuration file of the network "a" on the node',
    ],
    [
      'whose definition holds us alone',
      `${NAD}spec:\n  config: '{"cniVersion": "1.0.0", "name": "a", "type": "x-calico-route"}'\n`,
      'stdin:5:12: error: x-calico-route is alone and has no NIC to work on; write a list, "plugins", with it after the plugin that makes the NIC (calico, kube-ovn, ...)',
    ],
    [
      'whose words would act on a terminal',
      list([CALICO, { ...OURS, '\x1b[2J': 1 }]),
      'stdin:1:124: note: plugins[1].?[2J: unknown key, which is ignored',
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
    expect(lines[0]).toMatch(/: note: plugins\[1\]\.k{77}\.\.\.: unknown key, which is ignored$/)
    expect(lines[1]).toMatch(
      /: error: plugins\[1\]\.logFile: must be an absolute path without "\.\." and without "\/" at its end, is "[\\n]{76}\.\.\.$/,
    )
  })

  it('which documents it passed over', async () => {
    const { status, lines } = await validate(`kind: Pod\n---\n${NAD}spec:\n  config: |\n    ${list([CALICO])}\n`)
    expect({ status, lines }).toEqual({
      status: 0,
      lines: ['stdin: ok (1 chain: calico without x-calico-route; 1 other document skipped)'],
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
              code: 'XCR001',
              severity: 'error',
              line: 1,
              column: text.indexOf('"no"') + 1,
              path: 'plugins[1].defaultRoute',
              message: 'must be remove, demote or keep, is "no"',
            },
          ],
          notShown: 0,
          silenced: 0,
        },
      ],
    })
  })
})
