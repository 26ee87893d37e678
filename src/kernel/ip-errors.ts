import { CniError, Code, messageOf, oneLine, TooMuch } from '../errors.ts'
import { type Netns, notANetns } from './netns.ts'
import { TOOL_PATH } from './tools.ts'

/** How a process ended: its exit status, or the name of the signal that killed it. */
export type Ending = number | string | null | undefined

export function endingText(ending: Ending): string {
  return typeof ending === 'string' ? `signal ${ending}` : `exit status ${ending}`
}

/** What spawn(2) refused. */
export function spawnError(error: NodeJS.ErrnoException): CniError {
  if (error.code === 'ENOENT' || error.code === 'EACCES')
    return missing('nsenter', 'util-linux', messageOf(error), error)
  return new CniError(Code.commandFailed, 'nsenter: could not be started', messageOf(error), error)
}

/** Why a child ended before it had answered its questions. The only place that reads the tools' own words. */
export function noAnswer(netns: Netns, ending: Ending, stderr: string): CniError {
  const text = oneLine(stderr)
  if (/failed to execute ip/.test(text)) return missing('ip', 'iproute2', text)
  if (/Option "-(?:json|Numeric|details)" is unknown/.test(text)) {
    return new CniError(Code.toolMissing, 'ip: too old on this node; install iproute2 5.3 or newer', text)
  }
  if (/reassociate to namespace.*Invalid argument/.test(text)) return notANetns(netns.path)
  if (/Operation not permitted/.test(text)) {
    return new CniError(Code.commandFailed, `nsenter: cannot enter ${netns.path}; the plugin needs CAP_SYS_ADMIN`, text)
  }
  // A route must fit into one message of 32 KiB, which some 240 next hops fill.
  // @see linux net/ipv4/fib_semantics.c fib_dump_info
  if (/Buffer too small/.test(text)) {
    const says =
      "the kernel cannot show the pod's routes: one has too many next hops; somebody with CAP_NET_ADMIN in the pod made it and must remove it"
    return new TooMuch(`ip: ${says}`, text)
  }
  return new CniError(Code.commandFailed, `ip: gave no answer (${endingText(ending)})`, text)
}

function missing(tool: string, debianPackage: string, details: string, cause?: unknown): CniError {
  const message = `${tool}: not found on this node in ${TOOL_PATH}; install ${debianPackage}`
  return new CniError(Code.toolMissing, message, details, cause)
}
