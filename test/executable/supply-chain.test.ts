import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

/** What comes from npm is what somebody looked at once, to the last byte, and may be passed on with an Apache-2.0 program. */
interface Locked {
  version?: string
  resolved?: string
  integrity?: string
  license?: string
  link?: boolean
  hasInstallScript?: boolean
  dependencies?: Record<string, string>
}

const read = (file: string) => JSON.parse(readFileSync(path.resolve(import.meta.dirname, '../..', file), 'utf8'))
const manifest = read('package.json') as Record<string, Record<string, string>>
const lock = read('package-lock.json') as { lockfileVersion: number; packages: Record<string, Locked> }
const own = lock.packages[''] as Record<string, unknown>
const installed = Object.entries(lock.packages).filter(([place]) => place !== '')
const KINDS = ['dependencies', 'devDependencies', 'optionalDependencies'] as const

test('package.json names every dependency by one version, no range, tag, address or file', () => {
  const versions = KINDS.flatMap((kind) => Object.entries(manifest[kind] ?? {}))
  expect(versions.length).toBeGreaterThan(10)
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
})

test('the lock is of this package.json', () => {
  for (const kind of KINDS) expect(own[kind]).toEqual(manifest[kind])
  for (const [name, version] of KINDS.flatMap((kind) => Object.entries(manifest[kind] ?? {}))) {
    expect(lock.packages[`node_modules/${name}`]).toMatchObject({ version })
  }
})

test('the lock has a SHA-512 of every package', () => {
  expect(lock.lockfileVersion).toBe(3)
  expect(installed.length).toBeGreaterThan(100)
  const without = installed.filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''))
  expect(without.map(([place]) => place)).toEqual([])
})

test('the lock names no host: packages come from whatever registry npm is told, and their hashes decide', () => {
  expect(installed.filter(([, { resolved, link }]) => resolved !== undefined || link === true)).toEqual([])
  const addresses = installed.flatMap(([, { dependencies = {} }]) => Object.values(dependencies))
  expect(addresses.filter((version) => /[:/]/.test(version.replace(/^npm:/, '')))).toEqual([])
})

test('only esbuild brings a script that npm runs when it installs', () => {
  expect(installed.flatMap(([place, { hasInstallScript }]) => (hasInstallScript ? place : []))).toEqual([
    'node_modules/esbuild',
  ])
})

test('all licences go together with Apache-2.0', () => {
  const ALLOWED = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'ISC', 'MIT']
  // Weak copyleft, of a tool of the tests that is not passed on: vitest's lightningcss.
  const NOT_SHIPPED = ['MPL-2.0']
  const allowed = (licence = 'none') =>
    licence
      .replace(/^\((.*)\)$/, '$1')
      .split(' OR ')
      .some((one) => [...ALLOWED, ...NOT_SHIPPED].includes(one))
  expect(
    installed.filter(([, { license }]) => !allowed(license)).map(([place, { license }]) => [place, license]),
  ).toEqual([])
  const weak = installed.flatMap(([place, { license }]) => (NOT_SHIPPED.includes(license ?? '') ? place : []))
  expect(weak.filter((place) => !/^node_modules\/lightningcss(-|$)/.test(place))).toEqual([])
})
