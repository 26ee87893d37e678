import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')

/** Builds without snapshot where the checkout has another path: it is mounted there, for this process alone. */
async function buildIn(directory: string, env: Record<string, string>, umask: string): Promise<string> {
  const checkout = path.join(directory, 'checkout')
  const outdir = path.join(directory, 'out')
  const home = path.join(directory, 'home')
  for (const made of [checkout, outdir, home]) mkdirSync(made, { recursive: true })
  const node = `node_modules/node-linux-${process.arch}/bin/node`
  const script = `mount --bind ${ROOT} ${checkout}; cd ${checkout}; umask ${umask}; exec ${node} scripts/build.ts --start plain --outdir ${outdir}`
  await execa('unshare', ['--mount', 'sh', '-ec', script], {
    env: { PATH: process.env.PATH ?? '', HOME: home, ...env },
    extendEnv: false,
  })
  return outdir
}

describe('two builds of one source, in another directory, home, time zone, locale and umask', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'xcr-reproducible-'))
  let one: string
  let other: string
  beforeAll(async () => {
    ;[one, other] = await Promise.all([
      buildIn(path.join(directory, 'a'), { TZ: 'UTC', LC_ALL: 'C' }, '022'),
      buildIn(path.join(directory, 'somewhere/quite/different'), { TZ: 'Asia/Tokyo', LANG: 'tr_TR.UTF-8' }, '077'),
    ])
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test.each(['x-calico-route.cjs', 'x-calico-route-cli.cjs', 'LICENSES.txt'])(
    'make the same %s, to the last byte',
    (file) => {
      const [a, b] = [one, other].map((outdir) => readFileSync(path.join(outdir, file)))
      expect(a?.length).toBeGreaterThan(1000)
      expect(a?.equals(b ?? Buffer.alloc(0))).toBe(true)
    },
  )
})

describe('an executable, held against this source by scripts/compare.ts,', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'xcr-compare-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  const node = `node_modules/node-linux-${process.arch}/bin/node`

  /** A copy of the product in which a text has another letter, the last time that it occurs. */
  async function compare(text?: string | Buffer): Promise<string[]> {
    const copy = path.join(directory, 'x-calico-route')
    const bytes = readFileSync(PLUGIN)
    if (text !== undefined) {
      const at = bytes.lastIndexOf(text)
      expect(at).toBeGreaterThan(0)
      bytes[at] = (bytes[at] ?? 0) ^ 1
    }
    writeFileSync(copy, bytes)
    const { stdout, stderr, exitCode } = await execa(node, ['scripts/compare.ts', copy], { cwd: ROOT, reject: false })
    expect(exitCode).toBe(text === undefined ? 0 : 1)
    return `${stdout}\n${stderr}`.split('\n').filter((line) => /^(DIFFERENT|compare): /.test(line))
  }

  test('has the code and the data of Node.js, its options, and both bundles', async () => {
    expect(await compare()).toEqual([])
  })

  /** Some instructions of Node.js. */
  const code = () => readFileSync(path.join(ROOT, node)).subarray(0x1000000, 0x1000040)

  test.each([
    ['its machine code', code, 'DIFFERENT: the machine code of Node.js'],
    ['an option', () => '--disable-sigusr1', 'compare: SEA blob: execArgv is '],
    ['the plugin', () => '//# sourceURL=x-calico-route.cjs', "DIFFERENT: the plugin's bundle"],
    [
      'the tool for people',
      () => 'check network configurations before a runtime reads them',
      'DIFFERENT: the bundle of the tool',
    ],
  ])('is found out where a byte of %s is another', async (_, text, says) => {
    expect(await compare(text())).toEqual([expect.stringContaining(says)])
  })
})
