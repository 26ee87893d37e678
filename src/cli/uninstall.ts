import type { Stats } from 'node:fs'
import { rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type Command, Exit, Trouble } from './command.ts'
import { CONFIGURATIONS, usersOf } from './in-use.ts'
import { fileTrouble, kindOf, NAME, PLUGIN_DIRECTORY, type Place, placeOf, syncDirectory } from './install-file.ts'
import { executablesIn, type Installed, identifyInstalled, ledToIn, lookAt } from './installed.ts'
import { removeSuperseded, removeTemporaries } from './left-overs.ts'
import { EVERY_SECONDS, STAY, secondsOf, stay, untilSignal } from './stay.ts'

export const uninstall: Command = {
  summary: 'takes the plugin out of the directory of the container runtime again',
  help: `Usage: x-calico-route uninstall [--from DIR] [--host-root DIR] [--force] [--stay [--every SECONDS]]

Removes DIR/x-calico-route if it is this plugin, of whatever version, then the executables behind its gate. If there is none, that
is no error. Nothing is run or removed where anybody but root can change DIR, or a directory on the way to it.

It refuses as long as a configuration in ${CONFIGURATIONS.join(' or ')} names the plugin, or a pod of this node has it by
libcni's result cache: without the plugin such pods can neither start nor end. NetworkAttachmentDefinitions it does not see.

Options:
  --from DIR       the runtime's directory of plugins, as the node knows it (default: ${PLUGIN_DIRECTORY})
  --host-root DIR  where the node's root directory is mounted, in a container; everything is looked for below it
  --force          remove the plugin also where it is still in use
  --stay           wait until nobody uses the plugin, remove it, and stay until SIGTERM or SIGINT
  --every SECONDS  how often --stay looks (default: ${EVERY_SECONDS})
  -h, --help       this text

Exit status: 0 it is not there any more, 2 nothing was changed.

Example: x-calico-route uninstall --from ${PLUGIN_DIRECTORY}
`,
  async run(words, terminal) {
    const { values } = parseArgs({
      args: [...words],
      options: {
        from: { type: 'string', default: PLUGIN_DIRECTORY },
        'host-root': { type: 'string' },
        force: { type: 'boolean', default: false },
        ...STAY,
      },
    })
    const every = secondsOf(values.every)
    const signal = untilSignal()
    let said = ''
    const work = async () => {
      const place = await placeOf('--from', values.from, values['host-root'])
      const done = `${place.file}: ${await remove(place, values.force, signal)}\n`
      if (done !== said) terminal.out(done)
      said = done
    }
    if (values.stay) await stay(work, every, signal, (trouble) => terminal.err(`${NAME} uninstall: ${trouble}`))
    else await work()
    return Exit.ok
  },
}

/** @throws Trouble if it is not ours, or still in use */
async function remove(place: Place, force: boolean, signal: AbortSignal): Promise<string> {
  const { directory, file } = place
  try {
    await removeTemporaries(place)
    const found = await lookAt(place)
    if (found.stat === undefined) {
      await removeSuperseded(place)
      return 'is not installed'
    }
    const version = await versionOf(place, found, found.stat, signal)
    const users = force ? [] : usersOf(place.hostRoot ?? '/')
    if (users.length > 0) {
      const first = 'take it out of the configurations and delete those pods first, or give --force'
      throw new Trouble(`${file}: is still in use: ${users.join('; ')}; ${first}; nothing was changed`)
    }
    // Somebody else may have been faster.
    await rm(file, { force: true })
    // Not before nobody can find its gate any more; calls that wait there have it open.
    const needed = await ledToIn(directory)
    for (const executable of await executablesIn(directory))
      if (!needed.has(executable)) await rm(executable, { force: true })
    await syncDirectory(directory)
    return `${NAME} ${version} removed`
  } catch (error) {
    throw fileTrouble(file, error)
  }
}

/** @throws Trouble if it is anything but the plugin */
async function versionOf(place: Place, installed: Installed, stat: Stats, signal: AbortSignal): Promise<string> {
  const { file } = place
  const byHand = 'remove it by hand if nobody needs it; nothing was changed'
  if (!stat.isFile()) throw new Trouble(`${file}: is ${await kindOf(file, stat)}, which install never makes; ${byHand}`)
  const found = await identifyInstalled(place, installed, signal)
  if (found.is === 'ours') return found.version
  if (found.is === 'weak') throw new Trouble(`${file}: ${found.says}, so it was not run; ${found.remedy}, or ${byHand}`)
  // Nobody else makes gates.
  if (installed.gate?.intact) return 'of unknown version'
  if (found.is === 'broken')
    throw new Trouble(`${file}: does not start (${found.says}), and may be anybody's; ${byHand}`)
  throw new Trouble(
    `${file}: is another program, which answers --version with ${JSON.stringify(found.says)}; ${byHand}`,
  )
}
