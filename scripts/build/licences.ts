import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Metafile } from 'esbuild'

/** An npm package with code in the executable. */
export interface Package {
  readonly name: string
  readonly version: string
  /** Its SPDX expression. */
  readonly licence: string
  /** Its licence and notice files. */
  readonly text: string
}

/** The npm packages of which esbuild used at least one byte, by name. */
export function packagesIn(root: string, metafiles: readonly Metafile[]): Package[] {
  const folders = metafiles
    .flatMap(({ outputs }) => Object.values(outputs))
    .flatMap(({ inputs }) => Object.entries(inputs))
    .flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? folderOf(file) : []))
  return [...new Set(folders)].sort().map((folder) => readPackage(path.join(root, folder)))
}

/** The package of a file, which may be inside another package; undefined for our own files. */
function folderOf(file: string): string[] {
  const [, folder] = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? []
  return folder === undefined ? [] : [folder]
}

/** @throws Error for a package without terms, which must not be shipped */
export function readPackage(folder: string): Package {
  const { name, version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Package & {
    license?: unknown
  }
  const own = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|copying|notice)(\.\w+)?$/i.test(file))
    .sort()
    .map((file) => path.join(folder, file))
  const given = GIVEN[`${name} ${license}`]
  const files = own.length === 0 && given !== undefined ? [given] : own
  const texts = files.map((file) => readFileSync(file, 'utf8').trim())
  if (typeof license !== 'string' || texts.length === 0)
    throw new Error(`${name}: has no licence or no licence text; add it to scripts/build/licence-texts`)
  return { name, version, licence: license, text: texts.join('\n\n') }
}

/**
 * Licence texts for packages that name their licence, but have its text neither in the package nor in the repository: the
 * usual text, with the author from package.json.
 */
const GIVEN: Readonly<Record<string, string>> = {
  'ip-cidr MIT': path.join(import.meta.dirname, 'licence-texts', 'ip-cidr.txt'),
}

/** The full licences of everything in the executable, as most of them require. Node's own text covers what Node bundles. */
export function licenceTexts(parts: readonly Package[]): string {
  return parts
    .map(({ name, version, licence, text }) => `${heading(`${name} ${version} (${licence})`)}\n${text}\n`)
    .join('\n')
}

function heading(title: string): string {
  const rule = '='.repeat(80)
  return `${rule}\n${title}\n${rule}\n`
}
