import { Trouble } from '../command.ts'
import { askStatus, askVersion } from './install-ask.ts'
import { fileTrouble, kindOf, NAME, type PluginPlace } from './install-file.ts'
import { identifyInstalled, lookAtInstalled } from './installed.ts'

/**
 * Calls the installed plugin as a runtime does, and changes nothing.
 * @param status whether to call it with STATUS too
 * @returns the version that answers
 * @throws Trouble if it does not answer
 */
export async function checkInstalled(place: PluginPlace, status: boolean, signal: AbortSignal): Promise<string> {
  const { file, hostRoot } = place
  try {
    const version = await versionIn(place, signal)
    await askVersion({ file, hostRoot }, signal)
    if (status) await askStatus({ file, hostRoot }, signal)
    return `${NAME} ${version}`
  } catch (error) {
    throw fileTrouble(file, error)
  }
}

async function versionIn(place: PluginPlace, signal: AbortSignal): Promise<string> {
  const { file } = place
  const found = await lookAtInstalled(place)
  if (found.stat === undefined) throw new Trouble(`${file}: not installed; run x-calico-route install`)
  if (!found.stat.isFile()) throw new Trouble(`${file}: is ${await kindOf(file, found.stat)}`)
  const identity = await identifyInstalled(place, found, signal)
  if (identity.is === 'ours') return identity.version
  if (identity.is === 'broken')
    throw new Trouble(`${file}: does not start: ${identity.says}; run x-calico-route install`)
  if (identity.is === 'weak') throw new Trouble(`${file}: ${identity.says}, so it was not run; ${identity.remedy}`)
  throw new Trouble(`${file}: is another program, which answers --version with ${JSON.stringify(identity.says)}`)
}
