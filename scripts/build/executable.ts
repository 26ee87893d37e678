import { chmod, copyFile, mkdir, rename, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { exec as pkg } from '@yao-pkg/pkg'
import { execa } from 'execa'
import { endWithPage } from './own-pages.ts'
import { type Command, nodeOf, type Platform } from './platform.ts'
import { buildPlainBlob, type Start } from './sea-blob.ts'
import { smokeTest } from './smoke.ts'
import { buildSnapshotBlob } from './snapshot/blob.ts'

/** Node looks for this text in itself to know whether it is an application; postject flips the bit behind it. */
const SENTINEL_FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

export type Job = {
  /** Node's own binary, as it came from npm. */
  node: string
  nodeVersion: string
  platform: Platform
  bundle: string
  /** The bundle of the tool for people, which rides along as an asset. */
  cli: string
  output: string
  workdir: string
  start: Start
  warn: (text: string) => void
}

/** What an executable starts from; what was asked for, which it is not where the snapshot cannot be used; and the bytes of the blob. */
export type Started = { asked: Start; kind: Start; bytes: number }

/** Packages the bundle with Node's binary as one executable that has passed the smoke test. */
export async function makeExecutable(job: Job): Promise<Started> {
  const home = path.join(job.workdir, 'home')
  const base = await plantBase(job, home)
  const { arch, via } = job.platform
  const node = nodeOf(job.platform, base)
  let kind = job.start
  let bytes = 0

  await quietly(home, () =>
    pkg({
      // A bare .cjs selects pkg's simple SEA mode; a package.json would select the one with a virtual file system, slower by half.
      input: job.bundle,
      output: job.output,
      sea: true,
      targets: [`node${job.nodeVersion}-linux-${arch}`],
      // pkg's own blob lets NODE_OPTIONS in, and pkg has no way to say otherwise; so both kinds replace it.
      postBuild: async (output) => {
        if (kind === 'snapshot') {
          try {
            bytes = await inject(await buildSnapshotBlob(node, job, job.workdir), output, via)
            return
          } catch (error) {
            kind = 'plain'
            job.warn(
              'the start-up snapshot cannot be used; the executable starts from source text, and each call takes 1.6 to 1.7 times the CPU: ' +
                (error instanceof Error ? error.message : error),
            )
          }
        }
        bytes = await inject(await buildPlainBlob(node, job, job.workdir), output, via)
      },
    }),
  )
  return { asked: job.start, kind, bytes }
}

/**
 * pkg downloads Node's binary unless its cache below HOME holds one, with the marks of a finished download. The npm package
 * holds the same binary, pinned by the lock file's hash, so it is put there: no network, no version but ours.
 * It is stripped now (125 → 107 MB), because strip would later remove what is injected.
 */
async function plantBase({ node, nodeVersion, platform }: Job, home: string): Promise<string> {
  const cache = path.join(home, '.pkg-cache', 'sea')
  const name = `node-v${nodeVersion}-linux-${platform.arch}`
  const base = path.join(cache, name, 'bin', 'node')
  await mkdir(path.dirname(base), { recursive: true })
  await strip(platform.strip, node, base)
  if (platform.page > 0x1000) await endWithPage(base, platform.page)
  for (const mark of [`${base}.ok`, path.join(cache, `${name}.tar.gz`), path.join(cache, `${name}.tar.gz.ok`)]) {
    await writeFile(mark, '')
  }
  return base
}

async function strip(program: string, from: string, to: string): Promise<void> {
  const { failed, code, message } = await execa(program, ['-o', to, from], { reject: false })
  // Without strip the product would be 18 MB too large, and untested.
  if (code === 'ENOENT') throw new Error('strip is missing; it is in binutils: apt-get install binutils')
  if (failed) throw new Error(message)
}

/**
 * Puts the blob into a copy of the executable, and replaces the original once the copy passes the smoke test.
 * @returns the size of the blob in bytes
 */
async function inject(blob: string, executable: string, via: Command): Promise<number> {
  const candidate = `${executable}.candidate`
  const postject = fileURLToPath(import.meta.resolve('postject/dist/cli.js'))
  await copyFile(executable, candidate)
  const options = ['--sentinel-fuse', SENTINEL_FUSE, '--overwrite']
  await execa(process.execPath, [postject, candidate, 'NODE_SEA_BLOB', blob, ...options])
  await chmod(candidate, 0o755)
  await smokeTest([...via, candidate])
  await rename(candidate, executable)
  return (await stat(blob)).size
}

/** Runs pkg with its prepared cache below HOME. Shows what it printed only if it fails. */
async function quietly(home: string, run: () => Promise<void>): Promise<void> {
  const { HOME } = process.env
  const { log } = console
  const lines: string[] = []
  console.log = (...parts: unknown[]) => void lines.push(parts.join(' '))
  process.env.HOME = home
  try {
    await run()
  } catch (error) {
    console.error(lines.join('\n'))
    throw error
  } finally {
    console.log = log
    if (HOME === undefined) delete process.env.HOME
    else process.env.HOME = HOME
  }
}
