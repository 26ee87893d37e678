import { unlink } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type Command, Exit, Trouble } from './command.ts'
import { identify } from './install-ask.ts'
import {
  fileTrouble,
  kindOf,
  PLUGIN_DIRECTORY,
  type Place,
  placeOf,
  removeLeftOvers,
  statOf,
  syncDirectory,
} from './install-file.ts'

export const uninstall: Command = {
  summary: 'takes the plugin out of the directory of the container runtime again',
  help: `Usage: x-calico-route uninstall [--from DIR] [--host-root DIR]

Removes DIR/x-calico-route if it is this plugin, of whatever version. If there is none, that is no error.
As long as a network or a pod still has x-calico-route in its list of plugins, do not: its pods can neither start nor end.

  --from DIR       the runtime's directory of plugins, as the node knows it (default: ${PLUGIN_DIRECTORY})
  --host-root DIR  where the node's root directory is mounted, in a container; --from is taken below it
`,
  async run(words, terminal) {
    const { values } = parseArgs({
      args: [...words],
      options: { from: { type: 'string', default: PLUGIN_DIRECTORY }, 'host-root': { type: 'string' } },
    })
    const place = await placeOf('--from', values.from, values['host-root'])
    try {
      terminal.out(`${place.file}: ${await remove(place)}\n`)
    } catch (error) {
      throw fileTrouble(place.file, error)
    }
    return Exit.ok
  },
}

/** @throws Trouble if it is not ours */
async function remove(place: Place): Promise<string> {
  const { directory, file } = place
  await removeLeftOvers(directory)
  const stat = await statOf(file)
  if (stat === undefined) return 'is not installed'
  const byHand = 'remove it by hand if nobody needs it; nothing was changed'
  if (!stat.isFile()) throw new Trouble(`${file}: is ${await kindOf(file, stat)}, which install never makes; ${byHand}`)
  const found = await identify(place, new AbortController().signal)
  if (found.is === 'broken')
    throw new Trouble(`${file}: does not start (${found.says}), and may be anybody's; ${byHand}`)
  if (found.is === 'foreign') {
    throw new Trouble(
      `${file}: is another program, which answers --version with ${JSON.stringify(found.says)}; ${byHand}`,
    )
  }
  await unlink(file)
  await syncDirectory(directory)
  return `x-calico-route ${found.version} removed`
}
