/** A small repository to release, with the real git, tar and sha256sum, and a stand-in for what was built. */
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { temporaryDirectory } from './product.ts'

export const ROOT = path.resolve(import.meta.dirname, '../..')
const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : 'arm64'
export const FOLDER = `x-calico-route-0.1.0-linux-${ARCHITECTURE}`
export const ARCHIVE = `${FOLDER}.tar.gz`
const COMMITTED_AT = 1_700_000_000

export const UNRELEASED = '# Changelog\n\n## Unreleased\n\n- Not yet out.\n\n## 0.0.9\n\n- Old.\n'
export const RELEASED =
  '# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2026-11-21\n\nFirst version.\n\n- One.\n\n## 0.0.9\n\n- Old.\n'
export const COMMITTED = {
  LICENSE: 'terms\n',
  'README.md': 'what it is\n',
  'CHANGELOG.md': RELEASED,
  'CONTRIBUTING.md': 'how to work on it\n',
  'SECURITY.md': 'whom it trusts\n',
  '.github/bench.svg': '<svg/>\n',
  '.github/storm.svg': '<svg/>\n',
  'docs/install.md': 'how to install it\n',
  'charts/x-calico-route/Chart.yaml': 'name: x-calico-route\n',
  'kind/README.md': 'a cluster\n',
  'test/faults/README.md': 'what happens\n',
  'package.json': '{ "version": "0.1.0", "type": "module" }\n',
  '.gitignore': 'dist/\n*~\n',
  'conf-examples/calico.conflist': '{}\n',
  'conf-examples/deeper/vpc.yaml': 'kind: Vpc\n',
}
export const BUILT = {
  'x-calico-route': '#!/bin/sh\necho "stand-in $*"\n',
  'x-calico-route.cdx.json': '{ "bomFormat": "CycloneDX" }\n',
  'LICENSES.txt': 'terms of others\n',
}

export function write(directory: string, files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, file)), { recursive: true })
    writeFileSync(path.join(directory, file), text)
  }
}

export async function git(repository: string, ...args: string[]): Promise<void> {
  const date = `${COMMITTED_AT} +0100`
  const author = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_AUTHOR_DATE: date }
  const committer = { GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b', GIT_COMMITTER_DATE: date }
  const env = { ...author, ...committer, GIT_CONFIG_GLOBAL: '/dev/null' }
  await execa('git', args, { cwd: repository, env })
}

/** A repository with one commit, tagged, and a dist/. What it finds in node_modules is ours. */
export async function repository(committed: Record<string, string> = {}, tag = 'v0.1.0'): Promise<string> {
  const parent = temporaryDirectory()
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(parent, 'node_modules'))
  const made = path.join(parent, 'repository')
  write(made, { ...COMMITTED, ...committed })
  for (const file of ['scripts/release.ts', 'scripts/release']) {
    cpSync(path.join(ROOT, file), path.join(made, file), { recursive: true })
  }
  await git(made, 'init', '--quiet')
  await git(made, 'add', '.')
  await git(made, 'commit', '--quiet', '--message=all')
  if (tag !== '') await git(made, 'tag', '--annotate', '--message=out', tag)
  write(path.join(made, 'dist'), BUILT)
  chmodSync(path.join(made, 'dist/x-calico-route'), 0o755)
  const { stdout } = await execa('sha256sum', ['x-calico-route'], { cwd: path.join(made, 'dist') })
  writeFileSync(path.join(made, 'dist/x-calico-route.sha256'), `${stdout}\n`)
  return made
}

export async function release(repository: string, env: Record<string, string> = {}, ...flags: string[]) {
  const { exitCode, stdout, stderr } = await execa(process.execPath, ['scripts/release.ts', ...flags], {
    cwd: repository,
    env,
    reject: false,
  })
  return { exitCode, stdout, stderr }
}

export const dryRun = (repository: string) => release(repository, {}, '--dry-run')
export const released = (repository: string, file = '') => path.join(repository, 'dist/release', file)
export const read = (repository: string, file: string) => readFileSync(released(repository, file), 'utf8')
export const done = { exitCode: 0, stdout: `dist/release: ${ARCHIVE}, NOTES.md, SHA256SUMS`, stderr: '' }
