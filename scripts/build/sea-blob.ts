import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'

/**
 * Node reads a SEA blob as (node v24, src/node_sea.cc, SeaDeserializer::Read):
 *   u32 magic, u32 flags, u8 execArgvExtension, u64-length code path, u64-length snapshot,
 *   assets (u64 count, u64-length name and content each), execArgv (u64 count, u64-length each)
 * all little-endian. Nothing of it is promised, so every field that we know is compared before a byte is replaced.
 */
const SEA_MAGIC = 0x0143da20
const FLAGS = 0b11011 // disableExperimentalSEAWarning | useSnapshot | includeAssets | includeExecArgv
const EXEC_ARGV_EXTENSION_NONE = 0
/** First bytes of a user-land snapshot (src/node_snapshotable.cc, SnapshotData::kMagic and SnapshotMetadata::Type::kFullyCustomized). */
const SNAPSHOT_MAGIC = 0x0143da19
const SNAPSHOT_CUSTOM = 1

/**
 * `--no-rehash-snapshot` keeps the hash seed that the snapshot was built with: rehashing every table of the heap costs a
 * fifth of the start-up. The seed is then the same for all runs of one build, which does not matter to a process that
 * lives for milliseconds on an operator's input.
 */
// --no-sparkplug: V8's baseline compiler only begins to pay when a process lives longer than ours; 5 % of an ADD.
const SNAPSHOT_EXEC_ARGV = ['--no-rehash-snapshot', '--no-sparkplug', '--disable-sigusr1']

/** The name by which src/main.ts asks for the tool for people. */
const CLI_ASSET = 'cli.cjs'

/** Puts `snapshot` in the place of the one inside `blob`. @throws Error when the blob is not laid out as we know it. */
export function replaceSnapshot(blob: Buffer, snapshot: Buffer, codePath: string): Buffer {
  let at = 0
  const expectField = (name: string, found: number | string, expected: number | string): void => {
    if (found !== expected) throw new Error(`SEA blob: ${name} is ${found}, expected ${expected}`)
  }
  const need = (bytes: number): void => {
    if (bytes > blob.length - at) throw new Error(`SEA blob: ends ${bytes - (blob.length - at)} bytes early`)
  }
  const u8 = (): number => {
    need(1)
    at += 1
    return blob.readUInt8(at - 1)
  }
  const u32 = (): number => {
    need(4)
    at += 4
    return blob.readUInt32LE(at - 4)
  }
  const u64 = (): number => {
    need(8)
    at += 8
    return Number(blob.readBigUInt64LE(at - 8))
  }
  const skip = (): number => {
    const length = u64()
    need(length)
    at += length
    return length
  }
  const text = (): string => {
    const length = skip()
    return blob.toString('utf8', at - length, at)
  }

  expectField('magic', u32(), SEA_MAGIC)
  expectField('flags', u32(), FLAGS)
  expectField('execArgvExtension', u8(), EXEC_ARGV_EXTENSION_NONE)
  expectField('code path', text(), codePath)
  const head = blob.subarray(0, at)

  const oldLength = u64()
  need(oldLength)
  expectField('snapshot magic', blob.readUInt32LE(at), SNAPSHOT_MAGIC)
  expectField('snapshot type', blob.readUInt8(at + 4), SNAPSHOT_CUSTOM)
  expectField('new snapshot magic', snapshot.readUInt32LE(0), SNAPSHOT_MAGIC)
  expectField('new snapshot type', snapshot.readUInt8(4), SNAPSHOT_CUSTOM)
  at += oldLength
  const tail = blob.subarray(at)

  expectField('number of assets', u64(), 1)
  expectField('asset', text(), CLI_ASSET)
  skip()
  expectField('number of execArgv', u64(), SNAPSHOT_EXEC_ARGV.length)
  for (const argument of SNAPSHOT_EXEC_ARGV) expectField('execArgv', text(), argument)
  expectField('trailing bytes', blob.length - at, 0)

  const newLength = Buffer.alloc(8)
  newLength.writeBigUInt64LE(BigInt(snapshot.length))
  return Buffer.concat([head, newLength, snapshot, tail])
}

/**
 * The plugin is no Node for others to use. execArgvExtension 'none': neither NODE_OPTIONS in a runtime's environment nor
 * --node-options changes how it runs. --disable-sigusr1: a signal does not open a debugger's port in it.
 */
const SEALED = { disableExperimentalSEAWarning: true, execArgvExtension: 'none' }
const PLAIN_EXEC_ARGV = ['--disable-sigusr1']

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
 * A SEA blob whose main function is a V8 start-up snapshot of the bundle, taken after its top level has run.
 *
 * Node makes such a blob on its own (`useSnapshot`), but always with its builtins' code cache inside: 4 MB to read at every
 * start. `withoutCodeCache` exists only for --build-snapshot. So a tiny blob is made the official way and the snapshot in it
 * exchanged.
 */
export async function buildSnapshotBlob(node: string, { bundle, cli }: Bundles, workdir: string): Promise<string> {
  const snapshotFile = path.join(workdir, 'main.snapshot')
  await writeFile(path.join(workdir, 'snapshot.json'), JSON.stringify({ builder: bundle, withoutCodeCache: true }))
  await runNode(node, workdir, '--snapshot-blob', snapshotFile, '--build-snapshot-config', 'snapshot.json')

  const main = 'placeholder.cjs'
  await writeFile(path.join(workdir, main), `require('node:v8').startupSnapshot.setDeserializeMainFunction(() => {})`)
  const blobFile = await makeBlob(node, workdir, {
    ...SEALED,
    main,
    useSnapshot: true,
    assets: { [CLI_ASSET]: cli },
    execArgv: SNAPSHOT_EXEC_ARGV,
  })
  await writeFile(blobFile, replaceSnapshot(await readFile(blobFile), await readFile(snapshotFile), main))
  return blobFile
}

async function makeBlob(node: string, workdir: string, config: Record<string, unknown>): Promise<string> {
  const output = path.join(workdir, 'sea.blob')
  await writeFile(path.join(workdir, 'sea.json'), JSON.stringify({ ...config, output }))
  await runNode(node, workdir, '--experimental-sea-config', 'sea.json')
  return output
}

/**
 * Node says of every builtin it has not audited that it may not survive a snapshot. Which ones do is what the smoke test and
 * the tests of the executable show, so this is no news, nor that SEA is experimental. Anything else on stderr is passed on.
 */
const NO_NEWS = [
  /^\(node:\d+\) Warning: It's not yet fully verified whether built-in module .*\nIt may still work .*\nTo request support .*\n/gm,
  /^\(node:\d+\) ExperimentalWarning: Single executable application .*\n/gm,
  /^Wrote single executable preparation blob .*\n/gm,
  /^\(Use `node --trace-warnings .*\n/gm,
]

async function runNode(node: string, cwd: string, ...args: string[]): Promise<void> {
  // Whatever is in the environment here would be found by every later start: NODE_DEBUG, FORCE_COLOR, TZ.
  const { stderr } = await execa(node, args, { cwd, env: {}, extendEnv: false, stripFinalNewline: false })
  const news = NO_NEWS.reduce((text, pattern) => text.replace(pattern, ''), stderr).trim()
  if (news) console.error(`build: node ${args[0]} says: ${news}`)
}
