import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { BUILD_RECORD, startedOf } from './product.ts'

/**
 * Every call of the plugin is a cold start, so what is in the bundle is what a pod waits for. esbuild's metafile says what
 * came from where; these are the limits.
 */

type Import = { path: string; kind: string; external?: boolean }
const { plugin, cli } = JSON.parse(readFileSync(BUILD_RECORD, 'utf8')) as { plugin: Plugin; cli: Plugin }
const started = startedOf(BUILD_RECORD)
type Plugin = {
  inputs: Record<string, { imports: Import[] }>
  outputs: Record<string, { bytes: number; inputs: Record<string, { bytesInOutput: number }>; imports: Import[] }>
}
const { inputs, outputs } = plugin
const [output = { bytes: Number.NaN, inputs: {}, imports: [] }] = Object.values(outputs)
const files = Object.entries(output.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0)

/** Bytes that one npm package, or our own source, has in the bundle. */
const bytesOf = (prefix: string) =>
  files.filter(([file]) => file.startsWith(prefix)).reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0)

test('the bundle has at most 186 kB', () => {
  expect(output.bytes).toBeLessThanOrEqual(186_000)
})

/** The tool for people. It rides along in the blob, and no call reads it: 500 kB more cost an ADD no instruction and no memory. */
const [tool = { bytes: Number.NaN, inputs: {}, imports: [] }] = Object.values(cli.outputs)

// Each process copies its start-up snapshot into memory of its own.
const [main, most] = started.kind === 'snapshot' ? ['start-up snapshot', 2_920_000] : ['source text', 187_000]
test(`the ${main} that the product starts from has at most ${most} bytes`, () => {
  expect(started.bytes - tool.bytes).toBeLessThanOrEqual(most)
})

// 16 kB of it are smol-toml, which reads the configurations of containerd and CRI-O, and 15 what they mean; 12 lay out what a node
// may lack.
test('the tool for people has at most 830 kB', () => {
  expect(tool.bytes).toBeLessThanOrEqual(830_000)
})

test('of prom-client it has what makes gauges and counters, and nothing that the rest of it would bring', () => {
  const bytesIn = (prefix: string) =>
    Object.entries(tool.inputs).reduce(
      (sum, [file, part]) => sum + (file.startsWith(prefix) ? part.bytesInOutput : 0),
      0,
    )
  expect(bytesIn('node_modules/prom-client/')).toBeGreaterThan(0)
  expect(bytesIn('node_modules/prom-client/')).toBeLessThanOrEqual(20_000)
  for (const brought of ['@opentelemetry/api', 'tdigest', 'bintrees'])
    expect(bytesIn(`node_modules/${brought}/`)).toBe(0)
})

test('of zod it has only zod/mini, without locales and JSON Schema', () => {
  const unwanted = /zod\/v4\/(classic|locales)\/|json-schema|zod\/v3\//
  expect(files.map(([file]) => file).filter((file) => unwanted.test(file))).toEqual([])
  expect(bytesOf('node_modules/zod/')).toBeLessThanOrEqual(40_000)
})

test('a runtime never waits for execa: nothing that ADD, DEL or CHECK loads imports it', () => {
  const loaded = new Set<string>()
  const load = (file: string) => {
    if (loaded.has(file)) return
    loaded.add(file)
    for (const { path, kind, external } of inputs[file]?.imports ?? []) {
      if (!external && kind !== 'dynamic-import') load(path)
    }
  }
  load('src/main.ts')

  expect(loaded).toContain('src/main.ts')
  expect([...loaded].filter((file) => file.startsWith('node_modules/execa/'))).toEqual([])
})

test('the npm packages in it are these', () => {
  const packages = files.flatMap(([file]) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? [])
  expect([...new Set(packages)].sort()).toEqual(['leven', 'zod'])
})

test('outside of it are only builtins of Node, all loaded when the snapshot is taken', () => {
  // A builtin that is first required by a call costs it up to 13 ms; a new name in this list has to earn its place.
  const builtins = new Set(output.imports.map(({ path }) => path))
  expect([...builtins].sort()).toEqual(['node:child_process', 'node:fs', 'node:net', 'node:process', 'node:v8'])
})
