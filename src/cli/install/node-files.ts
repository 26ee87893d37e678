import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { Trouble } from '../command.ts'
import { wordsFor } from '../files.ts'
import { readFound } from '../found-file.ts'

/** No configuration of a runtime is longer. */
const MAX_BYTES = 1024 * 1024

/** The limit of the kernel. @see path_resolution(7) */
const MAX_LINKS = 40

const MISSING = ['ENOENT', 'ENOTDIR']

/** Files of the node by the paths that they have there. Links lead where they lead on the node, never out of `root`. */
export class NodeFiles {
  readonly #root: string

  /** @param root where the node's root directory is mounted */
  constructor(root: string) {
    this.#root = root
  }

  /** @returns undefined if there is no such file @throws Trouble if it cannot be read */
  text(file: string): string | undefined {
    return orMissing(file, () => readFound(this.here(file), 'refuse', MAX_BYTES).toString())
  }

  /** The names in a directory, sorted; none if there is no such directory. @throws Trouble */
  names(directory: string): string[] {
    return orMissing(directory, () => readdirSync(this.here(directory)).sort()) ?? []
  }

  isDirectory(file: string): boolean {
    return orMissing(file, () => lstatSync(this.here(file)).isDirectory()) ?? false
  }

  isFile(file: string): boolean {
    return orMissing(file, () => lstatSync(this.here(file)).isFile()) ?? false
  }

  exists(file: string): boolean {
    return orMissing(file, () => lstatSync(this.here(file))) !== undefined
  }

  /** Whether two paths lead to the same place on the node. @throws Trouble */
  areSame(one: string, other: string): boolean {
    return one === other || (orMissing(one, () => this.here(one) === this.here(other)) ?? false)
  }

  /** Where this process finds the file. @throws the error of the file system */
  here(file: string): string {
    const left = file.split('/')
    let links = 0
    let here = '/'
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      if (name === '' || name === '.') continue
      const next = path.join(here, name)
      const target = name === '..' ? undefined : this.#targetOf(next)
      if (target === undefined) {
        here = next
        continue
      }
      links += 1
      if (links > MAX_LINKS) throw Object.assign(new Error('too many links'), { code: 'ELOOP' })
      if (target.startsWith('/')) here = '/'
      left.unshift(...target.split('/'))
    }
    return path.join(this.#root, here)
  }

  #targetOf(file: string): string | undefined {
    const here = path.join(this.#root, file)
    return lstatSync(here).isSymbolicLink() ? readlinkSync(here) : undefined
  }
}

function orMissing<T>(file: string, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (MISSING.includes(String((error as NodeJS.ErrnoException).code))) return undefined
    throw new Trouble(`${file}: ${wordsFor(error)}; correct that`, { cause: error })
  }
}
