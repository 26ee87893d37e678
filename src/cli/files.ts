import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../errors.ts'
import { type Terminal, Trouble } from './command.ts'
import { readFound, readNamed } from './found-file.ts'
import { type Contents, contentsOf } from './validate/documents.ts'

export const STDIN = '-'

const SUFFIXES = ['.conf', '.conflist', '.json', '.yaml', '.yml']

/** A file that the command line names, or one in a directory that it names. */
export interface Asked {
  readonly file: string
  readonly inDirectory: boolean
}

/**
 * The files that `words` name. A directory stands for the files in it that may hold configurations.
 * @throws Trouble for a word that names nothing
 */
export function filesOf(words: readonly string[]): Asked[] {
  return words.flatMap((word): Asked[] => {
    if (word === STDIN || !isDirectory(word)) return [{ file: word, inDirectory: false }]
    const names = reading(word, () => readdirSync(word))
      .filter((name) => SUFFIXES.includes(path.extname(name)))
      .sort()
    if (names.length === 0) throw new Trouble(`${word}: no file in this directory ends in ${SUFFIXES.join(', ')}`)
    return names.map((name) => ({ file: harmless(path.join(word, name)), inDirectory: true }))
  })
}

/**
 * A file may be named so that a line that begins with its name is a command to the log of a GitHub workflow, and who
 * opens a pull request names its files.
 * @see https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
 */
const harmless = (file: string) => (/^\s*::/.test(file) ? `./${file}` : file)

/**
 * @param inDirectory the command line names the directory, not this file
 * @throws Trouble if the file cannot be read
 */
export function readContents(file: string, terminal: Pick<Terminal, 'input'>, inDirectory = false): Contents {
  if (file === STDIN) return contentsOf(Buffer.from(terminal.input()), false)
  const yaml = /\.ya?ml$/.test(file)
  return contentsOf(
    reading(file, () => (inDirectory ? readFound(file, 'follow') : readNamed(file))),
    yaml,
  )
}

/** The text of a file. @throws Trouble if it cannot be read */
export function readText(file: string, terminal: Pick<Terminal, 'input'>): string {
  return file === STDIN ? terminal.input() : reading(file, () => readNamed(file).toString())
}

/**
 * @param asked the name of each argument or option, and the file given
 * @throws Trouble if two of them are stdin, which can be read only once
 */
export function onceFromStdin(asked: readonly (readonly [what: string, file: string | undefined])[]): void {
  const [first, second] = asked.filter(([, file]) => file === STDIN).map(([what]) => what)
  if (first === undefined || second === undefined) return
  const both = first === second ? `${first} is "-" twice` : `${first} and ${second} are both "-"`
  throw new Trouble(`${both}, but stdin can be read only once; give a file for one of them`)
}

/** The name of a file in messages. */
export const nameOf = (file: string): string => (file === STDIN ? 'stdin' : file)

/** @throws Trouble if it does not exist or cannot be looked at */
export function isDirectory(file: string): boolean {
  return reading(file, () => statSync(file)).isDirectory()
}

/** @throws Trouble that names the file, without the words that Node adds */
export function reading<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new Trouble(`${file}: ${wordsFor(error)}`, { cause: error })
  }
}

/** Why a file could not be read. */
export function wordsFor(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  return (code !== undefined && WORDS[code]) || messageOf(error)
}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied; run this as root, or change its mode',
  EISDIR: 'is a directory',
  ENOTDIR: 'no such file: a part of the path is not a directory',
  ELOOP: 'its symbolic links form a loop',
}
