/**
 * Makes dist/release from dist/: the archive for this machine's architecture, NOTES.md (the section of CHANGELOG.md for the
 * version) and SHA256SUMS of both.
 *
 *   node scripts/release.ts [--dry-run]
 *
 * Refuses a tree that is not the tagged commit of package.json's version; with --dry-run it only says so.
 * The same commit and the same dist/ give the same bytes on every machine.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { execa } from 'execa'
import { TRACKED } from './release/contents.ts'
import { saysNothing, section } from './release/notes.ts'

const NAME = 'x-calico-route'
const ROOT = path.dirname(import.meta.dirname)
const DIST = path.join(ROOT, 'dist')
const BUILT = [NAME, `${NAME}.cdx.json`, 'LICENSES.txt']
/** What the executable prints for packages: its manual page, and completions under the names that shells look for. */
const PRINTED: readonly (readonly [string, string[]])[] = [
  [`${NAME}.8`, ['man']],
  [`completions/${NAME}.bash`, ['completion', 'bash']],
  [`completions/_${NAME}`, ['completion', 'zsh']],
  [`completions/${NAME}.fish`, ['completion', 'fish']],
]
/** The names that Go and Kubernetes use for the architectures of Node. */
const ARCHITECTURES: Partial<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

try {
  await release()
} catch (error) {
  console.error(`release: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}

async function release(): Promise<void> {
  const { values: options } = parseArgs({ options: { 'dry-run': { type: 'boolean', default: false } } })
  const object = (text: string): void => {
    if (!options['dry-run']) throw new Error(text)
    console.error(`release: dry run, so not refused: ${text}`)
  }

  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { version: string }
  await checkBuilt()
  await checkCommit(version, object)
  const notes = notesOf(version, object)

  const workdir = temporaryDirectory()
  const made = path.join(workdir, 'release')
  mkdirSync(made)
  const archive = await pack(version, workdir, made)
  writeFileSync(path.join(made, 'NOTES.md'), `${notes}\n`)
  writeFileSync(path.join(made, 'SHA256SUMS'), `${await run('sha256sum', [archive, 'NOTES.md'], made)}\n`)

  const target = path.join(DIST, 'release')
  rmSync(target, { recursive: true, force: true })
  renameSync(made, target)
  console.log(`${path.relative(process.cwd(), target) || '.'}: ${archive}, NOTES.md, SHA256SUMS`)
}

async function checkBuilt(): Promise<void> {
  for (const file of [...BUILT, `${NAME}.sha256`])
    if (!existsSync(path.join(DIST, file))) throw new Error(`dist/${file} is missing: run make build`)
  // An executable that somebody replaced would be released with the bill of materials of another.
  await run('sha256sum', ['--check', '--status', `${NAME}.sha256`], DIST).catch(() => {
    throw new Error(`dist/${NAME} does not match dist/${NAME}.sha256: remove dist/ and run make build`)
  })
}

async function checkCommit(version: string, object: (text: string) => void): Promise<void> {
  const [first, ...others] = lines(await run('git', ['status', '--porcelain']))
  if (first !== undefined) {
    const more = others.length > 0 ? ` and ${others.length} more` : ''
    object(`the working tree has uncommitted changes (${first.trim()}${more}): commit or remove it`)
  }
  const tags = lines(await run('git', ['tag', '--points-at', 'HEAD']))
  if (!tags.includes(`v${version}`)) {
    const found = tags.length > 0 ? `only ${tags.join(', ')}` : 'no tag'
    object(
      `package.json has version ${version}, but HEAD has ${found}: git tag -a v${version}, or correct package.json`,
    )
  }
}

function notesOf(version: string, object: (text: string) => void): string {
  const changelog = readFileSync(path.join(ROOT, 'CHANGELOG.md'), 'utf8')
  const notes = section(changelog, version)
  if (notes !== undefined && !saysNothing(notes)) return notes
  if (notes !== undefined) throw new Error(`CHANGELOG.md says nothing below "## ${version}": write what changes`)
  const unreleased = section(changelog, 'Unreleased') ?? ''
  if (saysNothing(unreleased)) throw new Error(`CHANGELOG.md has no section "## ${version}": write what changes`)
  object(`CHANGELOG.md has no section "## ${version}", only "## Unreleased": rename that section and commit`)
  return unreleased
}

/** @returns the name of the archive */
async function pack(version: string, workdir: string, to: string): Promise<string> {
  const architecture = ARCHITECTURES[process.arch]
  if (architecture === undefined) throw new Error(`this machine is ${process.arch}; releases are made on x64 and arm64`)
  const folder = `${NAME}-${version}-linux-${architecture}`
  const copy = (from: string, file: string): void => {
    const target = path.join(workdir, folder, file)
    mkdirSync(path.dirname(target), { recursive: true })
    copyFileSync(path.join(from, file), target)
  }
  for (const file of BUILT) copy(DIST, file)
  mkdirSync(path.join(workdir, folder, 'completions'))
  for (const [file, words] of PRINTED) {
    const text = await run(path.join(DIST, NAME), words)
    writeFileSync(path.join(workdir, folder, file), `${text}\n`)
  }
  // Only what git tracks: ignored files, such as an editor's backups, do not make the tree dirty.
  const tracked = await run('git', ['ls-files', '-z', '--error-unmatch', ...TRACKED])
  for (const file of tracked.split('\0').filter(Boolean)) copy(ROOT, file)

  // Keeps the order, dates, owners and modes of this machine, its name and its clock (gzip -n) out of the archive.
  const time = await run('git', ['log', '-1', '--format=%ct'])
  const same = [`--mtime=@${time}`, '--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=ustar']
  const [everything, executable] = [path.join(to, `${folder}.tar`), `${folder}/${NAME}`]
  await run('chmod', ['-R', 'u=rwX,go=rX', folder], workdir)
  await run('chmod', ['0755', executable], workdir)
  await run('tar', [...same, '-cf', everything, folder], workdir)
  await run('gzip', ['-n', everything])
  return `${folder}.tar.gz`
}

async function run(command: string, args: string[], cwd = ROOT): Promise<string> {
  // Options from the environment would change the bytes.
  const env = { LC_ALL: 'C', TAR_OPTIONS: '', GZIP: '' }
  const { failed, code, stdout, stderr, shortMessage } = await execa(command, args, { cwd, env, reject: false })
  if (code === 'ENOENT') throw new Error(`${command} is missing: apt-get install git tar gzip coreutils`)
  if (failed) throw new Error(`${command} ${args[0]}: ${lines(stderr)[0] ?? shortMessage}`)
  return stdout
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

/** On the file system of the results, so that they can be renamed into place. Removed when the run ends. */
function temporaryDirectory(): string {
  const workdir = mkdtempSync(path.join(DIST, '.release-'))
  process.on('exit', () => rmSync(workdir, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
  return workdir
}
