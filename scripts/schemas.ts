/**
 * Makes test/schemas/generated/, in the versions of kind/versions.env: schemas made of Go types, and the projects' own
 * CustomResourceDefinitions. Run it after a change there.
 *
 *   node scripts/schemas.ts
 *
 * Needs Go and its modules. The types are those that each project publishes. controller-gen, which most of them use for their
 * own definitions, makes schemas of them. test/schemas/README.md says which schemas are generated and which written by hand.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { definitionsOf, moduleOf } from './schemas/definitions.ts'
import { needGo } from './schemas/go.ts'
import { kindsOf } from './schemas/kinds.ts'
import { shared } from './schemas/shared.ts'
import { SOURCES, type Source } from './schemas/sources.ts'

const ROOT = path.dirname(import.meta.dirname)
const GENERATED = path.join(ROOT, 'test/schemas/generated')
/** Of every module here. */
const LICENCE = 'Apache-2.0'

const pins = new Map(
  [...readFileSync(path.join(ROOT, 'kind/versions.env'), 'utf8').matchAll(/^(\w+)=(.*)$/gm)].map(([, key, value]) => [
    key,
    value,
  ]),
)
try {
  needGo()
} catch {
  console.error('schemas: go is missing; install it from https://go.dev/doc/install')
  process.exit(1)
}
mkdirSync(path.join(GENERATED, 'definitions'), { recursive: true })
for (const [name, source] of Object.entries(SOURCES)) generate(name, source)

function generate(name: string, source: Source): void {
  const pin = source.pin === undefined ? '' : pins.get(source.pin)
  if (pin === undefined) throw new Error(`kind/versions.env: ${source.pin} is missing; add it`)
  const version = source.version(pin)
  const of = source.pin && { [source.pin]: pin }
  console.log(`${name}: ${source.module} ${version}`)
  const packages = source.packages.map((each) => each.path)
  const { schemas: kinds, $defs } = shared(kindsOf(source, version))
  const from = { ...of, module: source.module, version, packages, licence: LICENCE }
  write(`${name}.json`, { from, kinds, $defs })
  if (!source.definitions) return
  const module = moduleOf(source)
  const own = shared(definitionsOf(source, { module, version }))
  const ownFrom = { ...of, module, version, ...source.definitions, licence: LICENCE }
  write(`definitions/${name}.json`, { from: ownFrom, definitions: own.schemas, $defs: own.$defs })
}

function write(file: string, content: object): void {
  writeFileSync(path.join(GENERATED, file), `${JSON.stringify(content)}\n`)
}
