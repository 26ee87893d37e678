import type { Stats } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Exit, Trouble } from '../command.ts'
import { EVERY, secondsOf, stay, untilSignal } from '../stay.ts'
import { removeTurns } from '../turns.ts'
import { define } from '../usage/define.ts'
import type { Definition } from '../usage/definition.ts'
import { FOUND_DIRECTORY, PluginDirectory } from './find-directory.ts'
import { CONFIGURATIONS, usersOf } from './in-use.ts'
import { fileTrouble, kindOf, NAME, type PluginPlace, syncDirectory } from './install-file.ts'
import { executablesIn, type Installed, identifyInstalled, ledToIn, lookAtInstalled } from './installed.ts'
import { removeSuperseded, removeTemporaries } from './left-overs.ts'

const DEFINITION = {
  name: 'uninstall',
  summary: 'remove the plugin from the plugin directory of the container runtime',
  usage: ['[--from DIR] [--host-root DIR] [--force] [--stay [--every SECONDS]]'],
  about: [
    'Remove DIR/x-calico-route if it is this plugin, of any version, then the executables of its gate. It is not an error if there is none. Nothing is run or removed if anybody but root can change DIR, or a directory on the path to it.',
    `It refuses while a configuration in ${CONFIGURATIONS.join(' or ')}, or where the container runtime looks for them, names the plugin, or while a pod on this node uses it according to libcni's result cache: without the plugin such pods can neither start nor end. It does not see NetworkAttachmentDefinitions.`,
  ],
  options: {
    from: {
      value: 'DIR',
      completes: 'directory',
      about: FOUND_DIRECTORY,
    },
    'host-root': {
      value: 'DIR',
      completes: 'directory',
      about: "In a container: where the node's root directory is mounted. All other paths are below it.",
    },
    force: { about: 'Remove the plugin even if it is still in use.' },
    stay: { about: 'Wait until nobody uses the plugin, remove it, and stay until SIGTERM or SIGINT.' },
    every: EVERY,
  },
  exit: [
    ['0', 'The plugin is not there any more.'],
    ['2', 'Nothing was changed.'],
  ],
  examples: ['x-calico-route uninstall'],
} as const satisfies Definition

export const uninstall = define(DEFINITION, async ({ options }, terminal) => {
  const every = secondsOf('--every', options.every)
  const signal = untilSignal()
  const directory = new PluginDirectory('--from', options.from, options['host-root'], (line) =>
    terminal.err(`${line}\n`),
  )
  let said = ''
  const work = async () => {
    const place = await directory.place()
    const users = async () => (options.force ? [] : usersOf(place.hostRoot ?? '/', await directory.configurations()))
    const done = `${place.file}: ${await remove(place, users, signal)}\n`
    if (done !== said) terminal.out(done)
    said = done
  }
  const say = (trouble: string) => terminal.err(`${NAME} uninstall: ${trouble}; trying again every ${every} s\n`)
  if (options.stay) await stay(work, every, signal, say)
  else await work()
  return Exit.ok
})

/** @throws Trouble if it is not ours, or still in use */
async function remove(place: PluginPlace, findUsers: () => Promise<string[]>, signal: AbortSignal): Promise<string> {
  const { directory, file } = place
  try {
    await removeTemporaries(place)
    const found = await lookAtInstalled(place)
    if (found.stat === undefined) {
      await removeSuperseded(place)
      return 'is not installed'
    }
    const version = await versionOf(place, found, found.stat, signal)
    const users = await findUsers()
    if (users.length > 0) {
      const first = 'first remove it from the configurations and delete those pods, or give --force'
      throw new Trouble(`${file}: still in use: ${users.join('; ')}; ${first}; nothing was changed`)
    }
    // force: somebody else may have been faster.
    await rm(file, { force: true })
    // Only once nobody can find the gate any more. Calls that wait there hold the executable open. Where it came with a loader,
    // they fail without that; but as long as the plugin is in use, this is not reached without --force.
    const needed = await ledToIn(directory)
    for (const executable of await executablesIn(directory))
      if (!needed.has(executable)) await rm(executable, { recursive: executable.endsWith('.d'), force: true })
    await syncDirectory(directory)
    removeTurns(place.hostRoot ?? '/')
    return `${NAME} ${version} removed`
  } catch (error) {
    throw fileTrouble(file, error)
  }
}

/** @throws Trouble if it is anything but the plugin */
async function versionOf(place: PluginPlace, installed: Installed, stat: Stats, signal: AbortSignal): Promise<string> {
  const { file } = place
  const byHand = 'if nobody needs it, remove it by hand; nothing was changed'
  if (!stat.isFile()) throw new Trouble(`${file}: is ${await kindOf(file, stat)}, which install never makes; ${byHand}`)
  const found = await identifyInstalled(place, installed, signal)
  if (found.is === 'ours') return found.version
  if (found.is === 'weak') throw new Trouble(`${file}: ${found.says}, so it was not run; ${found.remedy}, or ${byHand}`)
  // Only install makes gates.
  if (installed.gate?.intact) return 'of unknown version'
  if (found.is === 'broken')
    throw new Trouble(`${file}: does not start (${found.says}), so it may be another program; ${byHand}`)
  throw new Trouble(
    `${file}: is another program, which answers --version with ${JSON.stringify(found.says)}; ${byHand}`,
  )
}
