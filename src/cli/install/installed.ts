import type { Stats } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { EXECUTABLE, GATE_BYTES, type Gate, readGate } from './gate.ts'
import { type Identity, identify } from './install-ask.ts'
import { firstBytes, type PluginPlace, statOf } from './install-file.ts'
import { weaknessOf } from './trusted-path.ts'

/** What is under the plugin's name in a plugin directory. */
export interface Installed {
  /** The status of the file itself, even if it is a link; undefined if it does not exist. */
  readonly stat: Stats | undefined
  /** Undefined if the file is not a gate. */
  readonly gate: Gate | undefined
  /** The file itself, or what the gate becomes. */
  readonly executable: string
}

export async function lookAtInstalled({ directory, file }: PluginPlace): Promise<Installed> {
  const stat = await statOf(file)
  const gate = stat?.isFile() ? readGate((await firstBytes(file, GATE_BYTES)).toString()) : undefined
  return { stat, gate, executable: gate ? path.join(directory, gate.executable) : file }
}

/** Asks the executable what it is. Never asks the gate: it is a script, which anybody may have written. */
export async function identifyInstalled(
  { hostRoot, file }: PluginPlace,
  installed: Installed,
  signal: AbortSignal,
): Promise<Identity> {
  const { stat, gate, executable } = installed
  const weakness = stat && weaknessOf(file, stat)
  if (weakness) return { is: 'weak', says: weakness.fault, remedy: weakness.remedy }
  if (gate && !gate.intact) return { is: 'broken', says: 'its gate has been changed' }
  if (gate) {
    const behind = await statOf(executable)
    const says = `its gate leads to ${gate.executable}, which`
    if (!behind?.isFile()) return { is: 'broken', says: `${says} is missing` }
    for (const part of await partsOf(installed)) {
      const found = await statOf(part)
      if (!found) return { is: 'broken', says: `${says} lacks ${path.basename(part)} beside it` }
      const weak = weaknessOf(part, found)
      if (weak) return { is: 'weak', says: `${says} ${weak.fault}`, remedy: weak.remedy }
    }
  }
  return identify({ file: executable, hostRoot }, signal)
}

/** What the calls of a gate that brings its own tools cannot do without. */
const TOOLS = ['sh', 'flock', 'ip', 'nsenter']

/** All that is run or read of what is installed, but the file itself: the executable and, where they are, what is beside it. */
export async function partsOf({ gate, executable }: Installed): Promise<string[]> {
  if (!gate) return []
  if (!gate.selfContained) return [executable]
  const directory = path.dirname(executable)
  const names = await readdir(directory).catch(() => [])
  return [directory, ...new Set([executable, ...[...TOOLS, ...names].map((name) => path.join(directory, name))])]
}

/** What the gates in a directory lead to, whatever the names of the gates, as executablesIn has it. */
export async function ledToIn(directory: string): Promise<ReadonlySet<string>> {
  const led = new Set<string>()
  for (const name of await readdir(directory)) {
    const file = path.join(directory, name)
    const stat = await statOf(file)
    if (!stat?.isFile() || stat.size > GATE_BYTES) continue
    const gate = readGate((await firstBytes(file, GATE_BYTES)).toString())
    // Perhaps in a directory with what it needs.
    if (gate) led.add(path.join(directory, gate.executable.split('/')[0] ?? ''))
  }
  return led
}

/** @see elf(5) */
export async function isElf(file: string): Promise<boolean> {
  return (await firstBytes(file, 4)).equals(Buffer.from('\x7fELF', 'latin1'))
}

/** The executables of gates in a directory, of any version; of one that needs nothing of the node, its directory. */
export async function executablesIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => EXECUTABLE.test(name)).map((name) => path.join(directory, name))
}
