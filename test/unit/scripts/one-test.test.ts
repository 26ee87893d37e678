import path from 'node:path'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import {
  byTier,
  filesNamed,
  nearest,
  needProduct,
  optionIn,
  type TestFile,
  titlePattern,
  wanted,
} from '../../../scripts/one-test/choose.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')

const FILES: TestFile[] = [
  'test/unit/plan/plan.test.ts',
  'test/unit/plan/plan.properties.test.ts',
  'test/unit/net/address.test.ts',
  'test/cli/plan.test.ts',
  'test/cli/verify.test.ts',
  'test/netns/add.netns.test.ts',
  'test/e2e/verify.e2e.test.ts',
  'test/e2e/podman.e2e.test.ts',
  'test/cluster/operator.cluster.test.ts',
].map((file) => ({ path: file, tier: file.split('/')[1] ?? '' }))

const paths = (files: readonly TestFile[]) => files.map((file) => file.path)

describe('the tests that words name', () => {
  it.each<[string, string[]]>([
    ['test/cli/plan.test.ts', ['test/cli/plan.test.ts']],
    ['./test/cli/plan.test.ts', ['test/cli/plan.test.ts']],
    ['test/cli/', ['test/cli/plan.test.ts', 'test/cli/verify.test.ts']],
    ['plan', ['test/unit/plan/plan.test.ts', 'test/cli/plan.test.ts']],
    ['plan.test.ts', ['test/unit/plan/plan.test.ts', 'test/cli/plan.test.ts']],
    ['plan.properties', ['test/unit/plan/plan.properties.test.ts']],
    ['unit/plan', ['test/unit/plan/plan.test.ts', 'test/unit/plan/plan.properties.test.ts']],
    ['add', ['test/netns/add.netns.test.ts']],
    ['addr', ['test/unit/net/address.test.ts']],
    ['pan', []],
    ['plan the routes', []],
  ])('%j', (words, expected) => {
    expect(paths(filesNamed(words, FILES))).toEqual(expected)
  })

  it.each<[string, string[]]>([
    ['verify', ['test/cli/verify.test.ts']],
    ['podman', ['test/e2e/podman.e2e.test.ts']],
    ['verify.e2e', ['test/e2e/verify.e2e.test.ts']],
    ['test/cluster', ['test/cluster/operator.cluster.test.ts']],
    ['test/e2e', ['test/e2e/verify.e2e.test.ts', 'test/e2e/podman.e2e.test.ts']],
  ])('%j, of which those that install container runtimes have to be asked for', (words, expected) => {
    expect(paths(wanted(words, filesNamed(words, FILES)))).toEqual(expected)
  })

  it('by tier, those that need nothing built first', () => {
    expect([...byTier(filesNamed('plan', FILES.toReversed()))]).toEqual([
      ['unit', ['test/unit/plan/plan.test.ts']],
      ['cli', ['test/cli/plan.test.ts']],
    ])
  })

  it.each([
    ['plan.propertys', ['test/unit/plan/plan.properties.test.ts']],
    ['Verfy', ['test/cli/verify.test.ts', 'test/e2e/verify.e2e.test.ts']],
    ['something else', []],
  ])('%j names none, and these are near', (words, expected) => {
    expect(nearest(words, FILES)).toEqual(expected)
  })

  it.each([
    ['plan', true],
    ['unit/plan', false],
    ['add', true],
  ])('%j: whether the executable has to be built for them: %j', (words, expected) => {
    expect(needProduct(filesNamed(words, FILES))).toBe(expected)
  })
})

describe('words of a title', () => {
  it.each([
    ['routes[0].dst: what (else)?', 'routes[0].dst: what (else)?'],
    ['the gate > lets two', 'the gate lets two calls through'],
    ['$5 ^ {a|b} \\ * +', 'costs $5 ^ {a|b} \\ * + more'],
  ])('%j are in %j', (words, title) => {
    expect(title).toMatch(new RegExp(titlePattern(words)))
  })

  it.each([
    ['plan -t routes', '-t'],
    ['--reporter=dot plan', '--reporter=dot'],
    ['a route - or none, at -1', undefined],
  ])('%j have the option %j', (words, option) => {
    expect(optionIn(words)).toBe(option)
  })

  it('are no pattern', () => {
    expect('routes0xdst').not.toMatch(new RegExp(titlePattern('routes[0].dst')))
  })
})

describe('make t', () => {
  const t = (words: string) => {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, T: words, NO_COLOR: '1' }
    // make ends what it started, should a mistake in it have this test run itself.
    return execa('make', ['-C', ROOT, 't'], { env, extendEnv: false, reject: false, timeout: 50_000 })
  }

  it('runs a file', async () => {
    const { exitCode, stdout } = await t('kernel/look')
    expect(stdout).toMatch(/^unit: test\/unit\/kernel\/look\.test\.ts$/m)
    expect(stdout).toMatch(/^ +Tests +\d+ passed \(\d+\)$/m)
    expect(exitCode).toBe(0)
  })

  it('runs a test by words of its title that only this file has', async () => {
    const { exitCode, stdout } = await t('are no pattern')
    expect(stdout).toMatch(/^unit: test\/unit\/scripts\/one-test\.test\.ts$/m)
    expect(stdout).toMatch(/^ +Tests +1 passed \|/m)
    expect(exitCode).toBe(0)
  })

  // The words may not stand in a title here, or they would name this test.
  it.each([
    {
      what: 'a name with a slip in it',
      words: 'one-tset',
      message: 'T: no test file is called "one-tset"; did you mean test/unit/scripts/one-test.test.ts?',
    },
    {
      what: 'an option of vitest',
      words: ['one-test', '-t', 'fails'].join(' '),
      message: 'T: "one-test -t fails" is in no title, and "-t" is not an option; write a file, or words of a title',
    },
    { what: 'nothing', words: '', message: "T: missing; write make t T='part of a file name or of a title'" },
  ])('fails for $what', async ({ words, message }) => {
    const { exitCode, stderr } = await t(words)
    expect(stderr).toContain(message)
    expect(exitCode).not.toBe(0)
  })
})
