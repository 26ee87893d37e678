import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { type Package, readPackage } from './licences.ts'
import type { Command } from './platform.ts'

/** The entries of process.versions that are not libraries. */
const NO_LIBRARIES = ['node', 'modules', 'napi']

/**
 * The licences of the libraries in Node, from its LICENSE file, and the CPE under which scanners look for vulnerabilities, if
 * there is one.
 */
const NODE_LIBRARIES: Record<string, { readonly licence: string; readonly cpe?: string }> = {
  acorn: { licence: 'MIT' },
  ada: { licence: 'MIT OR Apache-2.0' },
  amaro: { licence: 'MIT AND Apache-2.0' },
  ares: { licence: 'MIT', cpe: 'c-ares:c-ares' },
  brotli: { licence: 'MIT', cpe: 'google:brotli' },
  cldr: { licence: 'Unicode-3.0' },
  icu: { licence: 'Unicode-3.0', cpe: 'unicode:international_components_for_unicode' },
  llhttp: { licence: 'MIT', cpe: 'llhttp:llhttp' },
  merve: { licence: 'MIT' },
  nbytes: { licence: 'MIT' },
  ncrypto: { licence: 'MIT' },
  nghttp2: { licence: 'MIT', cpe: 'nghttp2:nghttp2' },
  nghttp3: { licence: 'MIT' },
  ngtcp2: { licence: 'MIT' },
  openssl: { licence: 'Apache-2.0', cpe: 'openssl:openssl' },
  simdjson: { licence: 'Apache-2.0' },
  simdutf: { licence: 'MIT' },
  sqlite: { licence: 'blessing', cpe: 'sqlite:sqlite' },
  tz: { licence: 'LicenseRef-public-domain' },
  undici: { licence: 'MIT', cpe: 'nodejs:undici' },
  unicode: { licence: 'Unicode-3.0' },
  uv: { licence: 'MIT', cpe: 'libuv:libuv' },
  uvwasi: { licence: 'MIT' },
  v8: { licence: 'BSD-3-Clause', cpe: 'google:v8' },
  zlib: { licence: 'Zlib' },
  zstd: { licence: 'BSD-3-Clause', cpe: 'facebook:zstandard' },
}

export interface Product {
  readonly root: string
  /** What starts Node's binary as it came from npm, and the package it came in. */
  readonly node: Command
  readonly nodePackage: string
  readonly executable: string
  readonly bundles: readonly string[]
  readonly packages: readonly Package[]
}

/**
 * The software bill of materials of the executable, in CycloneDX 1.6. It lists what is inside, not what built it, and has no
 * date or serial number, so that the same product always has the same bill.
 * @see https://cyclonedx.org/docs/1.6/json/
 */
export async function sbom({ root, node, nodePackage, executable, bundles, packages }: Product): Promise<object> {
  const integrity = integrityOf(root)
  const own = readPackage(root)
  const runtime = readPackage(nodePackage)
  const libraries = await nodeLibraries(node)
  const fromNpm = packages.map((one) => npmComponent(one, integrity))
  const product = {
    type: 'application',
    'bom-ref': own.name,
    name: own.name,
    version: own.version,
    licenses: licencesOf(own.licence),
    hashes: [sha256Of(executable)],
  }
  const nodeComponent = {
    ...npmComponent(runtime, integrity),
    type: 'application', // not platform: syft and grype leave those out
    name: 'node',
    cpe: cpe('nodejs:node.js', runtime.version),
    components: libraries,
  }
  const sources = bundles.map((file) => ({
    type: 'file',
    'bom-ref': path.basename(file),
    name: path.basename(file),
    licenses: licencesOf(own.licence),
    hashes: [sha256Of(file)],
  }))
  const components = [nodeComponent, ...fromNpm, ...sources]
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { lifecycles: [{ phase: 'build' }], component: product },
    components,
    dependencies: [
      { ref: product['bom-ref'], dependsOn: refs(components) },
      { ref: nodeComponent['bom-ref'], dependsOn: refs(libraries) },
      ...refs([...libraries, ...fromNpm, ...sources]).map((ref) => ({ ref })),
    ],
  }
}

const refs = (components: readonly { 'bom-ref': string }[]) => components.map((component) => component['bom-ref'])

/** Asks the binary that is packaged, which may not be the one that runs this. */
async function nodeLibraries([file = '', ...words]: Command) {
  const print = ['-p', 'JSON.stringify(process.versions)']
  const { stdout } = await execa(file, [...words, ...print], { env: {}, extendEnv: false })
  const versions = Object.entries(JSON.parse(stdout) as Record<string, string>)
  // The version is empty if this Node was built without the library.
  const libraries = versions.filter(([name, version]) => version !== '' && !NO_LIBRARIES.includes(name))
  return libraries.sort().map(([name, version]) => {
    const known = NODE_LIBRARIES[name]
    if (!known) throw new Error(`sbom: unknown library ${name} in Node; add its licence to scripts/build/sbom.ts`)
    return {
      type: 'library',
      'bom-ref': `node/${name}@${version}`,
      name,
      version,
      purl: `pkg:generic/${name}@${encodeURIComponent(version)}`,
      licenses: licencesOf(known.licence),
      ...(known.cpe === undefined ? {} : { cpe: cpe(known.cpe, version) }),
    }
  })
}

function npmComponent({ name, version, licence }: Package, integrity: ReadonlyMap<string, string>) {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  const sha512 = integrity.get(`${name}@${version}`)
  if (sha512 === undefined)
    throw new Error(`sbom: ${name} ${version} is not the version in package-lock.json: run make setup`)
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    licenses: licencesOf(licence),
    // The hash of the archive, which npm has checked.
    hashes: [{ alg: 'SHA-512', content: Buffer.from(sha512, 'base64').toString('hex') }],
  }
}

/** The SHA-512 of every package of the lock, by name and version. */
function integrityOf(root: string): Map<string, string> {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string; integrity?: string }>
  }
  return new Map(
    Object.entries(packages).flatMap(([place, { version, integrity }]) => {
      const name = place.split('node_modules/').at(-1)
      return integrity?.startsWith('sha512-') ? [[`${name}@${version}`, integrity.slice('sha512-'.length)]] : []
    }),
  )
}

function licencesOf(licence: string) {
  return /\s|^LicenseRef-/.test(licence) ? [{ expression: licence }] : [{ license: { id: licence } }]
}

const cpe = (vendorAndProduct: string, version: string) => `cpe:2.3:a:${vendorAndProduct}:${version}:*:*:*:*:*:*:*`

function sha256Of(file: string) {
  return { alg: 'SHA-256', content: createHash('sha256').update(readFileSync(file)).digest('hex') }
}
