import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import * as z from 'zod/mini'
import { packagesIn } from '../../scripts/build/licences.ts'
import { sbom } from '../../scripts/build/sbom.ts'
import { PLUGIN } from '../support/runtime.ts'
import { BUILD_RECORD } from './product.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
const DIST = path.dirname(BUILD_RECORD)
const text = readFileSync(path.join(DIST, 'x-calico-route.cdx.json'), 'utf8')
const bill = JSON.parse(text)
const { plugin, cli } = JSON.parse(readFileSync(BUILD_RECORD, 'utf8'))
const packages = packagesIn(ROOT, [plugin, cli])

interface Component {
  name: string
  version?: string
  purl?: string
  'bom-ref': string
  components?: Component[]
}
const components = bill.components as Component[]
const node = components.find(({ name }) => name === 'node')
const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')

/** What of the schema of CycloneDX 1.6 this bill makes use of, and nothing beyond. */
const HEX = { 'SHA-256': 64, 'SHA-512': 128 }
const hash = z
  .strictObject({ alg: z.enum(['SHA-256', 'SHA-512']), content: z.string().check(z.regex(/^[0-9a-f]+$/)) })
  .check(z.refine(({ alg, content }) => content.length === HEX[alg]))
const licence = z.union([
  z.strictObject({ license: z.strictObject({ id: z.string() }) }),
  z.strictObject({ expression: z.string() }),
])
const plain = {
  type: z.enum(['application', 'library', 'file']),
  'bom-ref': z.string(),
  name: z.string().check(z.minLength(1)),
  version: z.optional(z.string()),
  purl: z.optional(z.string().check(z.regex(/^pkg:(npm|generic)\/(%40[\w.-]+\/)?[\w.-]+@[\w.%-]+$/))),
  cpe: z.optional(z.string().check(z.regex(/^cpe:2\.3:a(:[\w.*-]+){10}$/))),
  licenses: z.array(licence).check(z.length(1)),
  hashes: z.optional(z.array(hash)),
}
const BILL = z.strictObject({
  $schema: z.literal('http://cyclonedx.org/schema/bom-1.6.schema.json'),
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.literal('1.6'),
  version: z.literal(1),
  metadata: z.strictObject({
    lifecycles: z.tuple([z.strictObject({ phase: z.literal('build') })]),
    component: z.strictObject(plain),
  }),
  components: z.array(z.strictObject({ ...plain, components: z.optional(z.array(z.strictObject(plain))) })),
  dependencies: z.array(z.strictObject({ ref: z.string(), dependsOn: z.optional(z.array(z.string())) })),
})

describe('the bill of materials', () => {
  test('is of the form of CycloneDX 1.6', () => {
    expect(z.safeParse(BILL, bill).error?.issues ?? []).toEqual([])
  })

  test('names each component once, and what depends on what by names that it has', () => {
    const all = [bill.metadata.component, ...components.flatMap((one) => [one, ...(one.components ?? [])])]
    const names = all.map((component: Component) => component['bom-ref'])
    expect(new Set(names).size).toBe(names.length)
    const dependencies = bill.dependencies as { ref: string; dependsOn?: string[] }[]
    expect(dependencies.map(({ ref }) => ref).sort()).toEqual(names.sort())
    expect(names).toEqual(expect.arrayContaining(dependencies.flatMap(({ dependsOn = [] }) => dependsOn)))
  })

  test('is of this executable and these bundles', () => {
    expect(bill.metadata.component.hashes).toEqual([
      { alg: 'SHA-256', content: digest(path.join(DIST, 'x-calico-route')) },
    ])
    for (const file of ['x-calico-route.cjs', 'x-calico-route-cli.cjs']) {
      const content = digest(path.join(DIST, file))
      expect(components).toContainEqual(expect.objectContaining({ name: file, hashes: [{ alg: 'SHA-256', content }] }))
    }
  })

  test('names the Node that answers, and every library that this Node says it has', () => {
    const { node: version, modules: _, napi: __, ...libraries } = process.versions
    expect(node).toMatchObject({ version, purl: `pkg:npm/node-linux-${process.arch}@${version}` })
    const told = Object.entries(libraries).filter(([, of]) => of !== '')
    expect(node?.components?.map((library) => [library.name, library.version]).sort()).toEqual(told.sort())
    expect(told.map(([name]) => name)).toEqual(expect.arrayContaining(['v8', 'uv', 'openssl', 'zlib']))
    expect(readFileSync(PLUGIN).includes(`node-v${version}`) || readFileSync(PLUGIN).includes(`v${version}`)).toBe(true)
  })

  test('names the npm packages of the bundles, no more, with the hash by which npm was to know them', () => {
    const lock = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')).packages
    const fromNpm = components.filter(({ purl, name }) => purl?.startsWith('pkg:npm/') && name !== 'node')
    expect(fromNpm.map(({ name }) => name)).toEqual(packages.map(({ name }) => name))
    for (const { name, version } of packages) {
      const content = Buffer.from(lock[`node_modules/${name}`].integrity.slice('sha512-'.length), 'base64').toString(
        'hex',
      )
      expect(fromNpm).toContainEqual(expect.objectContaining({ name, version, hashes: [{ alg: 'SHA-512', content }] }))
    }
  })

  test('is the same each time it is made of the same product, and tells nothing of the machine', async () => {
    const nodePackage = path.join(ROOT, 'node_modules', `node-linux-${process.arch}`)
    const bundles = ['x-calico-route.cjs', 'x-calico-route-cli.cjs'].map((file) => path.join(DIST, file))
    const product = { root: ROOT, node: [process.execPath], nodePackage, bundles, packages }
    const again = await sbom({ ...product, executable: path.join(DIST, 'x-calico-route') })
    expect(`${JSON.stringify(again, undefined, 2)}\n`).toBe(text)
    expect(text).not.toContain(ROOT)
  })

  test('is not made for a package that is not the one of the lock', async () => {
    const other = { name: 'zod', version: '0.0.0', licence: 'MIT', text: '' }
    const nodePackage = path.join(ROOT, 'node_modules', `node-linux-${process.arch}`)
    const product = { root: ROOT, node: [process.execPath], nodePackage, executable: PLUGIN, bundles: [] }
    await expect(sbom({ ...product, packages: [other] })).rejects.toThrow(
      'zod 0.0.0 is not the version in package-lock.json',
    )
  })
})
