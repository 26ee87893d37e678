import { statSync } from 'node:fs'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { EXECUTABLE } from '../support/runtime.ts'

/** The executable runs on the node itself, where nobody installs anything for it: what it asks of the node is a promise. */
const readelf = async (option: string) => (await execa('readelf', ['--wide', option, EXECUTABLE])).stdout
/** By the machine that readelf names. */
const LOADERS = { 'X86-64': 'ld-linux-x86-64.so.2', AArch64: 'ld-linux-aarch64.so.1' }

const byVersion = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true })

/** The newest symbol version of a library that the executable refers to, such as 2.28 of GLIBC. */
async function newest(library: string): Promise<string | undefined> {
  const versions = [...(await readelf('--version-info')).matchAll(/Name: ([A-Z]+)_([\d.]+)/g)]
  return versions
    .flatMap(([, name, version = '']) => (name === library ? version : []))
    .sort(byVersion)
    .at(-1)
}

test('it needs glibc, libstdc++ and libgcc_s, and no other library', async () => {
  const [, machine = ''] = /Machine:.*\b(X86-64|AArch64)$/m.exec(await readelf('--file-header')) ?? []
  const loader = LOADERS[machine as keyof typeof LOADERS]
  const needed = [...(await readelf('--dynamic')).matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => library)
  expect(needed.sort()).toEqual(
    [loader, 'libc.so.6', 'libdl.so.2', 'libgcc_s.so.1', 'libm.so.6', 'libpthread.so.0', 'libstdc++.so.6'].sort(),
  )
})

test.each([
  ['GLIBC', '2.28'],
  // What came with glibc 2.28: Debian 10, RHEL 8.
  ['GLIBCXX', '3.4.25'],
  ['CXXABI', '1.3.11'],
])('%s %s is new enough for it', async (library, promised) => {
  const version = await newest(library)
  expect([version, promised].sort((a, b) => byVersion(a ?? '~', b ?? '~')).at(-1)).toBe(promised)
})

test('it has at most 114 MB', () => {
  expect(statSync(EXECUTABLE).size).toBeLessThanOrEqual(114_000_000)
})

test('everybody may run it, and only its owner may change it', () => {
  expect((statSync(EXECUTABLE).mode & 0o777).toString(8)).toBe('755')
})
