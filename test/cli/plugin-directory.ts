/** Directories of plugins to install into, and what is in them before and after. */
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { appendFile, chmod, copyFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { onTestFinished } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { tool } from './tool.ts'

export const NAME = 'x-calico-route'

/** What the executable says of itself, and its digest. */
export const VERSION = (await tool(['--version'])).stdout.trim()
export const DIGEST = await sha256(PLUGIN)

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
