import { afterEach, describe, expect, it, vi } from 'vitest'
import { nodeOf, platformOf } from '../../../scripts/build/platform.ts'

afterEach(() => vi.unstubAllEnvs())

describe("this machine's own architecture", () => {
  it.each(['x64', 'arm64'] as const)('needs nothing besides, %s', (arch) => {
    vi.stubEnv('PATH', '')
    const platform = platformOf(arch, arch)
    expect(platform).toMatchObject({ arch, foreign: false, via: [], strip: 'strip' })
    expect(nodeOf(platform, '/node')).toEqual(['/node'])
  })
})

describe('the other one', () => {
  it.each([
    ['arm64', 'x64', 'qemu-aarch64, aarch64-linux-gnu-strip', 'binutils-aarch64-linux-gnu', 'arm64'],
    ['x64', 'arm64', 'qemu-x86_64, x86_64-linux-gnu-strip', 'binutils-x86-64-linux-gnu', 'amd64'],
  ])('says what it needs, and how it is installed: %s on %s', (arch, machine, programs, binutils, debian) => {
    vi.stubEnv('PATH', '')
    const libraries = ['libc6', 'libgcc-s1', 'libstdc++6'].map((name) => `${name}-${debian}-cross`).join(' ')
    const says = (missing: string) =>
      `ARCH: ${arch} needs ${missing} on this machine; run: apt-get install qemu-user ${binutils} ${libraries}`
    // The libraries may be there or not.
    const found = attempt(() => platformOf(arch, machine))
    const [, missing = ''] = /needs (.*) on this/.exec(found) ?? []
    expect(missing).toMatch(new RegExp(`^${programs}(, /usr/.*)?$`))
    expect(found).toBe(says(missing))
  })

  it('has its programs started by qemu, whose Node.js starts that of this machine', () => {
    const via = ['/usr/bin/qemu-aarch64', '-L', '/usr/aarch64-linux-gnu']
    const platform = { arch: 'arm64', foreign: true, via, strip: 'aarch64-linux-gnu-strip', page: 0x10000 } as const
    expect(nodeOf(platform, '/node')).toEqual([...via, '-0', process.execPath, '/node'])
  })
})

it('is one that there is a pinned Node.js for', () => {
  expect(attempt(() => platformOf('amd64'))).toBe('ARCH is "amd64"; write x64 or arm64')
})

function attempt(action: () => unknown): string {
  try {
    action()
    return 'no error'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
