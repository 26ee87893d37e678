import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Command } from '../platform.ts'
import { runNode } from '../run-node.ts'
import { Fields } from './fields.ts'

/**
 * A V8 start-up snapshot in a file, as Node writes it (node v24, src/node_snapshotable.cc, SnapshotSerializer::Write):
 *   u32 magic, u8 type, u64-length version, architecture and platform, u32 flags, u32-length V8 blob, isolate and environment,
 *   code cache of Node's builtins (u64 count, …)
 * all little-endian, not promised to anybody.
 */
export const SNAPSHOT_MAGIC = 0x0143da19
/** SnapshotMetadata::Type::kFullyCustomized: of a user's program. */
export const SNAPSHOT_CUSTOM = 1
/** SnapshotFlags::kWithoutCodeCache. */
const WITHOUT_CODE_CACHE = 1

/**
 * Takes the start-up snapshot of `program` after its top level has run and its event loop is empty.
 *
 * Node's `withoutCodeCache` leaves out what no call needs, the code cache of Node's own modules (4 MB to read at every start), but
 * has V8 drop the bytecode of every function as well (FunctionCodeHandling::kClear), and each call compiles some 400 again: a
 * fifth of an ADD. There is no option for the one without the other. So both kinds are made, and V8's part of the one that keeps
 * bytecode is put into the one without code cache.
 */
export async function takeSnapshot(node: Command, program: string, workdir: string): Promise<Buffer> {
  const take = async (withoutCodeCache: boolean): Promise<Buffer> => {
    const file = path.join(workdir, `${withoutCodeCache ? 'clear' : 'keep'}.snapshot`)
    const config = `${file}.json`
    await writeFile(config, JSON.stringify({ builder: program, withoutCodeCache }))
    await runNode(node, workdir, '--snapshot-blob', file, '--build-snapshot-config', config)
    return readFile(file)
  }
  return keepBytecode(await take(true), await take(false))
}

/**
 * `clear` with V8's blob of `keep`.
 * @throws Error when either is not laid out as we know it, or they differ in anything but V8's blob and the code cache
 */
export function keepBytecode(clear: Buffer, keep: Buffer): Buffer {
  const [one, other] = [read(clear, WITHOUT_CODE_CACHE), read(keep, 0)]
  if (!one.head.equals(other.head)) throw new Error('snapshot: the heads of the two kinds differ')
  const rest = one.rest.subarray(0, -EMPTY_CODE_CACHE.length)
  if (!one.rest.subarray(rest.length).equals(EMPTY_CODE_CACHE)) {
    throw new Error('snapshot: the one without code cache does not end with an empty one')
  }
  if (!other.rest.subarray(0, rest.length).equals(rest)) {
    throw new Error("snapshot: the two kinds differ in what follows V8's blob")
  }
  return Buffer.concat([one.upToBlob, other.blob, one.rest])
}

/** The number of modules in it. */
const EMPTY_CODE_CACHE = Buffer.alloc(8)

function read(snapshot: Buffer, flags: number) {
  const fields = new Fields('snapshot', snapshot)
  fields.expect('magic', fields.u32(), SNAPSHOT_MAGIC)
  fields.expect('type', fields.u8(), SNAPSHOT_CUSTOM)
  for (let text = 0; text < 3; text += 1) fields.text()
  const head = snapshot.subarray(0, fields.at)
  fields.expect('flags', fields.u32(), flags)
  const start = fields.at
  fields.sized32()
  /** V8's blob with its length before it. */
  const blob = snapshot.subarray(start, fields.at)
  return { head, blob, upToBlob: snapshot.subarray(0, start), rest: fields.rest() }
}
