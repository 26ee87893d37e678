import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = path.resolve(import.meta.dirname, '../..')

/** Builds without snapshot where the checkout has another path: it is mounted there, for this process alone. */
async function buildIn(directory: string, env: Record<string, string>, umask: string): Promise<string> {
  const checkout = path.join(directory, 'checkout')
  const outdir = path.join(directory, 'out')
  const home = path.join(directory, 'home')
  for (const made of [checkout, outdir, home]) mkdirSync(made, { recursive: true })
  const node = `node_modules/node-linux-${process.arch}/bin/node`
  const script = `mount --bind ${ROOT} ${checkout}; cd ${checkout}; umask ${umask}; exec ${node} scripts/build.ts --plain --outdir ${outdir}`
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
