import { execa } from 'execa'
import type { Command } from './platform.ts'

/**
 * Warnings that are expected. Node warns that builtins it has not audited may not survive a snapshot; the smoke test and the
 * tests of the executable show which do. SEA and queryObjects are experimental. Anything else on stderr is passed on.
 */
const NO_NEWS = [
  /^\(node:\d+\) Warning: It's not yet fully verified whether built-in module .*\nIt may still work .*\nTo request support .*\n/gm,
  /^\(node:\d+\) ExperimentalWarning: (?:Single executable application|v8\.queryObjects\(\)) .*\n/gm,
  /^Wrote single executable preparation blob .*\n/gm,
  /^\(Use `node --trace-warnings .*\n/gm,
]

/** Runs the Node.js that is packaged, without the variables of our environment. */
export async function runNode(node: Command, cwd: string, ...args: string[]): Promise<void> {
  // Every later start would find the variables from here: NODE_DEBUG, FORCE_COLOR, TZ.
  const [file = '', ...words] = node
  const { stderr } = await execa(file, [...words, ...args], {
    cwd,
    env: {},
    extendEnv: false,
    stdin: 'ignore',
    stripFinalNewline: false,
  })
  const news = NO_NEWS.reduce((text, pattern) => text.replace(pattern, ''), stderr).trim()
  if (news) console.error(`build: node ${args[0]} says: ${news}`)
}
