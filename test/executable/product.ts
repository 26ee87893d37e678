/** The files that the build leaves, and the build itself. */
import { mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { onTestFinished } from 'vitest'
import type { Started } from '../../scripts/build/executable.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')

/** What the build says about the product beside it: esbuild's metafiles, and what the product starts from. */
export const BUILD_RECORD = path.join(ROOT, 'dist', 'meta.json')

/** Of a build record, what the executable starts from. */
export function startedOf(record: string): Started {
  return JSON.parse(readFileSync(record, 'utf8')).start
}

/** A directory that goes with the test, whatever becomes of it. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'xcr-executable-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Runs scripts/build.ts with the Node that runs this test, which is the pinned one. */
export async function build(outdir: string, flags: string[] = [], env: Record<string, string> = {}) {
  const { exitCode, stdout, stderr } = await execa(
    process.execPath,
    [path.join(ROOT, 'scripts', 'build.ts'), '--outdir', outdir, ...flags],
    { cwd: ROOT, env, reject: false },
  )
  return { exitCode, stdout, stderr }
}

/** Runs an executable with nothing in its environment but what is said. */
export async function start(executable: string, env: Record<string, string> = {}, args: string[] = [], input = '') {
  const { exitCode, stdout, stderr } = await execa(executable, args, {
    env,
    extendEnv: false,
    input,
    reject: false,
    stripFinalNewline: false,
    timeout: 20_000,
  })
  return { exitCode, stdout, stderr }
}
