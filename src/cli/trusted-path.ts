import type { Stats } from 'node:fs'
import { lstat, readlink } from 'node:fs/promises'
import path from 'node:path'
import { Trouble } from './command.ts'

/** Why somebody else decides what a file holds, or a directory, and the command that ends it. */
export interface Weakness {
  readonly fault: string
  readonly remedy: string
}

/**
 * What lets anybody but root, and us, change a file or the entries of a directory. The group of root may: the archives of the
 * CNI reference plugins up to v1.4.0 make /opt/cni/bin root's with mode 0775. An access control list shows in the bits of the group.
 * @see https://github.com/containernetworking/plugins/issues/1053
 * @see acl(5), "CORRESPONDENCE BETWEEN ACL ENTRIES AND FILE PERMISSION BITS"
 */
export function weaknessOf(file: string, stat: Stats): Weakness | undefined {
  if (!isOurs(stat))
    return { fault: `belongs to uid ${stat.uid}`, remedy: `chown ${stat.isSymbolicLink() ? '-h ' : ''}root ${file}` }
  const byOthers = (stat.mode & 0o002) !== 0
  if (!byOthers && ((stat.mode & 0o020) === 0 || stat.gid === 0)) return undefined
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0')
  return {
    fault: `may be written to by ${byOthers ? 'others' : `group ${stat.gid}`} (mode ${mode})`,
    // Nobody is to take /tmp away from the others.
    remedy: stat.mode & 0o1000 ? 'give another directory' : `chmod go-w ${file}`,
  }
}

const isOurs = ({ uid }: Stats) => uid === 0 || uid === process.geteuid?.()

/** As many as the kernel follows. @see path_resolution(7) */
const MOST_LINKS = 40

/**
 * Where a path leads, as realpath(3) has it, if nobody but root, and us, can make it lead elsewhere: not now, and not between
 * here and its use. Every directory on the way is looked at, also those that only a symbolic link leads through.
 * @throws Trouble for a directory that others can change; what the file system says if there is none
 */
export async function trustedPath(option: string, directory: string): Promise<string> {
  const left = path.resolve(directory).split('/')
  let here = await lookAt('/')
  let links = 0
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (name === '' || name === '.') continue
    const [file, stat] = await lookAt(path.join(here[0], name))
    holdToRule(option, here, [file, stat])
    if (!stat.isSymbolicLink()) {
      here = [file, stat]
      continue
    }
    links += 1
    if (links > MOST_LINKS) throw new Trouble(`${option}: symbolic links in ${directory} lead in a circle`)
    const target = await readlink(file)
    if (target.startsWith('/')) here = await lookAt('/')
    left.unshift(...target.split('/'))
  }
  holdToRule(option, here)
  return here[0]
}

type Found = readonly [file: string, stat: Stats]

const lookAt = async (file: string): Promise<Found> => [file, await lstat(file)]

/** @param entry what the path goes on with; undefined where it ends */
function holdToRule(option: string, [directory, stat]: Found, entry?: Found): void {
  // In a sticky directory only who owns an entry, or the directory, can rename or remove it. New ones anybody can make.
  const isSticky = entry !== undefined && isOurs(stat) && (stat.mode & 0o1000) !== 0
  const [file, looked] = isSticky ? entry : [directory, stat]
  const weakness = isSticky && isOurs(looked) ? undefined : weaknessOf(file, looked)
  if (!weakness) return
  const { fault, remedy } = weakness
  throw new Trouble(
    `${option}: ${file} ${fault}, who could choose what root runs from here; ${remedy}; nothing was changed`,
  )
}
