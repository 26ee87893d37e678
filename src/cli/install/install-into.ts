import type { Stats } from 'node:fs'
import { type Terminal, Trouble } from '../command.ts'
import { version } from '../version.ts'
import { AT_ONCE } from './gate.ts'
import { askStatus, askVersion, runsScripts } from './install-ask.ts'
import { fileTrouble, kindOf, NAME, OWN_EXECUTABLE, type PluginPlace } from './install-file.ts'
import { executablesIn, type Installed, identifyInstalled, lookAtInstalled } from './installed.ts'
import { type Ask, isLaidOut, type Layout, layOut } from './layout.ts'
import { removeSuperseded, removeTemporaries } from './left-overs.ts'

/** Where to say what was done, and what to beware of. */
export type Says = Pick<Terminal, 'out' | 'err'>

/** How to install. */
export interface HowToInstall {
  /** Undefined: as many as the gate that is there. */
  readonly atOnce: number | undefined
  readonly gate: boolean
  /** The layout that was last there and worked. */
  readonly known?: Layout
  readonly status: boolean
  readonly force: boolean
  readonly signal: AbortSignal
}

export const ownVersion = () => version().trim()

/** @returns the layout of what is now installed @throws Trouble: nothing was changed */
export async function installInto(place: PluginPlace, options: HowToInstall, says: Says): Promise<Layout> {
  const { file } = place
  try {
    await removeTemporaries(place)
    const found = await lookAtInstalled(place)
    const { layout, ask } = await choose(place, found, options, says)
    if (await isLaidOut(place, found, layout, options.signal)) {
      await ask(file)
      await removeSuperseded(place)
      says.out(`${file}: ${ownVersion()} is already installed\n`)
      return layout
    }
    const replaced =
      found.stat === undefined ? '' : `, replaces ${await replaceable(place, found, found.stat, options)}`
    await layOut(place, layout, ask, options.signal)
    says.out(`${file}: ${ownVersion()} installed${replaced}\n`)
    return layout
  } catch (error) {
    throw fileTrouble(file, error)
  }
}

/** A gate where no call waits. */
const OPEN_GATE: Layout = { atOnce: 0 }

/** The layout to make, and how to check that it answers. */
async function choose(
  place: PluginPlace,
  found: Installed,
  options: HowToInstall,
  says: Says,
): Promise<{ layout: Layout; ask: Ask }> {
  const { hostRoot } = place
  const ask: Ask = async (file) => {
    await expectAnswer('', askVersion({ file, hostRoot }, options.signal))
    if (options.status)
      await expectAnswer(
        'correct that, or give --no-status to install anyway; ',
        askStatus({ file, hostRoot }, options.signal),
      )
  }
  // A shell may be reading the gate that is there, and must not find an executable in its place.
  if (!options.gate) return { layout: found.gate ? OPEN_GATE : 'no gate', ask }
  const known = options.known === 'no gate' ? undefined : options.known
  const there = found.gate?.intact ? found.gate.atOnce : undefined
  const layout = { atOnce: options.atOnce ?? known?.atOnce ?? (there || AT_ONCE) }
  if (await runsScripts(place, options.signal)) return { layout, ask }
  // This container sees only the plugin directory. Whoever made the gate there checked it on the node.
  const isBare = found.gate === undefined && found.stat?.isFile() === true
  const wasGated = hostRoot === undefined && (known ?? (!isBare && (await executablesIn(place.directory)).length > 0))
  if (wasGated) return { layout: there === 0 ? OPEN_GATE : layout, ask: () => ask(OWN_EXECUTABLE) }
  says.err('/bin/sh: missing, and a gate needs it; installing without a gate, as with --no-gate\n')
  return { layout: 'no gate', ask }
}

/** @param advice what to do if the answer is bad */
async function expectAnswer(advice: string, answer: Promise<void>): Promise<void> {
  try {
    await answer
  } catch (error) {
    if (!(error instanceof Trouble) || error.message.endsWith(UNCHANGED)) throw error
    throw new Trouble(`${error.message}; ${advice}${UNCHANGED}`)
  }
}

const UNCHANGED = 'nothing was changed'

/** What is there, for a message. @throws Trouble if it must not be replaced */
async function replaceable(
  place: PluginPlace,
  found: Installed,
  stat: Stats,
  { force, signal }: HowToInstall,
): Promise<string> {
  const { file } = place
  const kind = await kindOf(file, stat)
  if (stat.isSymbolicLink()) return `${kind}, which stays as it is`
  if (!stat.isFile())
    throw new Trouble(`${file}: is ${kind}; remove it, or give another directory; nothing was changed`)
  const identity = await identifyInstalled(place, found, signal)
  if (identity.is === 'ours') return `${NAME} ${identity.version}`
  if (identity.is === 'broken') return `a file that does not start: ${identity.says}`
  if (identity.is === 'weak') {
    if (force) return `a file that others can change (${identity.says})`
    const { says, remedy } = identity
    throw new Trouble(
      `${file}: ${says}, so it was not run; ${remedy}, or give --force to replace it; nothing was changed`,
    )
  }
  const program = `another program, which answers --version with ${JSON.stringify(identity.says)}`
  if (force) return program
  throw new Trouble(`${file}: is ${program}; move it away, or give --force to replace it; nothing was changed`)
}
