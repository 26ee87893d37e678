/**
 * Runs the tests that a few words name, by their file or by a part of their title, each as its tier has to be run.
 *
 *   node scripts/one-test.ts WORDS
 *
 * How a tier is run (built first or not, in a sandbox or not) is the Makefile's to know: this asks it for the tiers, with
 * XCR_TEST_FILES and XCR_TEST_TITLE for the part of each.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import {
  byTier,
  filesNamed,
  nearest,
  needProduct,
  optionIn,
  type TestFile,
  titlePattern,
  wanted,
} from './one-test/choose.ts'

const ROOT = path.dirname(import.meta.dirname)
const VITEST = path.join(ROOT, 'node_modules/vitest/vitest.mjs')
const SANDBOX = path.join(ROOT, 'scripts/sandbox.sh')

const words = (process.argv[2] ?? '').trim()
process.exitCode = words === '' ? fail("T: missing; write make t T='part of a file name or of a title'") : main()

function main(): number {
  const files = list([], '--filesOnly').map(({ file, projectName }) => ({ path: file, tier: projectName }))
  const named = filesNamed(words, files)
  if (named.length > 0) return run(named)
  const withWords = files.filter((file) => readFileSync(path.join(ROOT, file.path), 'utf8').includes(words))
  const likely = filesTitled(withWords)
  if (likely.length > 0) return run(likely, titlePattern(words))
  const option = optionIn(words)
  if (option)
    return fail(`T: "${words}" is in no title, and "${option}" is not an option; write a file, or words of a title`)
  const near = nearest(words, files)
  if (near.length > 0) return fail(`T: no test file is called "${words}"; did you mean ${near.join(' or ')}?`)
  console.log(`No test file has "${words}" in its name or text: looking through the titles that tests make of tables.`)
  const made = filesTitled(files)
  return made.length > 0
    ? run(made, titlePattern(words))
    : fail(`T: "${words}" is in no name and no title of a test; look below test/`)
}

/** Only running a file tells the titles in it; for all of them that takes half a minute. */
function filesTitled(files: readonly TestFile[]): TestFile[] {
  if (files.length === 0) return []
  const product = needProduct(files)
  if (product && make('build') !== 0) process.exit(1)
  const pattern = new RegExp(titlePattern(words))
  const titled = list(product ? [SANDBOX] : [], '--no-static-parse', ...files.map((file) => file.path)).filter(
    ({ name }) => pattern.test(name) || pattern.test(name.replaceAll(' > ', ' ')),
  )
  return files.filter((file) => titled.some((test) => test.file === file.path))
}

function run(found: readonly TestFile[], title = ''): number {
  const chosen = wanted(words, found)
  if (chosen.length < found.length) {
    console.log(`Left out, since it installs container runtimes (write the whole path): ${only(found, chosen)}`)
  }
  const failed = [...byTier(chosen)].filter(([tier, paths]) => {
    console.log(`${tier}: ${paths.join(' ')}`)
    const part = { XCR_TEST_FILES: paths.join(' '), XCR_TEST_TITLE: title }
    return make(tier === 'e2e' ? tier : `test-${tier}`, part) !== 0
  })
  return failed.length > 0 ? fail(failed.map(([tier, paths]) => `failed: ${tier}: ${paths.join(' ')}`).join('\n')) : 0
}

function only(found: readonly TestFile[], chosen: readonly TestFile[]): string {
  return found
    .filter((file) => !chosen.includes(file))
    .map((file) => file.path)
    .join(' ')
}

function make(target: string, variables: object = {}): number | null {
  const env = { ...process.env, ...variables }
  return spawnSync('make', ['--no-print-directory', target], { cwd: ROOT, env, stdio: 'inherit' }).status
}

/** What vitest knows of the tests, with paths from the root. */
function list(via: string[], ...options: string[]): { name: string; file: string; projectName: string }[] {
  const [command = '', ...args] = [...via, process.execPath, VITEST, 'list', '--json', ...options]
  const { stdout, status } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) process.exit(1)
  return JSON.parse(stdout).map((test: { file: string }) => ({ ...test, file: path.relative(ROOT, test.file) }))
}

function fail(message: string): number {
  console.error(message)
  return 1
}
