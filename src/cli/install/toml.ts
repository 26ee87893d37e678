import { parse, TomlError, type TomlTable } from 'smol-toml'
import { Trouble } from '../command.ts'

/** A file of a runtime's configuration, by its path on the node. */
export interface ConfigFile {
  readonly file: string
  readonly content: TomlTable
}

/** @throws Trouble that names the line */
export function parseToml(file: string, text: string): ConfigFile {
  try {
    return { file, content: parse(text, { integersAsBigInt: 'asNeeded' }) }
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [words = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n')
    throw new Trouble(`${file}:${error.line}:${error.column}: not valid TOML: ${words}; correct it`)
  }
}

/** The table at a path of keys; undefined if there is none. @throws Trouble for another kind of value there */
export function tableIn({ file, content }: ConfigFile, keys: readonly string[]): TomlTable | undefined {
  let here: TomlTable = content
  for (const [depth, key] of keys.entries()) {
    if (!Object.hasOwn(here, key)) return undefined
    const value = here[key]
    if (typeof value !== 'object' || Array.isArray(value) || value instanceof Date)
      throw new Trouble(`${file}: ${keys.slice(0, depth + 1).join('.')} is not a table; correct it`)
    here = value
  }
  return here
}

/** @returns undefined if it is not set, or empty @throws Trouble if it is not a string */
export function stringIn(file: string, table: TomlTable | undefined, key: string): string | undefined {
  const value = table !== undefined && Object.hasOwn(table, key) ? table[key] : undefined
  if (value === undefined || value === '') return undefined
  if (typeof value === 'string') return value
  throw new Trouble(`${file}: ${key} is not a string; correct it`)
}

/** @returns undefined if it is not set @throws Trouble if it is not a list of strings */
export function stringsIn(file: string, table: TomlTable | undefined, key: string): string[] | undefined {
  const value = table !== undefined && Object.hasOwn(table, key) ? table[key] : undefined
  if (value === undefined) return undefined
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value
  throw new Trouble(`${file}: ${key} is not a list of strings; correct it`)
}
