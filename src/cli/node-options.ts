import { Trouble } from './command.ts'
import { isDirectory } from './files.ts'
import { onThisSide } from './node-root.ts'
import { CACHES } from './result-cache.ts'

/** The options of verify and repair that say where the pods of a node are known. */
export const NODE = {
  cache: {
    value: 'DIR',
    completes: 'directory',
    repeats: true,
    about: `A result cache; may be given several times. The default is ${CACHES.join(' and ')}.`,
  },
  root: {
    value: 'DIR',
    completes: 'directory',
    default: '/',
    about: "Where the node's root directory is mounted. Caches and namespaces are looked for below it.",
  },
  quiet: { about: 'Print only what is wrong.' },
} as const

/**
 * The result caches that the options name, as this process sees them.
 * @param option the one that has the root directory
 * @throws Trouble for one that is not a directory
 */
export function cachesOf(
  { cache, root }: { readonly cache: readonly string[]; readonly root: string },
  option = '--root',
): string[] {
  const asked = cache.map((directory) => onThisSide(root, directory))
  // A misspelt directory would go unnoticed: a node without a cache counts as one without pods.
  for (const directory of [root, ...asked])
    if (!isDirectory(directory)) throw new Trouble(`${directory}: not a directory; give one with ${option} or --cache`)
  return asked.length > 0 ? asked : CACHES.map((directory) => onThisSide(root, directory))
}
