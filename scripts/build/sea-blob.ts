import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { emptyRoom } from '../../src/cli/install/elf.ts'
import type { Command } from './platform.ts'
import { runNode } from './run-node.ts'

/** What the executable starts from. snapshot: a V8 start-up snapshot, see snapshot/README.md. plain: the same program as source text. */
export type Start = 'snapshot' | 'plain'

/** The name by which src/main.ts asks for the tool for people. */
export const CLI_ASSET = 'cli.cjs'

/** Room that `install --self-contained` writes into, in its copy. */
export const ROOM_ASSET = 'room'

/**
 * The options that Node.js starts with.
 *
 * The plugin is no Node for others to use. --disable-sigusr1: a signal does not open a debugger's port in it.
 * --openssl-config: neither OPENSSL_CONF nor the node's openssl.cnf, which may name libraries to load, is read; there is no TLS in here.
 *
 * --no-rehash-snapshot keeps the hash seed that the snapshot was built with: rehashing every table of the heap costs a fifth of the
 * start-up. The seed is then the same for all runs of one build, and known: src/cni/pod-args.ts bounds what a tenant can have hashed.
 * --no-sparkplug: V8's baseline compiler only begins to pay when a process lives longer than ours; 5 % of an ADD.
 *
 * --disable-warning: Node.js says once in a process that v8.queryObjects, by which we have garbage collected, is experimental; in a
 * start-up snapshot it has said so while that was made.
 */
export const EXEC_ARGV: Readonly<Record<Start, readonly string[]>> = {
  snapshot: ['--no-rehash-snapshot', '--no-sparkplug', '--disable-sigusr1', '--openssl-config=/dev/null'],
  plain: ['--disable-sigusr1', '--openssl-config=/dev/null', '--disable-warning=ExperimentalWarning'],
}

/** Files of the two bundles: what a runtime calls, and what a person calls. */
export type Bundles = { bundle: string; cli: string }

/** A SEA blob that holds the bundle as source text. */
export function buildPlainBlob(node: Command, { bundle, cli }: Bundles, workdir: string): Promise<string> {
  return makeBlob(node, workdir, { main: bundle, cli, start: 'plain' })
}

/** Has Node.js make a SEA blob, as it documents. @returns its file */
export async function makeBlob(
  node: Command,
  workdir: string,
  { main, cli, start }: { main: string; cli: string; start: Start },
): Promise<string> {
  const output = path.join(workdir, 'sea.blob')
  const room = path.join(workdir, ROOM_ASSET)
  await writeFile(room, emptyRoom())
  const config = {
    main,
    output,
    useSnapshot: start === 'snapshot',
    assets: { [CLI_ASSET]: cli, [ROOM_ASSET]: room },
    disableExperimentalSEAWarning: true,
    execArgv: EXEC_ARGV[start],
    // Neither NODE_OPTIONS in a runtime's environment nor --node-options changes how the plugin runs.
    execArgvExtension: 'none',
  }
  await writeFile(path.join(workdir, 'sea.json'), JSON.stringify(config))
  await runNode(node, workdir, '--experimental-sea-config', 'sea.json')
  return output
}
