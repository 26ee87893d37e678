import type { Stats } from 'node:fs'
import { lstat, readlink } from 'node:fs/promises'
import path from 'node:path'
import { Trouble } from '../command.ts'

/** Why somebody else can change a file or directory, and the command that prevents it. */
export interface Weakness {
  readonly fault: string
  readonly remedy: string
}

/**
 * What lets anybody but root and us change a file or the entries of a directory. The group root may: the archives of the CNI
 * reference plugins up to v1.4.0 give /opt/cni/bin to root with mode 0775. The group bits also show an access control list.
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
    fault: `can be changed by ${byOthers ? 'anybody' : `group ${stat.gid}`} (mode ${mode})`,
    // Everybody needs directories such as /tmp.
    remedy: stat.mode & 0o1000 ? 'give another directory' : `chmod go-w ${file}`,
  }
}

const isOurs = ({ uid }: Stats) => uid === 0 || uid === process.geteuid?.()

/** The limit of the kernel. @see path_resolution(7) */
const MAX_LINKS = 40

/**
 * Where a path below `root` leads, as with realpath(3) there, if only root and we can make it lead elsewhere, now or before it is used. Every
 * directory on the path is checked, also those on the path of a symbolic link. Nothing leads out of `root`.
 * @throws Trouble for a directory that others can change; the error of the file system if there is none
 */
export async function trustedPath(option: string, directory: string, root = '/'): Promise<string> {
  const left = path.resolve('/', directory).split('/')
  let here = await fileAt(root)
  let links = 0
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (name === '' || name === '.' || (name === '..' && here[0] === root)) continue
    const [file, stat] = await fileAt(path.join(here[0], name))
    refuseWeak(option, here, [file, stat])
    if (!stat.isSymbolicLink()) {
      here = [file, stat]
      continue
    }
    links += 1
    if (links > MAX_LINKS) throw new Trouble(`${option}: the symbolic links in ${directory} form a loop`)
    const target = await readlink(file)
    if (target.startsWith('/')) here = await fileAt(root)
    left.unshift(...target.split('/'))
  }
  refuseWeak(option, here)
  return here[0]
}

type FoundFile = readonly [file: string, stat: Stats]

const fileAt = async (file: string): Promise<FoundFile> => [file, await lstat(file)]

/** @param entry the next file on the path; undefined at its end */
function refuseWeak(option: string, [directory, stat]: FoundFile, entry?: FoundFile): void {
  // In a sticky directory only the owner of an entry or of the directory can rename or remove it. Anybody can add one.
  const isSticky = entry !== undefined && isOurs(stat) && (stat.mode & 0o1000) !== 0
  const [file, looked] = isSticky ? entry : [directory, stat]
  const weakness = isSticky && isOurs(looked) ? undefined : weaknessOf(file, looked)
  if (!weakness) return
  const { fault, remedy } = weakness
  throw new Trouble(`${option}: ${file} ${fault}, who could then choose what root runs; ${remedy}; nothing was changed`)
}
