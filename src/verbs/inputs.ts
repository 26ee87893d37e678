import type { NetConf } from '../cni/request.ts'
import { type PrevResult, parsePrevResult } from '../cni/result.ts'
import type { Config } from '../config/config.ts'
import { readEffective } from '../config/overrides.ts'
import type { ReadSet } from '../config/route-sets.ts'
import { CniError, Code, refusal } from '../errors.ts'

/** What ADD and CHECK decide from. */
export interface Inputs {
  readonly config: Config
  readonly prev: PrevResult
}

/**
 * The configuration and prevResult. Both are read before either is refused, so that no mistake hides another.
 * @throws CniError of the configuration if it has problems, with all others in the details; else that of prevResult
 */
export function inputsOf(conf: NetConf, readSet: ReadSet): Inputs {
  const read = readEffective(conf, readSet)
  try {
    const prev = parsePrevResult(conf.prevResult)
    if ('config' in read) return { config: read.config, prev }
  } catch (error) {
    if (conf.prevResult === undefined && Array.isArray(conf.plugins)) throw wholeList()
    if (!(error instanceof CniError) || 'config' in read) throw error
    // Trying again is of no use then.
    if (read.code === Code.tryAgainLater) throw refusal(error.code, [error.message, ...read.problems])
    throw refusal(read.code, [...read.problems, error.message])
  }
  throw refusal(read.code, read.problems)
}

/** Somebody calls the plugin by hand with the file of a network. */
function wholeList(): CniError {
  return new CniError(
    Code.invalidConfig,
    'stdin: a whole plugin list; write its entry of x-calico-route alone, with "cniVersion", "name" and "prevResult"',
  )
}
