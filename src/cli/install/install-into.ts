import type { Stats } from 'node:fs'
import { type Terminal, Trouble } from '../command.ts'
import { version } from '../version.ts'
import { AT_ONCE } from './gate.ts'
import { askStatus, askVersion, runsScripts } from './install-ask.ts'
import { fileTrouble, kindOf, NAME, OWN_EXECUTABLE, type PluginPlace } from './install-file.ts'
import { executablesIn, type Installed, identifyInstalled, lookAtInstalled } from './installed.ts'
import { type Ask, isLaidOut, type Layout, layOut } from './layout.ts'
import { removeSuperseded, removeTemporaries } from './left-overs.ts'
import { hasParts, refuseLaidOut, selfContainedFor } from './self-contained.ts'

/** Where to say what was done, and what to beware of. */
export type Says = Pick<Terminal, 'out' | 'err'>

/** Whether the plugin brings what a node may lack. auto: if it does not answer without, or its gate has no shell. */
export const SELF_CONTAINED = ['auto', 'always', 'never'] as const

/** The layout that was last there and worked. */
export type Known = { readonly atOnce: number } | 'no gate'

/** How to install. */
export interface HowToInstall {
  /** Undefined: as many as the gate that is there. */
  readonly atOnce: number | undefined
  readonly gate: boolean
  readonly selfContained: (typeof SELF_CONTAINED)[number]
  readonly known?: Known
  readonly status: boolean
  readonly force: boolean
  readonly signal: AbortSignal
}

export const ownVersion = () => version().trim()

/** @returns the layout of what is now installed @throws Trouble: nothing was changed */
export async function installInto(place: PluginPlace, options: HowToInstall, says: Says): Promise<Layout> {
  const { file } = place
  try {
    await refuseLaidOut()
    await removeTemporaries(place)
    const found = await lookAtInstalled(place)
    const ways = await waysOf(place, found, options)
    const kept = await alreadyThere(place, found, ways, options.signal)
    if (kept) {
      await removeSuperseded(place)
      says.out(`${file}: ${ownVersion()} is already installed\n`)
      return kept
    }
    const replaced =
      found.stat === undefined ? '' : `, replaces ${await replaceable(place, found, found.stat, options)}`
    const layout = await firstThatAnswers(place, ways, options.signal, says)
    const how = layout !== 'no gate' && layout.selfContained ? ' with a loader, libraries and tools of its own' : ''
    says.out(`${file}: ${ownVersion()} installed${how}${replaced}\n`)
    return layout
  } catch (error) {
    throw fileTrouble(file, error)
  }
}

/** A layout that may be made, and how to check that it answers. */
interface Way {
  /** Takes a second where the plugin brings what it needs. */
  readonly layout: Layout | (() => Promise<Layout>)
  readonly ask: Ask
  /** Why it is this one, if somebody should know. */
  readonly because?: string
}

const makeLayout = ({ layout }: Way) => (typeof layout === 'function' ? layout() : layout)

/** The layout of those that is there, if it answers. @throws Trouble if it does not, and there is no other */
async function alreadyThere(
  place: PluginPlace,
  found: Installed,
  ways: readonly Way[],
  signal: AbortSignal,
): Promise<Layout | undefined> {
  for (const way of ways) {
    if (typeof way.layout === 'function' && !found.gate?.selfContained) continue
    const layout = await makeLayout(way)
    if (!(await isLaidOut(place, found, layout, signal))) continue
    try {
      await way.ask(place.file)
      return layout
    } catch (error) {
      if (ways.length === 1) throw error
    }
  }
  return undefined
}

/** Makes the first of the layouts that answers. @throws Trouble of the last */
async function firstThatAnswers(
  place: PluginPlace,
  [way, ...others]: readonly Way[],
  signal: AbortSignal,
  says: Says,
): Promise<Layout> {
  const { ask, because } = way as Way
  if (because !== undefined) says.err(`${because}\n`)
  try {
    const layout = await makeLayout(way as Way)
    await layOut(place, layout, ask, signal)
    return layout
  } catch (error) {
    if (others.length === 0 || !(error instanceof NoAnswer)) throw error
    says.err(`${error.lacking}; so the plugin brings what it needs\n`)
    return firstThatAnswers(place, others, signal, says)
  }
}

/** A gate where no call waits. */
const OPEN_GATE = { atOnce: 0 } as const

/** The layouts to try, in order. */
async function waysOf(place: PluginPlace, found: Installed, options: HowToInstall): Promise<Way[]> {
  const { signal, selfContained } = options
  const ask = askIn(place, options)
  const asGate = options.gate ? { atOnce: slotsOf(found, options) } : OPEN_GATE
  const own: Way = {
    layout: async () => ({ ...asGate, selfContained: await selfContainedFor(place, signal) }),
    ask,
  }
  if (selfContained === 'always') return [own]
  // Only with the node's root directory is it known which paths are the node's.
  const canBringAll = selfContained === 'auto' && place.hostRoot !== undefined && (await hasParts())
  const others = canBringAll ? [own] : []
  // A shell may be reading the gate that is there, and must not find an executable in its place.
  if (!options.gate && !found.gate) return [{ layout: 'no gate', ask }, ...others]
  if (await runsScripts(place, signal)) return [{ layout: asGate, ask }, ...others]
  if (canBringAll) return [{ ...own, because: `${NO_SHELL}so the plugin brings what it needs` }]
  return [options.gate ? await withoutShell(place, found, options) : { layout: OPEN_GATE, ask }]
}

const NO_SHELL = '/bin/sh: missing, and a gate needs it; '

const gateBefore = ({ known }: HowToInstall) => (known === 'no gate' ? undefined : known)

function slotsOf({ gate }: Installed, options: HowToInstall): number {
  return options.atOnce ?? gateBefore(options)?.atOnce ?? ((gate?.intact ? gate.atOnce : undefined) || AT_ONCE)
}

/** This container sees only the plugin directory, or the node has no shell. @throws Trouble if that node may need its own */
async function withoutShell(place: PluginPlace, found: Installed, options: HowToInstall): Promise<Way> {
  if (place.hostRoot === undefined && found.gate?.selfContained)
    throw new Trouble(
      `${place.file}: brings what its node lacks, and nothing else can be tried without the node's root directory; mount that and give --host-root; nothing was changed`,
    )
  const ask = askIn(place, options)
  // Whoever made the gate there checked it on the node.
  const isBare = found.gate === undefined && found.stat?.isFile() === true
  const isGated = gateBefore(options) ?? (!isBare && (await executablesIn(place.directory)).length > 0)
  if (place.hostRoot === undefined && isGated) {
    const isOpen = found.gate?.intact && found.gate.atOnce === 0
    return { layout: isOpen ? OPEN_GATE : { atOnce: slotsOf(found, options) }, ask: () => ask(OWN_EXECUTABLE) }
  }
  return { layout: 'no gate', ask, because: `${NO_SHELL}installing without a gate, as with --no-gate` }
}

/** How to check that a file answers on the node. */
function askIn({ hostRoot }: PluginPlace, { status, signal }: HowToInstall): Ask {
  return async (file) => {
    await expectAnswer('', askVersion({ file, hostRoot }, signal))
    if (status) await expectAnswer(ADVICE, askStatus({ file, hostRoot }, signal))
  }
}

const ADVICE = 'correct that, or give --no-status to install anyway; '

/** The plugin cannot do its work on the node as it is. */
class NoAnswer extends Trouble {
  readonly lacking: string

  constructor(lacking: string, advice: string) {
    super(`${lacking}; ${advice}${UNCHANGED}`)
    this.lacking = lacking
  }
}

/** @param advice what to do if the answer is bad */
async function expectAnswer(advice: string, answer: Promise<void>): Promise<void> {
  try {
    await answer
  } catch (error) {
    if (!(error instanceof Trouble) || error.message.endsWith(UNCHANGED)) throw error
    throw new NoAnswer(error.message, advice)
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
