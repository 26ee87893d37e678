import { mkdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from './product.ts'
import { ROOT } from './release-repository.ts'

/** What `make image` says when it cannot begin. What it makes: test/e2e/image.e2e.test.ts. */
describe('scripts/image/archive.sh', () => {
  async function said(env: Record<string, string>) {
    const tools = path.join(temporaryDirectory(), 'bin')
    mkdirSync(tools)
    for (const tool of ['dirname', 'uname']) symlinkSync(`/usr/bin/${tool}`, path.join(tools, tool))
    const { exitCode, stderr } = await execa('/bin/sh', [path.join(ROOT, 'scripts/image/archive.sh')], {
      env: { PATH: tools, ...env },
      extendEnv: false,
      reject: false,
    })
    return { exitCode, stderr }
  }
  const native = process.arch === 'arm64' ? 'arm64' : 'amd64'

  test('names the tools that make images, if there is none', async () => {
    expect(await said({ ARCHS: native })).toEqual({
      exitCode: 1,
      stderr: 'image: podman, buildah and docker are missing; install one of them: apt-get install podman',
    })
  })

  test('knows two architectures', async () => {
    expect(await said({ ARCHS: `${native} riscv64` })).toEqual({
      exitCode: 1,
      stderr: 'image: ARCHS: "riscv64" is unknown; write amd64, arm64 or both',
    })
  })
})
