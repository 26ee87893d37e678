/** scripts/release.ts in a small repository of its own. */
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { temporaryDirectory } from './product.ts'
import {
  ARCHIVE,
  BUILT,
  COMMITTED,
  done,
  dryRun,
  FOLDER,
  git,
  RELEASED,
  ROOT,
  read,
  release,
  released,
  repository,
  UNRELEASED,
  write,
} from './release-repository.ts'

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
