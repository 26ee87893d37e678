import { type ReadSet, setIn, UNKNOWN_SETS } from '../../config/route-sets.ts'
import { readSet } from '../../kernel/set-file.ts'
import { Trouble } from '../command.ts'
import { isDirectory } from '../files.ts'
import type { SetText } from './set-texts.ts'

/** The option of validate and plan that says where route sets are. */
export const SETS = {
  value: 'DIR',
  completes: 'directory',
  about: 'A directory with the route sets that configurations name, in place of "setsDir".',
} as const

/**
 * The sets of a directory, else those of ConfigMaps. Without either, nothing is known of sets.
 * @throws Trouble if there is no such directory
 */
export function setsKnown(directory: string | undefined, texts: readonly SetText[]): ReadSet {
  if (directory === undefined) return texts.length > 0 ? setsInTexts(texts) : UNKNOWN_SETS
  if (!isDirectory(directory)) throw new Trouble(`--sets: ${directory} is not a directory`)
  return (_, name) => readSet(directory, name)
}

function setsInTexts(texts: readonly SetText[]): ReadSet {
  const maps = [...new Set(texts.map(({ configMap }) => configMap))].join(' and ')
  return (_, name) => {
    const found = texts.find((one) => one.name === name)
    if (!found) return { problems: [`ConfigMap ${maps} has no "${name}"; add it under "data"`] }
    return setIn(found.text, `ConfigMap ${found.configMap}: ${name}`)
  }
}
