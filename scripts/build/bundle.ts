import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { build, type Metafile } from 'esbuild'

/** Stands where the digest goes; as long as the digest, so that the byte counts in the metafile stay true. */
const DIGEST_MARK = 'digest-here-'

export type Source = { root: string; entry: string; version: string; node: string }

/**
 * Bundles the entry with everything it imports into one CommonJS file; only node: builtins stay outside.
 *
 * `__VERSION__` in the source becomes the version with the build's identity as semver's build metadata, `0.1.0+1f0e9d8c7b6a`:
 * a digest of the code and of the Node below it, so it is the same wherever and whenever the same source is built.
 */
export async function bundle({ root, entry, version, node }: Source, outfile: string): Promise<Metafile> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    write: false,
    metafile: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    charset: 'utf8',
    legalComments: 'none',
    // Names stay: a stack trace that an operator sends must be readable, and in a snapshot their length costs nothing.
    minifySyntax: true,
    minifyWhitespace: true,
    // In stack traces; otherwise the path of the machine that built it would stand there.
    footer: { js: `//# sourceURL=${path.basename(outfile)}` },
    logLevel: 'warning',
    define: { __VERSION__: JSON.stringify(`${version}+${DIGEST_MARK}`) },
  })
  const code = outputFiles[0]?.text ?? ''
  const digest = createHash('sha256').update(`${node} linux-${process.arch}\n${code}`).digest('hex')
  await writeFile(outfile, code.replaceAll(DIGEST_MARK, digest.slice(0, DIGEST_MARK.length)))
  return metafile
}
