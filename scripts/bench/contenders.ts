import { chmod, copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'VERSION'

/** Something that is measured. */
export interface Contender {
  readonly name: string
  /** With an absolute path. */
  readonly command: readonly string[]
  /** The verbs it knows. A contender that is not a plugin takes part in all. */
  readonly verbs: readonly Verb[]
  /** Whether it does its job, which is then checked. */
  readonly plugin: boolean
  /** The large files whose presence in the page cache matters, if not the command. */
  readonly files?: readonly string[]
  /** How its configuration names the routes to add. */
  readonly dialect: 'x-calico-route' | 'route-override'
}

export const PRODUCT = 'x-calico-route'
/** As install lays it out. */
export const GATED = 'x-calico-route, gated'
export const BARE = 'node empty.js'
/** The same again: any difference between the two is noise. */
export const CONTROL = 'node empty.js, again'
export const PREDECESSOR = 'bash + jq script'
export const PEER = 'route-override (Go)'
export const BASE = 'base'

const ALL: readonly Verb[] = ['ADD', 'DEL', 'CHECK', 'VERSION']
const PEER_MODULE = 'github.com/redhat-nfvpe/cni-route-override'

export interface Wishes {
  readonly root: string
  /** A commit to compare with. */
  readonly base: string | undefined
  /** An executable of the Go peer; without it, it is built. */
  readonly peer: string | undefined
  readonly say: (text: string) => void
}

/** Makes all contenders below `folder`. Says which cannot be made, and leaves them out. */
export async function contenders({ root, base, peer, say }: Wishes, folder: string): Promise<Contender[]> {
  const dist = path.join(root, 'dist')
  const node = await copyTo(folder, 'node', process.execPath)
  const empty = path.join(folder, 'empty.js')
  await writeFile(empty, '')
  const script = path.join(import.meta.dirname, 'predecessor.sh')
  const bare = { command: [node, empty], verbs: ALL, plugin: false, dialect: PRODUCT } as const
  const ours = { verbs: ALL, plugin: true, dialect: PRODUCT } as const

  const optional = await Promise.all([
    optionally(say, BASE, async () => {
      if (base === undefined) return []
      return [{ ...ours, name: `${BASE} ${base}`, command: [await buildCommit(root, base, folder)] }]
    }),
    optionally(say, PEER, async () => {
      const executable = peer === undefined ? await buildPeer(folder) : path.resolve(peer)
      return [
        { ...ours, name: PEER, command: [executable], verbs: ['ADD', 'DEL', 'VERSION'], dialect: 'route-override' },
      ]
    }),
  ])
  return [
    { ...ours, name: PRODUCT, command: [await copyTo(folder, PRODUCT, path.join(dist, PRODUCT))] },
    { ...ours, name: GATED, ...(await layOut(path.join(dist, PRODUCT), folder)) },
    { ...bare, name: BARE },
    { ...ours, name: PREDECESSOR, command: ['/bin/bash', script], verbs: ['ADD', 'DEL', 'VERSION'] },
    ...optional.flat(),
    { ...bare, name: CONTROL },
  ]
}

/**
 * Large files are measured as fresh copies. How a file was written or read decides how large its pieces in the page cache
 * are, and with larger pieces a start has fewer page faults: that alone can be 8 % of the CPU time.
 */
async function copyTo(folder: string, name: string, file: string): Promise<string> {
  const copy = path.join(folder, name)
  await copyFile(file, copy)
  await chmod(copy, 0o755)
  return copy
}

/** The product as install lays it out, below `folder`. */
export async function layOut(
  product: string,
  folder: string,
  ...words: string[]
): Promise<{ command: string[]; files: string[] }> {
  const bin = path.join(folder, 'gated')
  await mkdir(bin)
  await execa(product, ['install', '--to', bin, '--no-status', ...words])
  const names = await readdir(bin)
  return { command: [path.join(bin, PRODUCT)], files: names.map((name) => path.join(bin, name)) }
}

async function optionally(
  say: (text: string) => void,
  name: string,
  make: () => Promise<Contender[]>,
): Promise<Contender[]> {
  try {
    return await make()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    say(`${name}: left out: ${text.split('\n').slice(0, 4).join(' ')}`)
    return []
  }
}

/** Builds the product of another commit, from an archive of it: a git worktree would have to be removed again. */
async function buildCommit(root: string, commit: string, folder: string): Promise<string> {
  const sources = path.join(folder, 'base')
  await mkdir(sources)
  const archive = await execa('git', ['archive', '--format=tar', commit], { cwd: root, encoding: 'buffer' })
  await execa('tar', ['-x', '-C', sources], { input: archive.stdout })
  const lock = (where: string) => execa('git', ['rev-parse', `${where}:package-lock.json`], { cwd: root })
  const [theirs, ours] = await Promise.all([lock(commit), lock('HEAD')])
  if (theirs.stdout === ours.stdout) await symlink(path.join(root, 'node_modules'), path.join(sources, 'node_modules'))
  else await execa('npm', ['ci', '--loglevel=error'], { cwd: sources })
  await execa(process.execPath, [path.join(sources, 'scripts', 'build.ts')], { cwd: sources })
  return path.join(sources, 'dist', PRODUCT)
}

async function buildPeer(folder: string): Promise<string> {
  const cwd = path.join(folder, 'peer')
  await mkdir(cwd)
  const go = (...args: string[]) => execa('go', args, { cwd, env: { CGO_ENABLED: '0', GOFLAGS: '-mod=mod' } })
  await go('mod', 'init', 'bench')
  await go('get', `${PEER_MODULE}@latest`)
  await go('build', '-o', 'route-override', `${PEER_MODULE}/cmd/route-override`)
  return path.join(cwd, 'route-override')
}
