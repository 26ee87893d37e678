import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { CODES } from '../../../../src/cli/validate/codes.ts'
import { finding } from '../../../../src/cli/validate/finding.ts'
import { githubCommands } from '../../../../src/cli/validate/github-commands.ts'
import { CALICO, list, OURS, printed } from '../../../support/validate.ts'

// What the build puts into the bundle of commands.
vi.hoisted(() => Object.assign(globalThis, { __VERSION__: '0.1.0' }))

/** What readers of SARIF rely on. @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json */
const level = z.enum(['none', 'note', 'warning', 'error'])
const message = z.strictObject({ text: z.string().min(1) })
const SARIF = z.strictObject({
  $schema: z.url(),
  version: z.literal('2.1.0'),
  runs: z
    .array(
      z.strictObject({
        tool: z.strictObject({
          driver: z.strictObject({
            name: z.literal('x-calico-route'),
            version: z.string().min(1),
            rules: z.array(
              z.strictObject({
                id: z.string().regex(/^XCR\d{3}$/),
                shortDescription: message,
                help: message,
                defaultConfiguration: z.strictObject({ level }),
              }),
            ),
          }),
        }),
        columnKind: z.literal('utf16CodeUnits'),
        results: z.array(
          z.strictObject({
            ruleId: z.string(),
            ruleIndex: z.int().min(0),
            level,
            message,
            locations: z
              .array(
                z.strictObject({
                  physicalLocation: z.strictObject({
                    artifactLocation: z.strictObject({ uri: z.string().regex(/^(?:file:\/\/\/)?[\w.~!*'()%/-]+$/) }),
                    region: z.strictObject({ startLine: z.int().min(1), startColumn: z.int().min(1) }),
                  }),
                }),
              )
              .length(1),
          }),
        ),
      }),
    )
    .length(1),
})

const TEXT = list([CALICO, { ...OURS, capabilities: { mac: true }, colour: 1, defaultRoute: 'no' }])

describe('validate -o sarif', () => {
  const sarif = async (text: string) =>
    SARIF.parse(JSON.parse((await printed(text, '-o', 'sarif')).lines.join('\n'))).runs[0]

  it('has a rule for every code, which names its section of the page', async () => {
    const rules = (await sarif(list([CALICO])))?.tool.driver.rules
    expect(rules?.map(({ id, defaultConfiguration }) => [id, defaultConfiguration.level])).toEqual(
      Object.entries(CODES).map(([code, { severity }]) => [code, severity]),
    )
    for (const { id, help } of rules ?? []) expect(help.text).toMatch(new RegExp(`docs/findings\\.md, ${id}\\.$`))
  })

  it('has a result for each finding, with its rule and its place', async () => {
    const run = await sarif(TEXT)
    const results = run?.results ?? []
    expect(results.map(({ ruleId, level, message }) => [ruleId, level, message.text])).toEqual([
      ['XCR202', 'warning', expect.stringMatching(/^plugins\[1\]\.capabilities: ignored: /)],
      ['XCR201', 'note', 'plugins[1].colour: unknown key, which is ignored'],
      ['XCR001', 'error', 'plugins[1].defaultRoute: must be remove, demote or keep, is "no"'],
    ])
    for (const { ruleId, ruleIndex } of results) expect(run?.tool.driver.rules[ruleIndex]?.id).toBe(ruleId)
    expect(results[2]?.locations[0]?.physicalLocation).toEqual({
      artifactLocation: { uri: 'stdin' },
      region: { startLine: 1, startColumn: TEXT.indexOf('"no"') + 1 },
    })
  })

  it('has no result for what a comment silences, of which GitHub would open an alert', async () => {
    const text = `kind: NetworkAttachmentDefinition\napiVersion: k8s.cni.cncf.io/v1\nmetadata: {name: n}\nspec:\n  config: '${TEXT}'\n`
    const codes = async (text: string) => (await sarif(text))?.results.map(({ ruleId }) => ruleId)
    expect(await codes(text)).toEqual(['XCR202', 'XCR201', 'XCR001'])
    expect(await codes(`# x-calico-route: ignore XCR202 XCR201\n${text}`)).toEqual(['XCR001'])
  })

  it('has a line even for what is about a whole file', async () => {
    expect((await sarif('{}'))?.results).toMatchObject([
      { ruleId: 'XCR010', locations: [{ physicalLocation: { region: { startLine: 1, startColumn: 1 } } }] },
    ])
  })

  it('exits as ever', async () => {
    expect((await printed(TEXT, '-o', 'sarif')).status).toBe(1)
    expect((await printed(list([CALICO]), '-o', 'sarif')).status).toBe(0)
  })
})

describe('what validate quotes of a file', () => {
  const COMMANDS = ['##[add-mask]a', '##vso[task.setvariable variable=PATH]b', '###[error]c', '::error::d']
  it.each(COMMANDS)('is no command to the log of a pipeline: %s', async (command) => {
    const text = list([{ type: `\n${command}` }, CALICO, { ...OURS, [command]: 1, [`\n${command}`]: 1 }])
    const known = new Set(['error', 'warning', 'notice'])
    for (const words of [[], ['-o', 'github']]) {
      const { lines } = await printed(text, ...words)
      expect(lines.join()).toContain(command.replace(/.*\W/, ''))
      for (const line of lines) {
        expect(line).not.toMatch(/##(?:\[|vso\[)/i)
        if (words.length === 0) expect(line).toMatch(/^stdin:/)
        else expect(known).toContain(/^::(\w+) file=stdin,/.exec(line)?.[1])
      }
    }
  })
})

describe('validate -o github', () => {
  it('has a command for each finding, and nothing else', async () => {
    const column = (what: string) => TEXT.indexOf(what) + 1
    expect((await printed(TEXT, '-o', 'github')).lines).toEqual([
      `::warning file=stdin,line=1,col=${column('"capabilities"')},title=XCR202::plugins[1].capabilities: ignored: x-calico-route does not support mac; move it to tuning`,
      `::notice file=stdin,line=1,col=${column('"colour"')},title=XCR201::plugins[1].colour: unknown key, which is ignored`,
      `::error file=stdin,line=1,col=${column('"no"')},title=XCR001::plugins[1].defaultRoute: must be remove, demote or keep, is "no"`,
    ])
    expect((await printed(list([CALICO]), '-o', 'github')).lines).toEqual([''])
  })

  it('escapes what would end a property or a message, as GitHub says', () => {
    const report = (file: string, message: string) => ({
      file,
      contents: {} as never,
      findings: [finding('XCR010', message)],
      silenced: 0,
      pods: 0,
    })
    expect(githubCommands(report('a:b,c%\nd.yaml', '100 %0A, a:b\n::error::x'))).toBe(
      '::error file=a%3Ab%2Cc%25%0Ad.yaml,title=XCR010::100 %250A, a:b?::error::x\n',
    )
  })
})
