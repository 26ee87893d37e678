/** Directories of plugins to install into, and what is in them before and after. */
import { createHash } from 'node:crypto'
import { createReadStream, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { appendFile, chmod, copyFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { expect, onTestFinished } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { tool } from './tool.ts'

export const NAME = 'x-calico-route'

/** What the executable says of itself, and its digest. */
export const VERSION = (await tool(['--version'])).stdout.trim()
export const DIGEST = await sha256(PLUGIN)

/** Where the executable itself is laid, behind the gate. */
export const EXECUTABLE = executableName(DIGEST)
/** All that an install leaves in the directory. */
export const INSTALLED = [EXECUTABLE, NAME]

export function executableName(digest: string): string {
  return `.${NAME}-${digest.slice(0, 16)}`
}

/** The gate's text, and the executable that it becomes. */
export async function gateIn(bin: string): Promise<{ text: string; digest: string; atOnce: number }> {
  const text = readFileSync(path.join(bin, NAME), 'utf8')
  const [, rest = ''] = /^#!\/bin\/sh\n# sha256 of what follows: (?:\w+)\n([\s\S]*)$/.exec(text) ?? []
  expect(text.split('\n')[1]).toBe(`# sha256 of what follows: ${createHash('sha256').update(rest).digest('hex')}`)
  const [executable = ''] = /\.x-calico-route-[0-9a-f]{16}/.exec(text) ?? []
  const digest = await sha256(path.join(bin, executable))
  expect(executable).toBe(executableName(digest))
  expect(lstatSync(path.join(bin, executable)).mode & 0o7777).toBe(0o755)
  expect(lstatSync(path.join(bin, NAME)).mode & 0o7777).toBe(0o755)
  return { text, digest, atOnce: Number(/one of (\d+) slots/.exec(text)?.[1]) }
}

/** What a runtime that calls the plugin runs in the end: the file itself, or what it is the gate of. */
export async function installedDigest(bin: string): Promise<string> {
  const file = path.join(bin, NAME)
  if (lstatSync(file).size > 100_000) return sha256(file)
  return (await gateIn(bin)).digest
}

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
    .filter((name) => name.endsWith('.tmp'))
    .map((name) => path.join(bin, name))
}
