/** The workflow that makes one release of what the machines of both architectures have made. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { temporaryDirectory } from './product.ts'
import { ARCHIVE, ROOT, release, released, repository } from './release-repository.ts'

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

  test('signs and attests the image before it has a tag', () => {
    const steps = workflow.jobs.push.steps as { uses?: string; run?: string; with?: Record<string, string> }[]
    const place = (found: (step: (typeof steps)[number]) => boolean | undefined) => {
      const index = steps.findIndex(found)
      expect(index).toBeGreaterThanOrEqual(0)
      return index
    }
    const order = [
      place(({ run }) => run?.includes('"docker://$name@$digest"')),
      place(({ run }) => run?.startsWith('cosign sign --yes --recursive')),
      place((step) => step.uses?.startsWith('actions/attest@') && step.with?.['sbom-path'] === undefined),
      place((step) => step.with?.['sbom-path'] === 'image.cdx.json'),
      place(({ run }) => run?.includes('"docker://$NAME:${GITHUB_REF_NAME#v}"')),
    ]
    expect(order).toEqual(order.toSorted((a, b) => a - b))
    const digest = '${{ steps.image.outputs.digest }}'
    for (const { uses, with: given } of steps)
      if (uses?.startsWith('actions/attest@'))
        expect(given).toMatchObject({ 'subject-digest': digest, 'push-to-registry': true })
  })

  test('makes the image of the executables that were tested', async () => {
    const steps = workflow.jobs.image.steps as Step[]
    const unpack = steps.find(({ name }) => name === 'the executables that were tested')
    const made = await repository()
    await release(made)
    const there = temporaryDirectory()
    for (const [machine, architecture] of [
      ['ubuntu-24.04', 'amd64'],
      ['ubuntu-24.04-arm', 'arm64'],
    ] as const)
      cpSync(path.join(released(made), ARCHIVE), path.join(there, 'parts', machine, nameFor(architecture)))
    await execa('bash', ['-e', '-c', unpack?.run ?? 'false'], { cwd: there })
    for (const directory of ['dist', 'dist/arm64'])
      expect(readdirSync(path.join(there, directory))).toEqual(
        expect.arrayContaining(['LICENSES.txt', 'x-calico-route', 'x-calico-route.cdx.json']),
      )
    expect(steps.flatMap(({ run }) => run ?? [])).toContain('scripts/image/archive.sh')
  })
  const nameFor = (architecture: string) => ARCHIVE.replace(/-(amd64|arm64)\./, `-${architecture}.`)

  test('lets only the jobs that upload write, and no file of the repository run in those', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' })
    expect(Object.keys(workflow.jobs)).toEqual(['build', 'image', 'push', 'publish'])
    for (const job of ['build', 'image']) expect(workflow.jobs[job].permissions).toBeUndefined()
    expect(workflow.jobs.push.permissions).toEqual({
      packages: 'write',
      'id-token': 'write',
      attestations: 'write',
    })
    expect(workflow.jobs.publish.permissions).toEqual({
      contents: 'write',
      'id-token': 'write',
      attestations: 'write',
    })
    for (const job of ['push', 'publish'])
      expect(
        (workflow.jobs[job].steps as { uses?: string }[]).filter(({ uses }) => uses?.startsWith('actions/checkout')),
      ).toEqual([])
    // What the image job hands over is not an archive of a release.
    expect(workflow.jobs.publish.steps[0].with).toMatchObject({ pattern: 'ubuntu-*' })
  })
})
