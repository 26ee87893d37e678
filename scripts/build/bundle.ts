import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { build, type Metafile } from 'esbuild'
import type { Arch } from './platform.ts'

/** A placeholder for the digest, of the same length, so that the byte counts in the metafile stay correct. */
const DIGEST_MARK = 'digest-here-'

export type Source = { root: string; version: string; node: string; arch: Arch }
/** A bundle to make. */
export type Target = { entry: string; outfile: string }

/**
 * Bundles each entry with everything it imports into one CommonJS file, except the node: modules.
 *
 * `__VERSION__` in the source becomes the version with a digest as build metadata, `0.1.0+1f0e9d8c7b6a`. The digest covers all
 * code and Node.js, so that the same source always gives the same version.
 * @returns esbuild's metafile of each
 */
export async function bundle({ root, version, node, arch }: Source, targets: readonly Target[]): Promise<Metafile[]> {
  const made = await Promise.all(targets.map((target) => bundleOne(root, version, target)))
  const digest = createHash('sha256').update(`${node} linux-${arch}\n`)
  for (const { code } of made) digest.update(code)
  const identity = digest.digest('hex').slice(0, DIGEST_MARK.length)
  for (const { code, outfile } of made) await writeFile(outfile, code.replaceAll(DIGEST_MARK, identity))
  return made.map(({ metafile }) => metafile)
}

async function bundleOne(root: string, version: string, { entry, outfile }: Target) {
  // In its own file, so that shellcheck reads it.
  const gate = await readFile(path.join(root, 'src', 'cli', 'install', 'gate.sh'), 'utf8')
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    write: false,
    metafile: true,
    format: 'cjs',
    platform: 'node',
    // ES modules first: esbuild cannot follow the requires in jsonc-parser's "main", which is UMD.
    mainFields: ['module', 'main'],
    target: 'node24',
    charset: 'utf8',
    legalComments: 'none',
    // Keeps names, so that stack traces from operators can be read. In a snapshot their length costs nothing.
    minifySyntax: true,
    minifyWhitespace: true,
    // Otherwise stack traces would have the path of the machine that built it.
    footer: { js: `//# sourceURL=${path.basename(outfile)}` },
    logLevel: 'warning',
    define: { __VERSION__: JSON.stringify(`${version}+${DIGEST_MARK}`), __GATE__: JSON.stringify(gate) },
  })
  return { code: outputFiles[0]?.text ?? '', metafile, outfile }
}
