import { boundArgs } from '../cni/pod-args.ts'
import {
  checkEnv,
  decodeText,
  type Env,
  isObject,
  parseDocument,
  parseRequest,
  type Request,
  versionAnswer,
  versionOf,
} from '../cni/request.ts'
import { isDry } from '../config/overrides.ts'
import { isAbsolutePath, LOG_LEVELS } from '../config/schema.ts'
import { CniError, Code, listed, messageOf } from '../errors.ts'
import { withNetns } from '../kernel/netns.ts'
import { readSet } from '../kernel/set-file.ts'
import { type WithTurn, withTurn } from '../kernel/turns.ts'
import { add } from '../verbs/add.ts'
import { check } from '../verbs/check.ts'
import { del } from '../verbs/del.ts'
import type { Outcome } from '../verbs/outcome.ts'
import type { Outside } from '../verbs/outside.ts'
import { status } from '../verbs/status.ts'
import { type LogTarget, log } from './log.ts'
import { readStdinAtOnce, readStdinInTime } from './stdio.ts'

export interface Reply {
  readonly stdout: string
  readonly exitCode: 0 | 1
}

/** A record is one line, for people and programs to read. */
const MAX_LOGGED = 1000

/** How a call reaches the outside world. The rehearsal brings its own. */
export interface Surroundings extends Outside {
  readonly readStdin: () => Promise<Uint8Array>
  readonly withTurn: WithTurn
}
const THE_SYSTEM: Surroundings = { readStdin: readStdinInTime, withNetns, readSet, withTurn }

/**
 * One call of a runtime, from its environment to its answer. Never throws: every failure becomes the error object of
 * the specification, on stdout.
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#error
 */
export async function dispatch(env: Env, outside: Surroundings = THE_SYSTEM): Promise<Reply> {
  // Answered whatever is on stdin: this is how a runtime finds out which versions it may use.
  if (env.CNI_COMMAND === 'VERSION') return printed(versionAnswer(await readStdinAtOnce()))

  const started = Date.now()
  let document: unknown
  try {
    checkEnv(env)
    const { text, refusal } = boundArgs(decodeText(await outside.readStdin()))
    document = parseDocument(text)
    if (refusal && env.CNI_COMMAND !== 'DEL') throw refusal
    const request = parseRequest(env, document)
    const outcome = await run(request, outside)
    const { warning, routes } = outcome
    const level = warning === undefined ? 'info' : 'warn'
    log(logTarget(document), {
      level,
      ...subject(env, document, started),
      outcome: 'ok',
      warning,
      routes: routes && listed(routes, MAX_LOGGED),
    })
    return 'result' in outcome ? printed(outcome.result) : { stdout: '', exitCode: 0 }
  } catch (error) {
    const { code, message, details } =
      error instanceof CniError ? error : new CniError(Code.internal, `internal error: ${messageOf(error)}`)
    log(logTarget(document), {
      level: 'error',
      ...subject(env, document, started),
      outcome: 'error',
      code,
      msg: message,
      details,
    })
    return { ...printed({ cniVersion: versionOf(document), code, msg: message, details }), exitCode: 1 }
  }
}

function run(request: Request, outside: Surroundings): Promise<Outcome> | Outcome {
  switch (request.verb) {
    case 'ADD':
      return inTurn(request, outside, () => add(request, outside))
    case 'DEL':
      return inTurn(request, outside, () => del(request, outside))
    case 'CHECK':
      return check(request, outside)
    case 'STATUS':
      return status(request)
    case 'GC':
      return {} // Routes are gone with their namespace: there is never anything to collect.
    default:
      throw request satisfies never
  }
}

/** Does the work of a call that changes the pod, while no repair does. */
function inTurn(
  { containerId, netns, conf }: Request & { verb: 'ADD' | 'DEL' },
  { withTurn }: Surroundings,
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  return netns === '' || isDry(conf) ? work() : withTurn(containerId, work)
}

function printed(value: unknown): Reply {
  return { stdout: `${JSON.stringify(value)}\n`, exitCode: 0 }
}

/** What every record says of its call. */
function subject(env: Env, document: unknown, started: number): Record<string, unknown> {
  return {
    verb: env.CNI_COMMAND,
    network: isObject(document) && typeof document.name === 'string' ? document.name : undefined,
    container: env.CNI_CONTAINERID,
    netns: env.CNI_NETNS,
    ifname: env.CNI_IFNAME,
    durationMs: Date.now() - started, // performance.now() would load a module for it
  }
}

/** The log keys, read even from an invalid configuration: a failed call is logged where the operator looks. */
function logTarget(document: unknown): LogTarget {
  const { logLevel, logFile } = isObject(document) ? document : {}
  return {
    logLevel: LOG_LEVELS.find((level) => level === logLevel) ?? 'info',
    ...(typeof logFile === 'string' && isAbsolutePath(logFile) ? { logFile } : {}),
  }
}
