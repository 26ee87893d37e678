/** The tool for people as a person calls it, and files for it to read. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { expect, onTestFinished } from 'vitest'
import { type Answer, PLUGIN } from '../support/runtime.ts'

interface Via {
  /** What comes on stdin; nothing unless told otherwise. */
  readonly input?: string
  readonly executable?: string
  /** A shell command in which "$@" starts the tool. Its mounts end with it. */
  readonly shell?: string
}

/** uninstall removes the directory where repairs take turns: not that of other tests. */
const APART = 'mkdir -p -m 700 /run/x-calico-route; mount -t tmpfs -o mode=700 none /run/x-calico-route'

/** Starts the tool, with nothing in its environment but PATH. */
export function starting(words: readonly string[], { input = '', executable = PLUGIN, ...via }: Via = {}) {
  const shell = words[0] === 'uninstall' ? `${APART}\n${via.shell ?? 'exec "$@"'}` : via.shell
  const [command = '', ...args] =
    shell === undefined ? [executable] : ['unshare', '--mount', 'sh', '-ec', shell, 'sh', executable]
  return execa(command, [...args, ...words], {
    env: { PATH: process.env.PATH },
    extendEnv: false,
    input,
    reject: false,
    stripFinalNewline: false,
  })
}

/** Runs the tool to its end, whatever the outcome. */
export async function tool(words: readonly string[], via: Via = {}): Promise<Answer> {
  const { stdout, stderr, exitCode, shortMessage } = await starting(words, via)
  if (exitCode === undefined) throw new Error(shortMessage)
  return { stdout, stderr, exitCode }
}

/** A command that stays until it is told to go, what it has said so far, and how to wait for its next word. */
export function staying(words: readonly string[], via: Via = {}) {
  const child = starting(words, via)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
  onTestFinished(() => void child.kill('SIGKILL'))
  /** Everything said until `text` came, which is then forgotten. */
  const until = async (text: string) => {
    await expect.poll(() => said, { timeout: 20_000 }).toContain(text)
    const all = said
    said = ''
    return all
  }
  return { child, until, saidSince: () => said }
}

/** A directory that goes with the block it is declared in. */
export function scratch(files: Readonly<Record<string, string | Uint8Array>> = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'xcr-cli-'))
  const file = (name: string) => path.join(directory, name)
  for (const [name, text] of Object.entries(files)) writeFileSync(file(name), text)
  return { directory, file, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) }
}
