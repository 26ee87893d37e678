import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import type { Arch } from './platform.ts'

type Locked = { readonly version: string; readonly integrity: string }

/**
 * Node's npm package for another architecture, which npm does not install here: downloaded once, compared with the hash in
 * package-lock.json, and kept in .cache.
 * @returns its directory
 */
export async function foreignNode(root: string, arch: Arch): Promise<string> {
  const name = `node-linux-${arch}`
  const { version, integrity } = lockedIn(root, name)
  const directory = path.join(root, '.cache', name)
  const mark = path.join(directory, '.integrity')
  if (read(mark) === integrity) return directory

  mkdirSync(path.dirname(directory), { recursive: true })
  const workdir = mkdtempSync(`${directory}-`)
  try {
    const archive = await download(`${name}@${version}`, workdir)
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
    if (found !== integrity)
      throw new Error(
        `${name} ${version}: has the hash ${found}, but package-lock.json says ${integrity}; use a registry that has what was locked`,
      )
    await execa('tar', ['--no-same-owner', '-xzf', archive, '-C', workdir, 'package'])
    // Last of all: a directory with the mark is whole.
    writeFileSync(path.join(workdir, 'package', '.integrity'), integrity)
    rmSync(directory, { recursive: true, force: true })
    renameSync(path.join(workdir, 'package'), directory)
  } finally {
    rmSync(workdir, { recursive: true, force: true })
  }
  return directory
}

function lockedIn(root: string, name: string): Locked {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>
  }
  const locked = lock.packages[`node_modules/${name}`]
  if (!locked) throw new Error(`package-lock.json has no ${name}`)
  return locked
}

/** @returns the archive of a package, from the registry that npm is told to use */
async function download(what: string, to: string): Promise<string> {
  // npm runs outside of the project: a script of a package.json is not asked.
  const { failed, code, stdout, shortMessage, stderr } = await execa(
    'npm',
    ['pack', what, '--silent', '--ignore-scripts', '--pack-destination', to],
    { cwd: to, reject: false, stdin: 'ignore' },
  )
  if (code === 'ENOENT') throw new Error('npm is missing; it downloads Node.js: apt-get install npm')
  if (failed) throw new Error(`npm cannot download ${what}: ${stderr.trim() || shortMessage}`)
  return path.join(to, stdout.trim())
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
