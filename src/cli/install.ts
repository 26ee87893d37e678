import type { Stats } from 'node:fs'
import { keepCached } from './cached.ts'
import { Exit, type Terminal, Trouble } from './command.ts'
import { AT_ONCE, MAX_AT_ONCE } from './gate.ts'
import { askStatus, askVersion, runsScripts } from './install-ask.ts'
import { checkInstalled } from './install-check.ts'
import {
  fileTrouble,
  kindOf,
  NAME,
  OWN_EXECUTABLE,
  PLUGIN_DIRECTORY,
  type PluginPlace,
  pluginPlaceOf,
  statOf,
} from './install-file.ts'
import { executablesIn, type Installed, identifyInstalled, lookAtInstalled } from './installed.ts'
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
    'Copy this executable into DIR under a hidden name, and make DIR/x-calico-route its gate: a shell script that lets only a few calls at once become the executable. Each call takes some 12 MiB for Node.js, and many pods that start at once would take more memory than the cgroup of their plugins has.',
    'The copy is compared with the original, and must answer VERSION and STATUS on this node through the gate. Then the gate replaces what is there, in one step: a runtime that calls the plugin meanwhile runs either the old one or the new one. If anything fails, the old one stays. Nothing is run or written if anybody but root can change DIR, or a directory on the path to it.',
    'An install that is killed leaves a file `.x-calico-route.*.tmp` in DIR. The next install removes it when it is 10 minutes old. It also removes the executable of the previous version, `.x-calico-route-*`, after 10 minutes: until then calls may wait at its gate.',
  ],
  options: {
    to: {
      value: 'DIR',
      completes: 'directory',
      default: PLUGIN_DIRECTORY,
      about: "The runtime's plugin directory, as a path on the node.",
    },
    'host-root': {
      value: 'DIR',
      completes: 'directory',
      about:
        "In a container: where the node's root directory is mounted. --to is a path below it, and the new plugin is called in it, so that it finds the libraries and tools of the node, not those of the image. Needs CAP_SYS_CHROOT.",
    },
    'at-once': {
      value: 'N',
      about: `How many calls at once the gate lets through, 1 to ${MAX_AT_ONCE}. The default is that of the gate that is there, else ${AT_ONCE}. The others wait for about 60 s at most, and take half a megabyte each. VERSION and STATUS never wait.`,
    },
    'no-gate': {
      about: 'Make DIR/x-calico-route the executable itself. If a gate is there, open it instead: then no call waits.',
    },
    'no-status': {
      about:
        'Do not call STATUS, which fails if the node lacks a tool that ADD needs, or if this process lacks a capability.',
    },
    check: {
      about:
        'Change nothing. Say whether the plugin in DIR, of any version, answers VERSION and STATUS when it is called as a runtime does.',
    },
    force: { about: 'Replace DIR/x-calico-route even if it is another program.' },
    stay: {
      about:
        'Install, then stay until SIGTERM or SIGINT, and install again whenever the plugin is gone or does not work. Leave another version alone if it works. Meanwhile keep the executables in DIR in the page cache, charged to the cgroup of this process and not to that of the calls.',
    },
    every: EVERY,
  },
  exit: [
    ['0', 'The plugin is installed; with --check, it answers.'],
    ['2', 'Nothing was changed; with --check, the plugin does not answer.'],
  ],
  examples: [`x-calico-route install --to ${PLUGIN_DIRECTORY}`, 'x-calico-route install --check'],
} as const satisfies Definition

export const install = define(DEFINITION, async ({ options: given }, terminal) => {
  const every = secondsOf(given.every)
  const signal = untilSignal()
  const layout = { atOnce: atOnceOf(given['at-once']), gate: !given['no-gate'] }
  if (layout.atOnce !== undefined && !layout.gate)
    throw new Trouble('--at-once: has no effect with --no-gate; leave out one of them')
  const options = { ...layout, status: !given['no-status'], force: given.force, signal }
  const where = () => pluginPlaceOf('--to', given.to, given['host-root'])
  if (given.check) {
    const other = (['stay', 'force', 'at-once', 'no-gate'] as const).find((name) => given[name])
    if (other !== undefined) throw new Trouble(`--check: installs nothing; leave out --${other}`)
    const place = await where()
    terminal.out(`${place.file}: ${await checkInstalled(place, options.status, signal)} answers\n`)
    return Exit.ok
  }
  if (!options.status) terminal.err('STATUS: not called, so ADD may fail on this node\n')
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
  /** Undefined: as many as the gate that is there. */
  readonly atOnce: number | undefined
  readonly gate: boolean
  /** The layout that was last there and worked. */
  readonly known?: Layout
  readonly status: boolean
  readonly force: boolean
  readonly signal: AbortSignal
}

function atOnceOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const atOnce = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (atOnce >= 1 && atOnce <= MAX_AT_ONCE) return atOnce
  throw new Trouble(`--at-once: ${JSON.stringify(text)} is not a number from 1 to ${MAX_AT_ONCE}`)
}

const ownVersion = () => version().trim()

/** @returns the layout of what is now installed @throws Trouble: nothing was changed */
async function installInto(place: PluginPlace, options: Options, terminal: Terminal): Promise<Layout> {
  const { file } = place
  try {
    await removeTemporaries(place)
    const found = await lookAtInstalled(place)
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

/** A gate where no call waits. */
const OPEN_GATE: Layout = { atOnce: 0 }

/** The layout to make, and how to check that it answers. */
async function choose(
  place: PluginPlace,
  found: Installed,
  options: Options,
  terminal: Terminal,
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
  terminal.err('/bin/sh: missing, and a gate needs it; installing without a gate, as with --no-gate\n')
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
  { force, signal }: Options,
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

/** Looks at the installed plugin, and installs it again if it is gone or does not work. */
function keeper(where: () => Promise<PluginPlace>, options: Options, terminal: Terminal): () => Promise<void> {
  let { known } = options
  /** The fingerprint of the files that were last found to work. */
  let working = ''
  return async () => {
    const place = await where()
    try {
      await removeTemporaries(place)
      await removeSuperseded(place)
      const found = await lookAtInstalled(place)
      if (found.stat !== undefined && (await fingerprint(found)) === working) return
      const before = await fingerprint(found)
      const identity = found.stat?.isFile() ? await identifyInstalled(place, found, options.signal) : undefined
      if (identity?.is !== 'ours') {
        // Somebody put another file there meanwhile. The next look sees it.
        if ((await fingerprint(await lookAtInstalled(place))) !== before) return
        // Nobody is there to give --force, and a node whose plugin is something else starts no pods.
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
