/** Installs of the real executable, into a directory of a test's own. */
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { appendFile, chmod, copyFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { execa } from 'execa'
import { onTestFinished } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'

export const NAME = 'x-calico-route'

/** In memory: the sandbox has a tmpfs on /run. An executable has 110 MB, and each install writes it to the disk. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync('/run/xcr-install-')
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** An empty directory of plugins, and the file that install makes in it. */
export function pluginDirectory(): { bin: string; file: string } {
  const bin = path.join(temporaryDirectory(), 'bin')
  mkdirSync(bin)
  return { bin, file: path.join(bin, NAME) }
}

interface Via {
  readonly executable?: string
  /** A shell command in which "$@" starts the tool. Its mounts end with it. */
  readonly shell?: string
}

/** Starts the tool, with nothing in its environment but PATH. */
export function starting(words: readonly string[], { executable = PLUGIN, shell }: Via = {}) {
  const [command = '', ...args] =
    shell === undefined ? [executable] : ['unshare', '--mount', 'sh', '-ec', shell, 'sh', executable]
  return execa(command, [...args, ...words], {
    env: { PATH: process.env.PATH },
    extendEnv: false,
    input: '',
    reject: false,
    stripFinalNewline: false,
  })
}

/** Runs the tool to its end. */
export async function tool(words: readonly string[], via: Via = {}) {
  const { exitCode, stdout, stderr } = await starting(words, via)
  return { exitCode, stdout, stderr }
}

/** The version that the executable gives itself. */
export async function versionOf(executable = PLUGIN): Promise<string> {
  return (await tool(['--version'], { executable })).stdout.trim()
}

/**
 * Makes another executable of the plugin in `directory`: one more byte behind its end is nothing to the kernel, and changes
 * the digest.
 */
export async function otherBuild(directory: string): Promise<string> {
  const other = path.join(directory, `${NAME}-other`)
  await copyFile(PLUGIN, other)
  await appendFile(other, '\n')
  return other
}

export async function script(file: string, text: string): Promise<void> {
  await writeFile(file, `#!/bin/sh\n${text}\n`)
  await chmod(file, 0o755)
}

export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash)
  return hash.digest('hex')
}

/** The temporary files of installs. */
export function temporaries(bin: string): string[] {
  return readdirSync(bin)
    .filter((name) => name !== NAME)
    .map((name) => path.join(bin, name))
}
