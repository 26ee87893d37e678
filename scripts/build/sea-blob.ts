import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Fields } from './fields.ts'
import { runNode } from './run-node.ts'
import { SNAPSHOT_CUSTOM, SNAPSHOT_MAGIC, takeSnapshot } from './snapshot.ts'

/**
 * Node reads a SEA blob as (node v24, src/node_sea.cc, SeaDeserializer::Read):
 *   u32 magic, u32 flags, u8 execArgvExtension, u64-length code path, u64-length snapshot,
 *   assets (u64 count, u64-length name and content each), execArgv (u64 count, u64-length each)
 * all little-endian. Nothing of it is promised, so every field that we know is compared before a byte is replaced.
 */
const SEA_MAGIC = 0x0143da20
const FLAGS = 0b11011 // disableExperimentalSEAWarning | useSnapshot | includeAssets | includeExecArgv
const EXEC_ARGV_EXTENSION_NONE = 0
/**
 * `--no-rehash-snapshot` keeps the hash seed that the snapshot was built with: rehashing every table of the heap costs a
 * fifth of the start-up. The seed is then the same for all runs of one build, and known: src/cni/pod-args.ts bounds what a
 * tenant can have hashed.
 */
// --no-sparkplug: V8's baseline compiler only begins to pay when a process lives longer than ours; 5 % of an ADD.
const SNAPSHOT_EXEC_ARGV = ['--no-rehash-snapshot', '--no-sparkplug', '--disable-sigusr1', '--openssl-config=/dev/null']

/** The name by which src/main.ts asks for the tool for people. */
const CLI_ASSET = 'cli.cjs'

/** Puts `snapshot` in the place of the one inside `blob`. @throws Error when the blob is not laid out as we know it. */
export function replaceSnapshot(blob: Buffer, snapshot: Buffer, codePath: string): Buffer {
  const fields = new Fields('SEA blob', blob)
  fields.expect('magic', fields.u32(), SEA_MAGIC)
  fields.expect('flags', fields.u32(), FLAGS)
  fields.expect('execArgvExtension', fields.u8(), EXEC_ARGV_EXTENSION_NONE)
  fields.expect('code path', fields.text(), codePath)
  const head = blob.subarray(0, fields.at)

  const old = new Fields('SEA blob', fields.sized())
  old.expect('snapshot magic', old.u32(), SNAPSHOT_MAGIC)
  old.expect('snapshot type', old.u8(), SNAPSHOT_CUSTOM)
  const tail = blob.subarray(fields.at)

  readTail(fields)

  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(snapshot.length))
  return Buffer.concat([head, length, snapshot, tail])
}

/** What is in the blob of an executable. @throws Error when it is not laid out, or does not start Node.js, as this build has it */
export function partsOf(blob: Buffer): { readonly snapshot: Buffer; readonly asset: Buffer } {
  const fields = new Fields('SEA blob', blob)
  fields.expect('magic', fields.u32(), SEA_MAGIC)
  fields.expect('flags', fields.u32(), FLAGS)
  fields.expect('execArgvExtension', fields.u8(), EXEC_ARGV_EXTENSION_NONE)
  fields.text()
  const snapshot = fields.sized()
  const asset = readTail(fields)
  return { snapshot, asset }
}

/** @returns the asset */
function readTail(fields: Fields): Buffer {
  fields.expect('number of assets', fields.u64(), 1)
  fields.expect('asset', fields.text(), CLI_ASSET)
  const asset = fields.sized()
  fields.expect('number of execArgv', fields.u64(), SNAPSHOT_EXEC_ARGV.length)
  for (const argument of SNAPSHOT_EXEC_ARGV) fields.expect('execArgv', fields.text(), argument)
  fields.expect('trailing bytes', fields.rest().length, 0)
  return asset
}

/**
 * The plugin is no Node for others to use. execArgvExtension 'none': neither NODE_OPTIONS in a runtime's environment nor
 * --node-options changes how it runs. --disable-sigusr1: a signal does not open a debugger's port in it.
 * --openssl-config: neither OPENSSL_CONF nor the node's openssl.cnf, which may name libraries to load, is read; there is no TLS in here.
 */
const SEALED = { disableExperimentalSEAWarning: true, execArgvExtension: 'none' }
const PLAIN_EXEC_ARGV = ['--disable-sigusr1', '--openssl-config=/dev/null']

/** Files of the two bundles: what a runtime calls, and what a person calls. */
export type Bundles = { bundle: string; cli: string }

/** A SEA blob that holds the bundle as source text. */
export async function buildPlainBlob(node: string, { bundle, cli }: Bundles, workdir: string): Promise<string> {
  return makeBlob(node, workdir, {
    ...SEALED,
    main: bundle,
    assets: { [CLI_ASSET]: cli },
    execArgv: PLAIN_EXEC_ARGV,
  })
}

/**
 * A SEA blob whose main function is a V8 start-up snapshot of the bundle.
 *
 * Node makes such a blob on its own (`useSnapshot`), but without a say in what the snapshot holds. So a tiny blob is made the
 * official way and the snapshot in it exchanged.
 */
export async function buildSnapshotBlob(node: string, { bundle, cli }: Bundles, workdir: string): Promise<string> {
  const snapshot = await takeSnapshot(node, bundle, workdir)
  const main = 'placeholder.cjs'
  await writeFile(path.join(workdir, main), `require('node:v8').startupSnapshot.setDeserializeMainFunction(() => {})`)
  const blobFile = await makeBlob(node, workdir, {
    ...SEALED,
    main,
    useSnapshot: true,
    assets: { [CLI_ASSET]: cli },
    execArgv: SNAPSHOT_EXEC_ARGV,
  })
  await writeFile(blobFile, replaceSnapshot(await readFile(blobFile), snapshot, main))
  return blobFile
}

async function makeBlob(node: string, workdir: string, config: Record<string, unknown>): Promise<string> {
  const output = path.join(workdir, 'sea.blob')
  await writeFile(path.join(workdir, 'sea.json'), JSON.stringify({ ...config, output }))
  await runNode(node, workdir, '--experimental-sea-config', 'sea.json')
  return output
}
