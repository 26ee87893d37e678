import type { Stats } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type Command, Exit, type Terminal, Trouble } from './command.ts'
import { version } from './help.ts'
import { askStatus, askVersion, identify } from './install-ask.ts'
import {
  copyOwn,
  fileTrouble,
  isOwnCopy,
  kindOf,
  NAME,
  PLUGIN_DIRECTORY,
  type Place,
  placeOf,
  removeLeftOvers,
  statOf,
  syncDirectory,
  temporaryIn,
} from './install-file.ts'
import { EVERY_SECONDS, STAY, secondsOf, stay, untilSignal } from './stay.ts'

export const install: Command = {
  summary: 'puts this executable where the container runtime takes plugins from',
  help: `Usage: x-calico-route install [--to DIR] [--host-root DIR] [--no-status] [--force] [--stay [--every SECONDS]]

Copies this executable to DIR/x-calico-route, by way of a temporary file in DIR: the copy is compared with the original, and
has to answer VERSION and STATUS on this node; then it takes the place of what is there, in one step. A runtime that calls the
plugin meanwhile runs the old one or the new one. If anything fails, the old one stays.

Options:
  --to DIR         the runtime's directory of plugins, as the node knows it (default: ${PLUGIN_DIRECTORY})
  --host-root DIR  where the node's root directory is mounted, in a container. --to is taken below it, and the new plugin
                   asked in it, so that it finds what the node has and not what the image has. Needs CAP_SYS_CHROOT
  --no-status      do not ask STATUS, which fails while the node lacks a tool or we lack a capability that ADD needs
  --force          replace x-calico-route in DIR even if it is another program
  --stay           install, then stay until SIGTERM or SIGINT, and install again whenever the plugin is gone or does not
                   work. Another version that works is left alone
  --every SECONDS  how often --stay looks (default: ${EVERY_SECONDS})
  -h, --help       this text

An install that is killed leaves a file .x-calico-route.*.tmp in DIR; the next one removes it when it is 10 minutes old.

Exit status: 0 it is installed, 2 nothing was changed.

Example: x-calico-route install --to ${PLUGIN_DIRECTORY}
`,
  async run(words, terminal) {
    const { values } = parseArgs({
      args: [...words],
      options: {
        to: { type: 'string', default: PLUGIN_DIRECTORY },
        'host-root': { type: 'string' },
        'no-status': { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
        ...STAY,
      },
    })
    const every = secondsOf(values.every)
    const signal = untilSignal()
    const options = { status: !values['no-status'], force: values.force, signal }
    if (!options.status) terminal.err('STATUS is not asked: whether ADD can work on this node is not known\n')
    const where = () => placeOf('--to', values.to, values['host-root'])
    try {
      await installInto(await where(), options, terminal)
    } catch (error) {
      if (values.stay && signal.aborted) return Exit.ok
      throw error
    }
    if (values.stay) {
      const look = keeper(where, options, terminal)
      await stay(look, every, signal, (trouble) => terminal.err(`${NAME} install: ${trouble}`))
    }
    return Exit.ok
  },
}

interface Options {
  readonly status: boolean
  readonly force: boolean
  readonly signal: AbortSignal
}

const OWN_VERSION = version().trim()

/** @throws Trouble: nothing was changed */
async function installInto(place: Place, options: Options, terminal: Terminal): Promise<void> {
  const { directory, file } = place
  try {
    await removeLeftOvers(directory)
    const stat = await statOf(file)
    if (stat?.isFile() && (stat.mode & 0o7777) === 0o755 && (await isOwnCopy(file, stat, options.signal))) {
      await ask(place, options)
      terminal.out(`${file}: ${OWN_VERSION} is already installed\n`)
      return
    }
    const replaced = stat === undefined ? '' : `, replaces ${await replaceable(place, stat, options)}`
    await replace(place, options)
    terminal.out(`${file}: ${OWN_VERSION} installed${replaced}\n`)
  } catch (error) {
    throw fileTrouble(file, error)
  }
}

/** What is there, for a message. @throws Trouble if it must stay */
async function replaceable(place: Place, stat: Stats, { force, signal }: Options): Promise<string> {
  const { file } = place
  const kind = await kindOf(file, stat)
  if (stat.isSymbolicLink()) return `${kind}, which stays as it is`
  if (!stat.isFile())
    throw new Trouble(`${file}: is ${kind}; remove it, or give another directory; nothing was changed`)
  const found = await identify(place, signal)
  if (found.is === 'ours') return `${NAME} ${found.version}`
  if (found.is === 'broken') return `a file that does not start: ${found.says}`
  const program = `another program, which answers --version with ${JSON.stringify(found.says)}`
  if (force) return program
  throw new Trouble(`${file}: is ${program}; move it away, or give --force to replace it; nothing was changed`)
}

async function replace({ directory, file, hostRoot }: Place, options: Options): Promise<void> {
  const temporary = temporaryIn(directory)
  try {
    await copyOwn(temporary, options.signal)
    await ask({ file: temporary, hostRoot }, options)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncDirectory(directory)
}

async function ask(asked: Pick<Place, 'file' | 'hostRoot'>, { status, signal }: Options): Promise<void> {
  await askVersion(asked, signal)
  if (status) await askStatus(asked, signal)
}

/** Looks after the installed plugin, and installs it again when it is gone or does not work. */
function keeper(where: () => Promise<Place>, options: Options, terminal: Terminal): () => Promise<void> {
  /** The file that was last found to work. */
  let working = ''
  return async () => {
    const place = await where()
    try {
      const stat = await statOf(place.file)
      if (stat !== undefined && fingerprint(stat) === working) return
      const found = stat?.isFile() ? await identify(place, options.signal) : undefined
      if (stat === undefined || found?.is !== 'ours') {
        // Who put another file there while we asked is seen at the next look.
        const now = await statOf(place.file)
        if (fingerprint(now) !== fingerprint(stat)) return
        // Nobody is there to give --force; and a node whose plugin is something else starts no pods.
        return await installInto(place, { ...options, force: true }, terminal)
      }
      const name = `${NAME} ${found.version}`
      if (name !== OWN_VERSION) terminal.out(`${place.file}: now ${name}, left alone\n`)
      working = fingerprint(stat)
    } catch (error) {
      throw fileTrouble(place.file, error)
    }
  }
}

function fingerprint(stat: Stats | undefined): string {
  return stat === undefined ? '' : [stat.dev, stat.ino, stat.size, stat.mode, stat.ctimeMs].join(' ')
}
