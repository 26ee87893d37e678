import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Command } from '../platform.ts'
import { type Bundles, makeBlob } from '../sea-blob.ts'
import { Fields } from './fields.ts'
import { readSeaBlob } from './sea-layout.ts'
import { SNAPSHOT_CUSTOM, SNAPSHOT_MAGIC, takeSnapshot } from './take.ts'

/**
 * A SEA blob whose main is a V8 start-up snapshot of the bundle.
 *
 * Node makes such a blob on its own (`useSnapshot`), but without a say in what the snapshot holds. So a tiny blob is made the
 * official way and the snapshot in it exchanged.
 */
export async function buildSnapshotBlob(node: Command, { bundle, cli }: Bundles, workdir: string): Promise<string> {
  const snapshot = await takeSnapshot(node, bundle, workdir)
  const main = 'placeholder.cjs'
  await writeFile(path.join(workdir, main), `require('node:v8').startupSnapshot.setDeserializeMainFunction(() => {})`)
  const blobFile = await makeBlob(node, workdir, { main, cli, start: 'snapshot' })
  await writeFile(blobFile, replaceSnapshot(await readFile(blobFile), snapshot, main))
  return blobFile
}

/** Puts `snapshot` in the place of the one inside `blob`. @throws Error when the blob is not laid out as we know it */
export function replaceSnapshot(blob: Buffer, snapshot: Buffer, codePath: string): Buffer {
  const { head, main, tail, codePath: found } = readSeaBlob(blob, 'snapshot')
  const fields = new Fields('SEA blob', main)
  fields.expect('code path', found, codePath)
  fields.expect('snapshot magic', fields.u32(), SNAPSHOT_MAGIC)
  fields.expect('snapshot type', fields.u8(), SNAPSHOT_CUSTOM)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(snapshot.length))
  return Buffer.concat([head, length, snapshot, tail])
}
