import { Trouble } from './command.ts'
import { askStatus, askVersion } from './install-ask.ts'
import { fileTrouble, kindOf, NAME, type Place } from './install-file.ts'
import { identifyInstalled, lookAt } from './installed.ts'

/**
 * Has what is installed answer as a runtime has it, and changes nothing.
 * @param status whether it is asked STATUS, too
 * @returns which version answers
 * @throws Trouble if none does
 */
export async function checkInstalled(place: Place, status: boolean, signal: AbortSignal): Promise<string> {
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

async function versionIn(place: Place, signal: AbortSignal): Promise<string> {
  const { file } = place
  const found = await lookAt(place)
  if (found.stat === undefined) throw new Trouble(`${file}: is not installed`)
  if (!found.stat.isFile()) throw new Trouble(`${file}: is ${await kindOf(file, found.stat)}`)
  const identity = await identifyInstalled(place, found, signal)
  if (identity.is === 'ours') return identity.version
  if (identity.is === 'broken') throw new Trouble(`${file}: does not start: ${identity.says}`)
  if (identity.is === 'weak') throw new Trouble(`${file}: ${identity.says}, so it was not run; ${identity.remedy}`)
  throw new Trouble(`${file}: is another program, which answers --version with ${JSON.stringify(identity.says)}`)
}
