import { readFileSync, statSync } from 'node:fs'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { loaderEdits } from '../../src/cli/install/elf.ts'
import { EXECUTABLE } from '../support/runtime.ts'

/** The executable runs on the node itself, where nobody installs anything for it: what it asks of the node is a promise. */
const readelf = async (option: string) => (await execa('readelf', ['--wide', option, EXECUTABLE])).stdout
/** By the machine that readelf names; pages in KiB, as a kernel for it may have them. */
const MACHINES: Readonly<Record<string, { loader: string; pages: number[] }>> = {
  'X86-64': { loader: 'ld-linux-x86-64.so.2', pages: [4] },
  AArch64: { loader: 'ld-linux-aarch64.so.1', pages: [4, 16, 64] },
}

async function machine() {
  const [, name = ''] = /Machine:.*\b(X86-64|AArch64)$/m.exec(await readelf('--file-header')) ?? []
  return MACHINES[name] ?? { loader: `that of ${name}`, pages: [] }
}

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
  const { loader } = await machine()
  const needed = [...(await readelf('--dynamic')).matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => library)
  expect(needed.sort()).toEqual(
    [loader, 'libc.so.6', 'libdl.so.2', 'libgcc_s.so.1', 'libm.so.6', 'libpthread.so.0', 'libstdc++.so.6'].sort(),
  )
})

test('it is started by the usual loader, names no directory of libraries, and has room for another loader', async () => {
  const { loader } = await machine()
  expect(await readelf('--program-headers')).toMatch(
    new RegExp(`\\[Requesting program interpreter: /lib(64)?/${loader}\\]`),
  )
  expect(await readelf('--dynamic')).not.toMatch(/\((RPATH|RUNPATH)\)/)
  const bytes = readFileSync(EXECUTABLE)
  const edits = loaderEdits((offset, length) => bytes.subarray(offset, offset + length), '/opt/cni/bin/.d')
  expect(edits[0]?.bytes.toString('latin1')).toMatch(new RegExp(`^/opt/cni/bin/\\.d/${loader}\0+/opt/cni/bin/\\.d\0+$`))
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

test('each page of its memory is of one segment, whatever pages the kernel has', async () => {
  const loads = [...(await readelf('--segments')).matchAll(/LOAD +(\w+) (\w+) \w+ \w+ (\w+) /g)]
  const segments = loads.map(([, offset, address, size]) => ({
    offset: Number(offset),
    start: Number(address),
    end: Number(address) + Number(size),
  }))
  const { pages } = await machine()
  expect(segments.length).toBeGreaterThan(3)
  expect(pages.length).toBeGreaterThan(0)
  for (const page of pages.map((kib) => kib * 1024)) {
    const mapped = segments
      .map(({ start, end }) => ({ from: Math.floor(start / page), to: Math.ceil(end / page) }))
      .sort((one, other) => one.from - other.from)
    expect(mapped.filter(({ from }, i) => from < (mapped[i - 1]?.to ?? 0))).toEqual([])
    expect(segments.filter(({ offset, start }) => (start - offset) % page !== 0)).toEqual([])
  }
})

test('it has at most 114 MB', () => {
  expect(statSync(EXECUTABLE).size).toBeLessThanOrEqual(114_000_000)
})

test('everybody may run it, and only its owner may change it', () => {
  expect((statSync(EXECUTABLE).mode & 0o777).toString(8)).toBe('755')
})
