import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { packagesIn, readPackage } from '../../scripts/build/licences.ts'
import { BUILD_RECORD, temporaryDirectory } from './product.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
const TEXT = readFileSync(path.join(path.dirname(BUILD_RECORD), 'LICENSES.txt'), 'utf8')
const { plugin, cli } = JSON.parse(readFileSync(BUILD_RECORD, 'utf8'))
const shipped = packagesIn(ROOT, [plugin, cli])

test('of every npm package in the executable, LICENSES.txt has the licence in full, and who holds the copyright', () => {
  expect(shipped.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['ip-cidr', 'jsonc-parser', 'leven', 'prom-client', 'smol-toml', 'zod']),
  )
  for (const { name, version, licence, text } of shipped) {
    expect(TEXT).toContain(`${name} ${version} (${licence})`)
    expect(TEXT).toContain(text)
    expect(text).toMatch(/copyright/i)
    expect(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD']).toContain(licence)
  }
})

test('a package of which nothing came into the bundles is not in it', () => {
  expect(TEXT).not.toMatch(/^(execa|vitest|esbuild|@yao-pkg\/pkg|postject|@opentelemetry\/api|tdigest) \d/m)
})

test('it has our own licence, and Node’s with those of the libraries in Node', () => {
  expect(TEXT).toContain(readFileSync(path.join(ROOT, 'LICENSE'), 'utf8').trim())
  const node = readFileSync(path.join(ROOT, `node_modules/node-linux-${process.arch}/LICENSE`), 'utf8').trim()
  expect(TEXT).toContain(node)
  for (const library of ['OpenSSL', 'V8', 'libuv', 'ICU', 'zlib', 'c-ares']) {
    expect(TEXT).toContain(`- ${library}, located at deps/`)
  }
})

test.each([
  ['no text of its licence', { license: 'MIT' }, undefined],
  ['no word about its licence', {}, 'Do as you like.'],
])('a package with %s is not built in', (_, fields, licence) => {
  const root = temporaryDirectory()
  const folder = path.join(root, 'node_modules', '@some', 'one')
  mkdirSync(folder, { recursive: true })
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: '@some/one', version: '1.0.0', ...fields }))
  if (licence !== undefined) writeFileSync(path.join(folder, 'LICENSE'), licence)
  expect(() => readPackage(folder)).toThrow('@some/one: has no licence or no licence text')

  const metafile = (bytesInOutput: number) => ({
    inputs: {},
    outputs: {
      out: { bytes: 1, imports: [], exports: [], inputs: { 'node_modules/@some/one/a/b.js': { bytesInOutput } } },
    },
  })
  expect(() => packagesIn(root, [metafile(1)])).toThrow('@some/one: has no licence')
  expect(packagesIn(root, [metafile(0)])).toEqual([])
})
