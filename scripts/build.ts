/**
 * Builds dist/x-calico-route: bundle → pkg (SEA) → start-up snapshot → smoke test; and beside it its checksum, its bill of
 * materials (CycloneDX) and the licences of what is in it.
 *
 *   node scripts/build.ts [--outdir DIR] [--entry FILE] [--start snapshot|plain] [--arch x64|arm64]
 *
 * --start plain (make build START=plain) leaves the start-up snapshot out, see build/snapshot/README.md. Needs no network: Node's binary comes from node_modules.
 * --arch (make build ARCH=arm64): another architecture than this machine's, into dist/ARCH; npm downloads its Node.js the first time.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { bundle } from './build/bundle.ts'
import { makeExecutable } from './build/executable.ts'
import { foreignNode } from './build/foreign-node.ts'
import { licenceTexts, packagesIn, readPackage } from './build/licences.ts'
import { nodeOf, platformOf } from './build/platform.ts'
import { sbom } from './build/sbom.ts'
import type { Start } from './build/sea-blob.ts'

const NAME = 'x-calico-route'
const ROOT = path.dirname(import.meta.dirname)

const { values: options } = parseArgs({
  options: {
    arch: { type: 'string', default: process.arch },
    outdir: { type: 'string' },
    entry: { type: 'string', default: path.join(ROOT, 'src', 'main.ts') },
    start: { type: 'string', default: 'snapshot' },
  },
})

try {
  await build()
} catch (error) {
  console.error(`build: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}

async function build(): Promise<void> {
  const platform = platformOf(options.arch)
  const { arch, foreign } = platform
  const nodePackage = foreign ? await foreignNode(ROOT, arch) : path.join(ROOT, 'node_modules', `node-linux-${arch}`)
  const node = path.join(nodePackage, 'bin', 'node')
  if (!existsSync(node)) throw new Error(`${path.relative(ROOT, node)} is missing: run make setup`)
  const nodeVersion = versionOf(nodePackage)
  const outdir = path.resolve(options.outdir ?? path.join(ROOT, 'dist', foreign ? arch : ''))
  const workdir = temporaryBeside(outdir)
  const made = (suffix: string) => path.join(workdir, `${NAME}${suffix}`)

  const metafiles = await bundle({ root: ROOT, version: versionOf(ROOT), node: nodeVersion, arch }, [
    { entry: path.resolve(options.entry), outfile: made('.cjs') },
    { entry: path.join(ROOT, 'src', 'cli', 'main.ts'), outfile: made('-cli.cjs') },
  ])
  const start = await makeExecutable({
    node,
    nodeVersion,
    platform,
    bundle: made('.cjs'),
    cli: made('-cli.cjs'),
    output: made(''),
    workdir,
    start: asked(options.start),
    warn: (text) => console.error(`build: WARNING: ${text}`),
  })

  const packages = packagesIn(ROOT, metafiles)
  const bundles = [made('.cjs'), made('-cli.cjs')]
  const parts = { node: nodeOf(platform, node), nodePackage, executable: made(''), bundles, packages }
  const bill = await sbom({ root: ROOT, ...parts })
  writeFileSync(made('.cdx.json'), `${JSON.stringify(bill, undefined, 2)}\n`)
  const licences = licenceTexts([readPackage(ROOT), readPackage(nodePackage), ...packages])
  writeFileSync(path.join(workdir, 'LICENSES.txt'), licences)
  const sha256 = createHash('sha256')
    .update(readFileSync(made('')))
    .digest('hex')
  writeFileSync(made('.sha256'), `${sha256}  ${NAME}\n`)
  writeFileSync(path.join(workdir, 'meta.json'), JSON.stringify({ start, plugin: metafiles[0], cli: metafiles[1] }))
  // Renamed, never copied: a reader of dist/ sees either the old file or the new one.
  const record = ['meta.json', 'LICENSES.txt', `${NAME}.cdx.json`]
  for (const file of [...record, `${NAME}.cjs`, `${NAME}-cli.cjs`, `${NAME}.sha256`, NAME]) {
    renameSync(path.join(workdir, file), path.join(outdir, file))
  }
  const megabytes = (statSync(path.join(outdir, NAME)).size / 1e6).toFixed(1)
  console.log(
    `${path.relative(process.cwd(), path.join(outdir, NAME))}: ${megabytes} MB, ${start.kind} start, node ${nodeVersion}`,
  )
}

function asked(start: string): Start {
  if (start !== 'snapshot' && start !== 'plain') {
    throw new Error(`START is ${JSON.stringify(start)}; write snapshot or plain`)
  }
  return start
}

function versionOf(folder: string): string {
  return (JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { version: string }).version
}

/** A directory for this run only, on the file system of the results. Removed when the run ends. */
function temporaryBeside(outdir: string): string {
  mkdirSync(outdir, { recursive: true })
  const workdir = mkdtempSync(path.join(outdir, '.build-'))
  process.on('exit', () => rmSync(workdir, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
  return workdir
}
