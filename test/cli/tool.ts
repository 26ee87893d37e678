/** The tool for people as a person calls it, and files for it to read. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { type Answer, PLUGIN } from '../support/runtime.ts'

/** Runs a command to its end, whatever the outcome. Its stdin is empty unless told otherwise. */
export async function tool(words: readonly string[], input = ''): Promise<Answer> {
  const { stdout, stderr, exitCode, shortMessage } = await execa(PLUGIN, words, {
    input,
    reject: false,
    stripFinalNewline: false,
  })
  if (exitCode === undefined) throw new Error(shortMessage)
  return { stdout, stderr, exitCode }
}

/** A directory that goes with the block it is declared in. */
export function scratch(files: Readonly<Record<string, string | Uint8Array>> = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'xcr-cli-'))
  const file = (name: string) => path.join(directory, name)
  for (const [name, text] of Object.entries(files)) writeFileSync(file(name), text)
  return { directory, file, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) }
}
