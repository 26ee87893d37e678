import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import type { ReadSet } from '../config/route-sets.ts'
import { readSet } from '../kernel/set-file.ts'

/** The path at which this process finds a path of the node. On the node /var/run links to /run, which would lead out of `root`. */
export function onThisSide(root: string, file: string): string {
  return root === '/' ? file : path.join(root, file.replace(/^\/var\/run\//, '/run/'))
}

/** Reads the sets of the node. */
export function setsBelow(root: string): ReadSet {
  return (directory, name) => readSet(onThisSide(root, directory), name)
}

/**
 * Whether the node still has a network namespace. In a container without the mount every namespace would seem to be gone;
 * but then its directory is missing too.
 */
export function netnsState(root: string, netns: string): 'there' | 'gone' | 'hidden' {
  if (!isMissing(onThisSide(root, netns))) return 'there'
  // The directory of a process goes with the process.
  const directory = netns.startsWith('/proc/') ? '/proc' : path.dirname(netns)
  return existsSync(onThisSide(root, directory)) ? 'gone' : 'hidden'
}

/** A file that we may not look at, such as the namespace of another user's process, is not missing. */
function isMissing(file: string): boolean {
  try {
    statSync(file)
    return false
  } catch (error) {
    return ['ENOENT', 'ENOTDIR', 'ESRCH'].includes(String((error as NodeJS.ErrnoException).code))
  }
}

/** Whether a path of the node is one at which runtimes keep the namespaces of pods. */
export function isInRunNetns(netns: string): boolean {
  return /^\/(?:var\/)?run\/netns\/[^/]+$/.test(netns) && !/\/\.\.?$/.test(netns)
}
