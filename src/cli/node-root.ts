import { existsSync, statSync } from 'node:fs'
import path from 'node:path'

/** Where a path of the node is for this process. /var/run is a link of the node's to /run, which would lead out of `root`. */
export function onThisSide(root: string, file: string): string {
  return root === '/' ? file : path.join(root, file.replace(/^\/var\/run\//, '/run/'))
}

/**
 * Whether the node still has a network namespace. In a container that lacks the mount every one would seem to be gone: then
 * its directory is not there either.
 */
export function netnsState(root: string, netns: string): 'there' | 'gone' | 'hidden' {
  if (!isMissing(onThisSide(root, netns))) return 'there'
  // That of a process goes with it.
  const directory = netns.startsWith('/proc/') ? '/proc' : path.dirname(netns)
  return existsSync(onThisSide(root, directory)) ? 'gone' : 'hidden'
}

/** What may not be looked at, as a namespace by way of somebody else's process, is not missing. */
function isMissing(file: string): boolean {
  try {
    statSync(file)
    return false
  } catch (error) {
    return ['ENOENT', 'ENOTDIR', 'ESRCH'].includes(String((error as NodeJS.ErrnoException).code))
  }
}
