import type { Stats } from 'node:fs'
import { keepCached } from './cached.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { AT_ONCE, MOST_AT_ONCE } from './gate.ts'
import { askStatus, askVersion, runsScripts } from './install-ask.ts'
import { checkInstalled } from './install-check.ts'
import { fileTrouble, kindOf, NAME, OWN, PLUGIN_DIRECTORY, type Place, placeOf, statOf } from './install-file.ts'
import { executablesIn, type Installed, identifyInstalled, lookAt } from './installed.ts'
import { type Ask, isLaidOut, type Layout, layOut } from './layout.ts'
import { removeSuperseded, removeTemporaries } from './left-overs.ts'
import { EVERY, secondsOf, stay, untilSignal } from './stay.ts'
import { define } from './usage/define.ts'
import type { Definition } from './usage/definition.ts'
import { version } from './version.ts'

const DEFINITION = {
  name: 'install',
  summary: 'put this executable where the container runtime looks for plugins',
  usage: [
    '[--to DIR] [--host-root DIR] [--at-once N | --no-gate] [--no-status] [--force] [--stay [--every SECONDS]]',
    '--check [--to DIR] [--host-root DIR] [--no-status]',
  ],
  about: [
    'Copy this executable into DIR under a hidden name, and make DIR/x-calico-route its gate: a shell script that lets only so many calls at once become the executable. Node.js takes some 12 MiB for each call, and many pods that start at once would take more than the cgroup of their plugins has.',
    'The copy is compared with the original, and must answer VERSION and STATUS on this node through the gate. Then the gate takes the place of what is there, in one step: a runtime that calls the plugin meanwhile runs the old one or the new one. If anything fails, the old one stays. Nothing is run or written if anybody but root can change DIR, or a directory on the way to it.',
    'An install that is killed leaves a file `.x-calico-route.*.tmp` in DIR. The next install removes it when it is 10 minutes old, and so the executable of the version before, `.x-calico-route-*`: until then calls may wait at its gate.',
  ],
  options: {
    to: {
      value: 'DIR',
      completes: 'directory',
      default: PLUGIN_DIRECTORY,
      about: "The runtime's directory of plugins, as the node knows it.",
    },
    'host-root': {
      value: 'DIR',
      completes: 'directory',
      about:
        "In a container: where the node's root directory is mounted. --to is taken below it, and the new plugin is asked in it, so that it finds what the node has and not what the image has. Needs CAP_SYS_CHROOT.",
    },
    'at-once': {
      value: 'N',
      about: `How many calls at once the gate lets through, 1 to ${MOST_AT_ONCE}. By default as many as the gate that is there, else ${AT_ONCE}. The others wait with half a megabyte each, for some 60 s at most. VERSION and STATUS never wait.`,
    },
    'no-gate': {
      about:
        'Make DIR/x-calico-route the executable itself. If a gate is there, make one that stands open: nobody waits.',
    },
    'no-status': {
      about: 'Do not ask STATUS, which fails while the node lacks a tool, or we lack a capability, that ADD needs.',
    },
    check: {
      about:
        'Change nothing: tell whether the plugin in DIR, of whatever version, answers VERSION and STATUS as a runtime has them answered.',
    },
    force: { about: 'Replace DIR/x-calico-route even if it is another program.' },
    stay: {
      about:
        'Install, then stay until SIGTERM or SIGINT, and install again whenever the plugin is gone or does not work. Leave another version alone if it works. Meanwhile have the page cache hold the executables in DIR on our own account, so that calls need not read them, nor their cgroup hold them.',
    },
    every: EVERY,
  },
  exit: [
    ['0', 'It is installed; with --check, it answers.'],
    ['2', 'Nothing was changed; with --check, it does not answer.'],
  ],
  examples: [`x-calico-route install --to ${PLUGIN_DIRECTORY}`, 'x-calico-route install --check'],
} as const satisfies Definition

export const install = define(DEFINITION, async ({ options: given }, terminal) => {
  const every = secondsOf(given.every)
  const signal = untilSignal()
  const layout = { atOnce: atOnceOf(given['at-once']), gate: !given['no-gate'] }
  if (layout.atOnce !== undefined && !layout.gate) throw new Trouble('--at-once: there is none with --no-gate')
  const options = { ...layout, status: !given['no-status'], force: given.force, signal }
  const where = () => placeOf('--to', given.to, given['host-root'])
  if (given.check) {
    const other = (['stay', 'force', 'at-once', 'no-gate'] as const).find((name) => given[name])
    if (other !== undefined) throw new Trouble(`--check: installs nothing; leave out --${other}`)
    const place = await where()
    terminal.out(`${place.file}: ${await checkInstalled(place, options.status, signal)} answers\n`)
    return Exit.ok
  }
  if (!options.status) terminal.err('STATUS is not asked: whether ADD can work on this node is not known\n')
  let known: Layout
  try {
    known = await installInto(await where(), options, terminal)
  } catch (error) {
    if (given.stay && signal.aborted) return Exit.ok
    throw error
  }
  if (given.stay) {
    const look = keeper(where, { ...options, known }, terminal)
    const cache = keepCached(where, signal)
    const work = async () => {
      await look()
      await cache()
    }
    await stay(work, every, signal, (trouble) => terminal.err(`${NAME} install: ${trouble}`))
  }
  return Exit.ok
})

interface Options {
  /** Undefined: as the gate has it that is there. */
  readonly atOnce: number | undefined
  readonly gate: boolean
  /** What was there before, and worked. */
  readonly known?: Layout
  readonly status: boolean
  readonly force: boolean
  readonly signal: AbortSignal
}

function atOnceOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const atOnce = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (atOnce >= 1 && atOnce <= MOST_AT_ONCE) return atOnce
  throw new Trouble(`--at-once: ${JSON.stringify(text)} is no number from 1 to ${MOST_AT_ONCE}`)
}

const ownVersion = () => version().trim()

/** @returns the layout it has @throws Trouble: nothing was changed */
async function installInto(place: Place, options: Options, terminal: Terminal): Promise<Layout> {
  const { file } = place
  try {
    await removeTemporaries(place)
    const found = await lookAt(place)
    const { layout, ask } = await choose(place, found, options, terminal)
    if (await isLaidOut(place, found, layout, options.signal)) {
      await ask(file)
      await removeSuperseded(place)
      terminal.out(`${file}: ${ownVersion()} is already installed\n`)
      return layout
    }
    const replaced =
      found.stat === undefined ? '' : `, replaces ${await replaceable(place, found, found.stat, options)}`
    await layOut(place, layout, ask, options.signal)
    terminal.out(`${file}: ${ownVersion()} installed${replaced}\n`)
    return layout
  } catch (error) {
    throw fileTrouble(file, error)
  }
}

const OPEN: Layout = { atOnce: 0 }

/** The layout to make, and who is asked for VERSION and STATUS. */
async function choose(
  place: Place,
  found: Installed,
  options: Options,
  terminal: Terminal,
): Promise<{ layout: Layout; ask: Ask }> {
  const { hostRoot } = place
  const ask: Ask = async (file) => {
    await asking('', askVersion({ file, hostRoot }, options.signal))
    if (options.status)
      await asking(
        'mend that, or install all the same with --no-status; ',
        askStatus({ file, hostRoot }, options.signal),
      )
  }
  // A shell may have begun to read the gate that is there: then it must not find an executable in its place.
  if (!options.gate) return { layout: found.gate ? OPEN : 'no gate', ask }
  const known = options.known === 'no gate' ? undefined : options.known
  const there = found.gate?.intact ? found.gate.atOnce : undefined
  const layout = { atOnce: options.atOnce ?? known?.atOnce ?? (there || AT_ONCE) }
  if (await runsScripts(place, options.signal)) return { layout, ask }
  // In a container that has nothing but the directory of plugins: whoever made the gate there has asked through it on the node.
  const isBare = found.gate === undefined && found.stat?.isFile() === true
  const wasGated = hostRoot === undefined && (known ?? (!isBare && (await executablesIn(place.directory)).length > 0))
  if (wasGated) return { layout: there === 0 ? OPEN : layout, ask: () => ask(OWN) }
  terminal.err('there is no /bin/sh to run a gate with: installing without one, as --no-gate does\n')
  return { layout: 'no gate', ask }
}

/** @param advice what else than mending it there is to do */
async function asking(advice: string, answer: Promise<void>): Promise<void> {
  try {
    await answer
  } catch (error) {
    if (!(error instanceof Trouble) || error.message.endsWith(UNCHANGED)) throw error
    throw new Trouble(`${error.message}; ${advice}${UNCHANGED}`)
  }
}

const UNCHANGED = 'nothing was changed'

/** What is there, for a message. @throws Trouble if it must stay */
async function replaceable(place: Place, found: Installed, stat: Stats, { force, signal }: Options): Promise<string> {
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

/** Looks after the installed plugin, and installs it again when it is gone or does not work. */
function keeper(where: () => Promise<Place>, options: Options, terminal: Terminal): () => Promise<void> {
  let { known } = options
  /** The files that were last found to work. */
  let working = ''
  return async () => {
    const place = await where()
    try {
      await removeTemporaries(place)
      await removeSuperseded(place)
      const found = await lookAt(place)
      if (found.stat !== undefined && (await fingerprint(found)) === working) return
      const before = await fingerprint(found)
      const identity = found.stat?.isFile() ? await identifyInstalled(place, found, options.signal) : undefined
      if (identity?.is !== 'ours') {
        // Who put another file there while we asked is seen at the next look.
        if ((await fingerprint(await lookAt(place))) !== before) return
        // Nobody is there to give --force; and a node whose plugin is something else starts no pods.
        known = await installInto(place, { ...options, ...(known && { known }), force: true }, terminal)
        return
      }
      if (found.gate) known = found.gate
      const name = `${NAME} ${identity.version}`
      if (name !== ownVersion()) terminal.out(`${place.file}: now ${name}, left alone\n`)
      working = before
    } catch (error) {
      throw fileTrouble(place.file, error)
    }
  }
}

async function fingerprint({ stat, executable }: Installed): Promise<string> {
  return [stat, await statOf(executable)]
    .map((one) => (one === undefined ? '' : [one.dev, one.ino, one.size, one.mode, one.ctimeMs].join(' ')))
    .join(', ')
}
