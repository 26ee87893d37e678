import { CLI_ASSET, EXEC_ARGV, ROOM_ASSET, type Start } from '../sea-blob.ts'
import { Fields } from './fields.ts'

/**
 * Node reads a SEA blob as (node v24, src/node_sea.cc, SeaDeserializer::Read):
 *   u32 magic, u32 flags, u8 execArgvExtension, u64-length code path, u64-length main (source text or snapshot),
 *   assets (u64 count, u64-length name and content each), execArgv (u64 count, u64-length each)
 * all little-endian. Nothing of it is promised, so every field that we know is compared.
 */
const SEA_MAGIC = 0x0143da20
/** disableExperimentalSEAWarning | includeAssets | includeExecArgv, and with a snapshot useSnapshot. */
const FLAGS: Readonly<Record<Start, number>> = { plain: 0b11001, snapshot: 0b11011 }
const EXEC_ARGV_EXTENSION_NONE = 0

export interface SeaBlob {
  readonly codePath: string
  /** What stands before the length of main. */
  readonly head: Buffer
  readonly main: Buffer
  /** What follows main. */
  readonly tail: Buffer
  /** The tool for people. */
  readonly asset: Buffer
}

/** @throws Error when the blob is not laid out, or does not start Node.js, as this build has it */
export function readSeaBlob(blob: Buffer, start: Start): SeaBlob {
  const fields = new Fields('SEA blob', blob)
  fields.expect('magic', fields.u32(), SEA_MAGIC)
  fields.expect('flags', fields.u32(), FLAGS[start])
  fields.expect('execArgvExtension', fields.u8(), EXEC_ARGV_EXTENSION_NONE)
  const codePath = fields.text()
  const head = blob.subarray(0, fields.at)
  const main = fields.sized()
  const tail = blob.subarray(fields.at)
  const assets = new Map<string, Buffer>()
  // In an order of Node's own.
  for (let count = fields.u64(); count > 0; count -= 1) assets.set(fields.text(), fields.sized())
  fields.expect('assets', [...assets.keys()].sort().join(), `${CLI_ASSET},${ROOM_ASSET}`)
  fields.expect('number of execArgv', fields.u64(), EXEC_ARGV[start].length)
  for (const argument of EXEC_ARGV[start]) fields.expect('execArgv', fields.text(), argument)
  fields.expect('trailing bytes', fields.rest().length, 0)
  return { codePath, head, main, tail, asset: assets.get(CLI_ASSET) ?? Buffer.alloc(0) }
}

/** By its flags, as an executable that is already built has it. */
export function startOf(blob: Buffer): Start {
  return blob.readUInt32LE(4) === FLAGS.plain ? 'plain' : 'snapshot'
}
