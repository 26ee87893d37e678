/**
 * Compares an executable, for example of a release, with this checkout. Says which parts are byte for byte from this source
 * and from the Node.js in the lock, and what cannot be compared.
 *
 *   node scripts/compare.ts EXECUTABLE [--built DIR]
 *
 * DIR has the bundles that `make build` or `scripts/build.ts` made of the same source (default: dist).
 * Exit status: 0 if all that can be compared is the same, else 1.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { readSeaBlob, startOf } from './build/snapshot/sea-layout.ts'
import { mappedAt, noteIn, segmentsOf } from './compare/elf.ts'

const ROOT = path.dirname(import.meta.dirname)

/** How many bytes of data may differ. */
const MAX_BYTES = 64

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { built: { type: 'string', default: path.join(ROOT, 'dist') } },
})
const [file] = positionals
try {
  if (file === undefined) throw new Error('EXECUTABLE is missing; write: node scripts/compare.ts EXECUTABLE')
  const read = (name: string) => readFileSync(path.join(options.built, name))
  const node = readFileSync(path.join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node'))
  const { said, unknown } = compare(
    readFileSync(file),
    node,
    read('x-calico-route.cjs'),
    read('x-calico-route-cli.cjs'),
  )
  for (const { what, same } of said) console.log(`${same ? 'same' : 'DIFFERENT'}: ${what}`)
  const snapshot = unknown > 0 ? `the rest of the start-up snapshot, ${unknown} bytes, and ` : ''
  console.log(`not compared: ${snapshot}the tables of the dynamic linker`)
  process.exitCode = said.every(({ same }) => same) ? 0 : 1
} catch (error) {
  console.error(`compare: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}

type Said = { readonly what: string; readonly same: boolean }

function compare(executable: Buffer, node: Buffer, bundle: Buffer, cli: Buffer): { said: Said[]; unknown: number } {
  const blob = noteIn(executable, 'NODE_SEA_BLOB')
  const { main, asset } = readSeaBlob(blob, startOf(blob))
  const said = [
    ...ofNode(executable, node),
    { what: 'the options that Node.js starts with', same: true },
    { what: "the plugin's bundle, the source text of its functions", same: main.includes(bundle) },
    { what: 'the bundle of the tool for people', same: asset.equals(cli) },
  ]
  return { said, unknown: main.length - bundle.length }
}

/** postject moves the tables of the dynamic linker, which are in the first segment, and writes their new place into the data segment. */
function ofNode(executable: Buffer, node: Buffer): Said[] {
  const [, ...segments] = segmentsOf(node)
  const differing = segments.map((segment) => {
    const [own, theirs] = [node.subarray(segment.offset, segment.offset + segment.size), mappedAt(executable, segment)]
    return { segment, bytes: theirs ? differences(own, theirs) : segment.size }
  })
  const code = differing.filter(({ segment }) => segment.executable)
  const most = Math.max(...differing.filter(({ segment }) => !segment.executable).map(({ bytes }) => bytes))
  const added = segmentsOf(executable).filter(({ executable: isCode }) => isCode).length - code.length
  return [
    { what: 'the machine code of Node.js', same: code.every(({ bytes }) => bytes === 0) && added === 0 },
    {
      what: `its data, except ${most} bytes: the fuse, the place of the tables of the linker`,
      same: most <= MAX_BYTES,
    },
  ]
}

function differences(one: Buffer, other: Buffer): number {
  if (one.equals(other)) return 0
  let count = 0
  for (let i = 0; i < one.length; i += 1) if (one[i] !== other[i]) count += 1
  return count
}
