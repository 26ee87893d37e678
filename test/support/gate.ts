/** The gate that install puts before the executable, with any program in the executable's place. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { PLUGIN } from './runtime.ts'

export const SLOTS = '/run/x-calico-route'

export interface Gated {
  readonly directory: string
  /** What a runtime calls. */
  readonly gate: string
  /** What the gate becomes. */
  readonly executable: string
  [Symbol.dispose](): void
}

/** The plugin as install lays it out. */
export async function gatedPlugin(...words: string[]): Promise<Gated> {
  const gated = empty()
  await execa(PLUGIN, ['install', '--to', gated.directory, '--no-status', ...words])
  return named(gated)
}

let text: string | undefined

/** The gate before a shell script, changed by `edit`, which finds what it replaces or fails. */
export async function gatedScript(script: string, edit: readonly [string, string][] = []): Promise<Gated> {
  if (text === undefined) {
    using plugin = await gatedPlugin()
    text = readFileSync(plugin.gate, 'utf8')
  }
  const [, name = ''] = /(\.x-calico-route-[0-9a-f]{16})/.exec(text) ?? []
  const gated = empty()
  write(path.join(gated.directory, name), `#!/bin/sh\n${script}\n`)
  const edited = edit.reduce((before, [from, to]) => {
    if (!before.includes(from)) throw new Error(`the gate has no ${from}`)
    return before.replaceAll(from, to)
  }, text)
  write(path.join(gated.directory, 'x-calico-route'), edited)
  return named(gated)
}

function empty() {
  const directory = path.join(mkdtempSync('/run/xcr-gate-'), 'bin')
  mkdirSync(directory)
  return { directory, [Symbol.dispose]: () => rmSync(path.dirname(directory), { recursive: true, force: true }) }
}

function named(gated: ReturnType<typeof empty>): Gated {
  const { directory } = gated
  const executable = readdirSync(directory).find((name) => name.startsWith('.x-calico-route-')) ?? ''
  return { ...gated, gate: path.join(directory, 'x-calico-route'), executable: path.join(directory, executable) }
}

function write(file: string, content: string): void {
  writeFileSync(file, content)
  chmodSync(file, 0o755)
}

/** Holds slots, as calls do that hang, until they are freed. Whoever comes first makes the files, so that they are as a call's. */
export async function holdSlots(count = 2) {
  using maker = await gatedScript('exit', [['% 2', '% 1']])
  await execa(maker.gate, { env: { CNI_COMMAND: 'ADD' } })
  const holders = Array.from({ length: count }, (_, slot) =>
    // --no-fork: one process, and the lock goes with it.
    execa('flock', ['--no-fork', path.join(SLOTS, `${slot}`), 'sh', '-c', 'echo held; exec sleep 600'], {
      reject: false,
    }),
  )
  await Promise.all(holders.map(({ stdout }) => new Promise((resolve) => stdout.once('data', resolve))))
  const free = (slot: number) => void holders[slot]?.kill('SIGKILL')
  const freeAll = () => {
    for (const slot of holders.keys()) free(slot)
  }
  return { free, [Symbol.dispose]: freeAll }
}

/** Whether nobody holds a slot. */
export async function isFree(slot: number): Promise<boolean> {
  const { exitCode } = await execa('flock', ['--nonblock', path.join(SLOTS, `${slot}`), 'true'], { reject: false })
  return exitCode === 0
}
