import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { run } from '../../src/cli/main.ts'
import { blocks, pageOf } from '../support/markdown.ts'

// What the build puts into the bundle of commands.
vi.hoisted(() => Object.assign(globalThis, { __VERSION__: '0.0.0' }))

const ROOT = path.resolve(import.meta.dirname, '../..')
const textOf = (file: string) => readFileSync(path.join(ROOT, file), 'utf8')
const examples = blocks(pageOf('docs/pipelines.md', textOf('docs/pipelines.md'))).filter(
  ({ language }) => language === 'yaml',
)

const text = z.string().min(1)

/** @see https://pre-commit.com/#new-hooks */
const hooks = z
  .array(
    z.strictObject({
      id: z.string().regex(/^[\w-]+$/),
      name: text,
      description: text,
      language: z.literal('system'),
      entry: text,
      files: text.refine((pattern) => new RegExp(pattern)),
      pass_filenames: z.literal(false),
    }),
  )
  .length(1)
const [hook] = hooks.parse(parse(textOf('.pre-commit-hooks.yaml')))

/** @see https://pre-commit.com/#adding-pre-commit-plugins-to-your-project */
const preCommit = z.strictObject({
  repos: z.array(
    z.strictObject({
      repo: z.url(),
      rev: z.string().regex(/^v\d/),
      hooks: z.array(z.strictObject({ id: text, args: z.array(text).min(1) })),
    }),
  ),
})

/** @see https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax */
const step = z
  .strictObject({ uses: text, if: text.optional(), with: z.record(text, text).optional() })
  .or(z.strictObject({ run: text }))
const workflow = z.strictObject({
  name: text,
  on: z.strictObject({ push: z.strictObject({ branches: z.array(text) }), pull_request: z.null() }),
  permissions: z.strictObject({ contents: z.literal('read'), 'security-events': z.literal('write') }),
  jobs: z.record(text, z.strictObject({ 'runs-on': text, steps: z.array(step) })),
})

/** The words after the executable, or after the image that runs it, in each command of an example. */
function calls(example: string): string[][] {
  return [
    ...example.replaceAll(/\n\s+(?=validate )/g, ' ').matchAll(/x-calico-route(?::VERSION)? (validate .*)$/gm),
  ].map(([, words = '']) => words.split(' >')[0]?.split(' ') ?? [])
}

/** What the executable says of these words, if the files that they name are those of a directory. */
async function answer(words: readonly string[]): Promise<{ status: number; out: string; err: string }> {
  let [out, err] = ['', '']
  const status = await run(words, {
    out: (more) => {
      out += more
    },
    err: (more) => {
      err += more
    },
    input: () => '',
    colors: false,
    progress: false,
  })
  return { status, out, err }
}

const inExamples = (words: readonly string[]) =>
  words.map((word) => (word === 'manifests' ? path.join(ROOT, 'conf-examples') : word))

describe('docs/pipelines.md', () => {
  const all = examples.flatMap((one) => calls(one.text))

  it('shows commands', () => {
    expect(all).toHaveLength(3)
  })

  it.each(all.map((words) => [words.join(' '), words] as const))(
    'shows %s, which the executable takes',
    async (_, words) => {
      expect(await answer(inExamples(words))).toMatchObject({ status: 0, err: '' })
    },
  )

  it('shows a workflow that may upload the file that it writes', () => {
    const [first] = examples
    const { jobs } = workflow.parse(parse(first?.text ?? ''))
    const steps = Object.values(jobs).flatMap((job) => job.steps)
    const written = /> (\S+)/.exec(steps.flatMap((one) => ('run' in one ? one.run : [])).join('\n'))?.[1]
    const upload = steps.find((one) => 'uses' in one && one.uses.startsWith('github/codeql-action/upload-sarif@'))
    expect(upload).toMatchObject({ if: '${{ !cancelled() }}', with: { sarif_file: written } })
  })

  it('shows a hook by its name, with words that its command takes', async () => {
    const { repos } = preCommit.parse(parse(examples.at(-1)?.text ?? ''))
    const [shown] = repos.flatMap((one) => one.hooks)
    expect(shown?.id).toBe(hook?.id)
    const [program, ...words] = hook?.entry.split(' ') ?? []
    expect(program).toBe('x-calico-route')
    expect(await answer(inExamples([...words, ...(shown?.args ?? [])]))).toMatchObject({ status: 0, err: '' })
  })
})

it('the hook runs for the files that validate reads in a directory, and for no others', () => {
  const files = new RegExp(hook?.files ?? '')
  for (const name of ['a.yaml', 'b/c.yml', 'd.json', '10-calico.conflist', 'e.conf']) expect(name).toMatch(files)
  for (const name of ['a.md', 'yaml', 'a.yaml.txt', 'conf']) expect(name).not.toMatch(files)
})
