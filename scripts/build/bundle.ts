import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { build, type Metafile } from 'esbuild'

/** Stands where the digest goes; as long as the digest, so that the byte counts in the metafile stay true. */
const DIGEST_MARK = 'digest-here-'

export type Source = { root: string; version: string; node: string }
/** A bundle to make: from which source, and where it goes. */
export type Target = { entry: string; outfile: string }

/**
 * Bundles each entry with everything it imports into one CommonJS file; only node: builtins stay outside.
 *
 * `__VERSION__` in the source becomes the version with the build's identity as semver's build metadata, `0.1.0+1f0e9d8c7b6a`:
 * a digest of all the code and of the Node below it, so it is the same wherever and whenever the same source is built.
 * @returns esbuild's metafile of each
 */
export async function bundle({ root, version, node }: Source, targets: readonly Target[]): Promise<Metafile[]> {
  const made = await Promise.all(targets.map((target) => bundleOne(root, version, target)))
  const digest = createHash('sha256').update(`${node} linux-${process.arch}\n`)
  for (const { code } of made) digest.update(code)
  const identity = digest.digest('hex').slice(0, DIGEST_MARK.length)
  for (const { code, outfile } of made) await writeFile(outfile, code.replaceAll(DIGEST_MARK, identity))
  return made.map(({ metafile }) => metafile)
}

async function bundleOne(root: string, version: string, { entry, outfile }: Target) {
  // A file of its own, so that shellcheck reads it.
  const gate = await readFile(path.join(root, 'src', 'cli', 'gate.sh'), 'utf8')
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    write: false,
    metafile: true,
    format: 'cjs',
    platform: 'node',
    // ES modules first: esbuild cannot follow the requires of jsonc-parser's "main", which is UMD.
    mainFields: ['module', 'main'],
    target: 'node24',
    charset: 'utf8',
    legalComments: 'none',
    // Names stay: a stack trace that an operator sends must be readable, and in a snapshot their length costs nothing.
    minifySyntax: true,
    minifyWhitespace: true,
    // In stack traces; otherwise the path of the machine that built it would stand there.
    footer: { js: `//# sourceURL=${path.basename(outfile)}` },
    logLevel: 'warning',
    define: { __VERSION__: JSON.stringify(`${version}+${DIGEST_MARK}`), __GATE__: JSON.stringify(gate) },
  })
  return { code: outputFiles[0]?.text ?? '', metafile, outfile }
}
