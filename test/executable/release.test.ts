/** scripts/release.ts in a small repository of its own: the real git, tar and sha256sum, and a stand-in for what was built. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { PLUGIN } from '../support/runtime.ts'
import { temporaryDirectory } from './product.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : 'arm64'
const FOLDER = `x-calico-route-0.1.0-linux-${ARCHITECTURE}`
const ARCHIVE = `${FOLDER}.tar.gz`
const COMMITTED_AT = 1_700_000_000

const UNRELEASED = '# Changelog\n\n## Unreleased\n\n- Not yet out.\n\n## 0.0.9\n\n- Old.\n'
const RELEASED =
  '# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2026-11-21\n\nFirst version.\n\n- One.\n\n## 0.0.9\n\n- Old.\n'
const COMMITTED = {
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
const BUILT = {
  'x-calico-route': '#!/bin/sh\necho "stand-in $*"\n',
  'x-calico-route.cdx.json': '{ "bomFormat": "CycloneDX" }\n',
  'LICENSES.txt': 'terms of others\n',
}

function write(directory: string, files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, file)), { recursive: true })
    writeFileSync(path.join(directory, file), text)
  }
}

async function git(repository: string, ...args: string[]): Promise<void> {
  const date = `${COMMITTED_AT} +0100`
  const author = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_AUTHOR_DATE: date }
  const committer = { GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b', GIT_COMMITTER_DATE: date }
  const env = { ...author, ...committer, GIT_CONFIG_GLOBAL: '/dev/null' }
  await execa('git', args, { cwd: repository, env })
}

/** A repository with one commit, tagged, and a dist/. What it finds in node_modules is ours. */
async function repository(committed: Record<string, string> = {}, tag = 'v0.1.0'): Promise<string> {
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

async function release(repository: string, env: Record<string, string> = {}, ...flags: string[]) {
  const { exitCode, stdout, stderr } = await execa(process.execPath, ['scripts/release.ts', ...flags], {
    cwd: repository,
    env,
    reject: false,
  })
  return { exitCode, stdout, stderr }
}

const dryRun = (repository: string) => release(repository, {}, '--dry-run')
const released = (repository: string, file = '') => path.join(repository, 'dist/release', file)
const read = (repository: string, file: string) => readFileSync(released(repository, file), 'utf8')
const done = { exitCode: 0, stdout: `dist/release: ${ARCHIVE}, NOTES.md, SHA256SUMS`, stderr: '' }

test('the build leaves what a release asks for', () => {
  expect(readdirSync(path.join(ROOT, 'dist'))).toEqual(expect.arrayContaining(Object.keys(BUILT)))
  expect(readdirSync(path.join(ROOT, 'dist'))).toContain('x-calico-route.sha256')
})

describe('a release', () => {
  test('is an archive of one folder, of no machine and no person, dated as the commit', async () => {
    const made = await repository()
    chmodSync(path.join(made, 'dist/x-calico-route'), 0o700)
    chmodSync(path.join(made, 'conf-examples'), 0o700)
    chmodSync(path.join(made, 'LICENSE'), 0o600)
    expect(await release(made)).toEqual(done)

    const { stdout } = await execa('tar', ['--utc', '-tvzf', released(made, ARCHIVE)])
    const [folder, file, executable] = ['drwxr-xr-x', '-rw-r--r--', '-rwxr-xr-x']
    const listed = stdout.split('\n').map((line) => {
      const [mode, owner, , day, time, name] = line.split(/\s+/)
      expect([owner, day, time]).toEqual(['0/0', '2023-11-14', '22:13'])
      return `${mode} ${name}`
    })
    expect(listed).toEqual([
      `${folder} ${FOLDER}/`,
      `${folder} ${FOLDER}/.github/`,
      `${file} ${FOLDER}/.github/bench.svg`,
      `${file} ${FOLDER}/.github/storm.svg`,
      `${file} ${FOLDER}/CHANGELOG.md`,
      `${file} ${FOLDER}/CONTRIBUTING.md`,
      `${file} ${FOLDER}/LICENSE`,
      `${file} ${FOLDER}/LICENSES.txt`,
      `${file} ${FOLDER}/README.md`,
      `${file} ${FOLDER}/SECURITY.md`,
      `${folder} ${FOLDER}/charts/`,
      `${folder} ${FOLDER}/charts/x-calico-route/`,
      `${file} ${FOLDER}/charts/x-calico-route/Chart.yaml`,
      `${folder} ${FOLDER}/completions/`,
      `${file} ${FOLDER}/completions/_x-calico-route`,
      `${file} ${FOLDER}/completions/x-calico-route.bash`,
      `${file} ${FOLDER}/completions/x-calico-route.fish`,
      `${folder} ${FOLDER}/conf-examples/`,
      `${file} ${FOLDER}/conf-examples/calico.conflist`,
      `${folder} ${FOLDER}/conf-examples/deeper/`,
      `${file} ${FOLDER}/conf-examples/deeper/vpc.yaml`,
      `${folder} ${FOLDER}/docs/`,
      `${file} ${FOLDER}/docs/install.md`,
      `${folder} ${FOLDER}/kind/`,
      `${file} ${FOLDER}/kind/README.md`,
      `${folder} ${FOLDER}/test/`,
      `${folder} ${FOLDER}/test/faults/`,
      `${file} ${FOLDER}/test/faults/README.md`,
      `${executable} ${FOLDER}/x-calico-route`,
      `${file} ${FOLDER}/x-calico-route.8`,
      `${file} ${FOLDER}/x-calico-route.cdx.json`,
    ])
  })

  test('holds the files as they are', async () => {
    const made = await repository()
    await release(made)
    const there = temporaryDirectory()
    await execa('tar', ['-xzf', released(made, ARCHIVE), '-C', there])
    const { 'package.json': _, '.gitignore': __, ...sources } = COMMITTED
    for (const [file, text] of Object.entries({ ...sources, ...BUILT })) {
      expect(readFileSync(path.join(there, FOLDER, file), 'utf8'), file).toBe(text)
    }
    expect((await execa(path.join(there, FOLDER, 'x-calico-route'))).stdout).toBe('stand-in ')
  })

  test('holds the manual page and the completions, as the executable in it prints them', async () => {
    const made = await repository()
    const [executable, there] = [path.join(made, 'dist/x-calico-route'), temporaryDirectory()]
    cpSync(PLUGIN, executable)
    const { stdout } = await execa('sha256sum', ['x-calico-route'], { cwd: path.dirname(executable) })
    writeFileSync(`${executable}.sha256`, `${stdout}\n`)
    await release(made)
    await execa('tar', ['-xzf', released(made, ARCHIVE), '-C', there])
    for (const [file, ...words] of [
      ['x-calico-route.8', 'man'],
      ['completions/x-calico-route.bash', 'completion', 'bash'],
      ['completions/_x-calico-route', 'completion', 'zsh'],
      ['completions/x-calico-route.fish', 'completion', 'fish'],
    ] as const) {
      const printed = await execa(PLUGIN, words, { stripFinalNewline: false })
      expect(readFileSync(path.join(there, FOLDER, file), 'utf8'), file).toBe(printed.stdout)
    }
  })

  test('has checksums of all its other files', async () => {
    const made = await repository()
    await release(made)
    expect(readdirSync(released(made)).sort()).toEqual(['NOTES.md', 'SHA256SUMS', ARCHIVE])
    const { stdout } = await execa('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: released(made) })
    expect(stdout.split('\n')).toEqual([`${ARCHIVE}: OK`, 'NOTES.md: OK'])
  })

  test.each(['0.1.0', '0.1.0 - 2026-11-21', '[0.1.0] - 2026-11-21'])('has the notes below "## %s"', async (heading) => {
    const made = await repository({ 'CHANGELOG.md': RELEASED.replace('0.1.0 - 2026-11-21', heading) })
    expect(await release(made)).toEqual(done)
    expect(read(made, 'NOTES.md')).toBe('First version.\n\n- One.\n')
  })

  test('has the same bytes in another place, by another umask, at another time, with other habits', async () => {
    const [one, other] = [await repository(), await repository()]
    await release(one)
    await execa('find', [other, '-exec', 'touch', '--date=2001-01-01', '{}', '+'])
    const before = process.umask(0o077)
    try {
      expect(await release(other, { TAR_OPTIONS: '--exclude=README.md', GZIP: '-1' })).toEqual(done)
    } finally {
      process.umask(before)
    }
    expect(read(other, 'SHA256SUMS')).toBe(read(one, 'SHA256SUMS'))
    const first = readFileSync(released(one, ARCHIVE))
    await release(one)
    expect(readFileSync(released(one, ARCHIVE)).equals(first)).toBe(true)
  })

  test('leaves out what git ignores', async () => {
    const made = await repository()
    write(made, { 'conf-examples/calico.conflist~': "an editor's backup" })
    expect(await release(made)).toEqual(done)
    const { stdout } = await execa('tar', ['-tzf', released(made, ARCHIVE)])
    expect(stdout).not.toContain('~')
  })

  test('takes the place of the one before, whole', async () => {
    const made = await repository()
    write(made, { 'dist/release/x-calico-route-0.0.9-linux-amd64.tar.gz': 'old' })
    await release(made)
    expect(readdirSync(released(made)).sort()).toEqual(['NOTES.md', 'SHA256SUMS', ARCHIVE])
    expect(readdirSync(path.join(made, 'dist')).sort()).toEqual(
      [...Object.keys(BUILT), 'release', 'x-calico-route.sha256'].sort(),
    )
  })
})

const changed = (file: string, text: string) => async () => {
  const made = await repository()
  write(made, { [file]: text })
  return made
}
const without = (file: string) => async () => {
  const made = await repository()
  rmSync(path.join(made, file))
  return made
}
const changelog = (text: string) => () => repository({ 'CHANGELOG.md': text })

describe('refused, with what to do and the release before left alone, is', () => {
  test.each<[string, () => Promise<string>, string]>([
    [
      'a changed file',
      changed('README.md', 'other'),
      'the working tree has uncommitted changes (M README.md): commit or remove it',
    ],
    ['a new file', changed('new.md', ''), 'the working tree has uncommitted changes (?? new.md): commit or remove it'],
    [
      'a commit without a tag',
      () => repository({}, ''),
      'package.json has version 0.1.0, but HEAD has no tag: git tag -a v0.1.0, or correct package.json',
    ],
    [
      'a commit with the tag of another version',
      () => repository({}, 'v0.1.0-rc.1'),
      'package.json has version 0.1.0, but HEAD has only v0.1.0-rc.1: git tag -a v0.1.0, or correct package.json',
    ],
    [
      'a changelog that calls the version unreleased',
      changelog(UNRELEASED),
      'CHANGELOG.md has no section "## 0.1.0", only "## Unreleased": rename that section and commit',
    ],
    [
      'a changelog without the version',
      changelog('# Changelog\n\n## Unreleased\n\n## 0.1.0-rc.1\n\n- Almost.\n'),
      'CHANGELOG.md has no section "## 0.1.0": write what changes',
    ],
    [
      'a changelog that says nothing of the version',
      changelog('## Unreleased\n\n- Next.\n\n## [0.1.0]\n\n### Added\n\n[0.1.0]: https://example.com\n'),
      'CHANGELOG.md says nothing below "## 0.1.0": write what changes',
    ],
    ...[...Object.keys(BUILT), 'x-calico-route.sha256'].map((file): [string, () => Promise<string>, string] => [
      `a dist/ without ${file}`,
      without(`dist/${file}`),
      `dist/${file} is missing: run make build`,
    ]),
    [
      'an executable that is not the one built',
      changed('dist/x-calico-route', 'exchanged'),
      'dist/x-calico-route does not match dist/x-calico-route.sha256: remove dist/ and run make build',
    ],
    [
      'a repository without its licence',
      async () => {
        const made = await repository()
        await git(made, 'rm', '--quiet', 'LICENSE')
        await git(made, 'commit', '--quiet', '--amend', '--message=less')
        await git(made, 'tag', '--force', 'v0.1.0')
        return made
      },
      "git ls-files: error: pathspec 'LICENSE' did not match any file(s) known to git",
    ],
  ])('%s', async (_, make, message) => {
    const made = await make()
    write(made, { 'dist/release/NOTES.md': 'of the release before' })
    expect(await release(made)).toEqual({ exitCode: 1, stdout: '', stderr: `release: ${message}` })
    expect(readdirSync(released(made))).toEqual(['NOTES.md'])
    expect(readdirSync(path.join(made, 'dist')).filter((file) => file.startsWith('.'))).toEqual([])
  })

  test('an option that there is not', async () => {
    const made = await repository()
    expect(await release(made, {}, '--dry')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("'--dry'") })
    expect(existsSync(released(made))).toBe(false)
  })
})

describe('a dry run', () => {
  test('goes on without commit, tag and name of the version, and says so', async () => {
    const made = await repository({ 'CHANGELOG.md': UNRELEASED }, '')
    write(made, { 'README.md': 'not yet committed', 'new.md': '' })
    const { stderr, ...rest } = await dryRun(made)
    expect({ ...rest, stderr: '' }).toEqual(done)
    const said = 'release: dry run, so not refused: '
    expect(stderr.split('\n')).toEqual([
      `${said}the working tree has uncommitted changes (M README.md and 1 more): commit or remove it`,
      `${said}package.json has version 0.1.0, but HEAD has no tag: git tag -a v0.1.0, or correct package.json`,
      `${said}CHANGELOG.md has no section "## 0.1.0", only "## Unreleased": rename that section and commit`,
    ])
    expect(read(made, 'NOTES.md')).toBe('- Not yet out.\n')
  })

  test('makes what the release would be', async () => {
    const [one, other] = [await repository(), await repository()]
    await release(one)
    expect(await dryRun(other)).toEqual(done)
    expect(read(other, 'SHA256SUMS')).toBe(read(one, 'SHA256SUMS'))
  })

  test.each([
    ['an incomplete dist/', without('dist/LICENSES.txt')],
    ['a changelog with nothing to say', changelog('## Unreleased\n')],
  ])('refuses %s all the same', async (_, make) => {
    expect(await dryRun(await make())).toMatchObject({ exitCode: 1, stdout: '' })
  })
})

describe('the workflow', () => {
  interface Step {
    name?: string
    run?: string
  }
  const workflow = parse(readFileSync(path.join(ROOT, '.github/workflows/release.yaml'), 'utf8'))
  const step = (workflow.jobs.publish.steps as Step[]).find(({ name }) => name?.startsWith('one list of checksums'))

  /** What the two jobs hand over, and the step that makes one release of it. */
  async function join(change: (arm64: string) => void = () => undefined) {
    const made = await repository()
    await release(made)
    const there = temporaryDirectory()
    const [amd64, arm64] = [path.join(there, 'parts/amd64'), path.join(there, 'parts/arm64')]
    for (const part of [amd64, arm64]) cpSync(released(made), part, { recursive: true })
    rmSync(path.join(arm64, ARCHIVE))
    writeFileSync(path.join(arm64, 'other.tar.gz'), 'of the other architecture')
    change(arm64)
    writeFileSync(
      path.join(arm64, 'SHA256SUMS'),
      (await execa('sha256sum', ['other.tar.gz', 'NOTES.md'], { cwd: arm64 })).stdout,
    )
    const { exitCode, stderr } = await execa('bash', ['-e', '-c', step?.run ?? 'false'], { cwd: there, reject: false })
    return { exitCode, stderr, release: path.join(there, 'release') }
  }

  test('makes one release of both architectures, with one list of checksums', async () => {
    const joined = await join()
    expect(joined).toMatchObject({ exitCode: 0, stderr: '' })
    expect(readdirSync(joined.release).sort()).toEqual(['NOTES.md', 'SHA256SUMS', 'other.tar.gz', ARCHIVE].sort())
    const { stdout } = await execa('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: joined.release })
    expect(stdout.split('\n').sort()).toEqual(['NOTES.md: OK', 'other.tar.gz: OK', `${ARCHIVE}: OK`].sort())
  })

  test('stops when the architectures do not have the same notes', async () => {
    const { exitCode, stderr } = await join((arm64) => writeFileSync(path.join(arm64, 'NOTES.md'), 'other notes'))
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: expect.stringContaining('1 computed checksum did NOT match'),
    })
  })

  test('attests what it publishes, before anybody can have it', () => {
    const steps = workflow.jobs.publish.steps as { uses?: string; run?: string; with?: object }[]
    const attests = steps.findIndex(({ uses }) => uses?.startsWith('actions/attest@'))
    expect(steps[attests]).toMatchObject({ with: { 'subject-checksums': 'release/SHA256SUMS' } })
    expect(steps.findIndex(({ run }) => run?.includes('gh release create'))).toBe(attests + 1)
  })

  test('lets only the job that uploads write', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' })
    expect(workflow.jobs.build.permissions).toBeUndefined()
    expect(workflow.jobs.publish.permissions).toEqual({
      contents: 'write',
      'id-token': 'write',
      attestations: 'write',
    })
  })
})
