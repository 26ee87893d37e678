import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { build, type Metafile } from 'esbuild'

/** Stands where the digest of the bundle goes; of the digest's own length, so that byte counts in the metafile stay true. */
const DIGEST_MARK = 'bundle-mark.'

/** What the source sees: `declare const __VERSION__: string`, `declare const __BUILD__: string`. */
export type Identity = { version: string; node: string; arch: string }

/**
 * Bundles `entry` with everything it imports into one CommonJS file; only node: builtins stay outside.
 * `__BUILD__` names the source by its content, not by a commit or a date: the same source gives the same bytes.
 */
export async function bundle(root: string, entry: string, outfile: string, identity: Identity): Promise<Metafile> {
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
    // Names stay as they are written: a stack trace from a node must be readable, and the snapshot holds the code parsed.
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: 'warning',
    define: {
      __VERSION__: JSON.stringify(identity.version),
      __BUILD__: JSON.stringify(`${DIGEST_MARK} node-${identity.node} linux-${identity.arch}`),
    },
  })
  const code = outputFiles[0]?.text ?? ''
  const digest = createHash('sha256').update(code).digest('hex').slice(0, DIGEST_MARK.length)
  await writeFile(outfile, code.replaceAll(DIGEST_MARK, digest))
  return metafile
}
