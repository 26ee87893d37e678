/** What the tool finds on a node that is laid out so. */
import { nodeWith, type Tree } from './nodes.ts'
import { NAME } from './plugin-directory.ts'
import { tool } from './tool.ts'

/** Asks for what is installed on a node with these, and has the directories `at`. */
export async function foundOn(at: readonly string[], ...trees: readonly Tree[]) {
  const root = nodeWith(...trees, Object.fromEntries(at.map((directory) => [`${directory}/`, ''])))
  return { root, answer: await tool(['uninstall', '--host-root', root]) }
}

/** What it says if it found this. */
export const found = (root: string, directory: string, ...lines: string[]) => ({
  exitCode: 0,
  stdout: `${root}${directory}/${NAME}: is not installed\n`,
  stderr: [`${directory}: plugin directory of ${lines[0]}`, ...lines.slice(1), ''].join('\n'),
})

export const crio = (...directories: string[]): Tree => ({
  '/etc/crio/crio.conf': `[crio.network]\nplugin_dirs = ${JSON.stringify(directories)}\n`,
})
