import { batchLine, needsIpv6 } from '../net/iproute2.ts'
import type { Op } from '../net/route.ts'
import type { Rule } from '../net/rule.ts'
import { converse, type Failure, type Ip, type Told } from './ip.ts'
import { type Look, RULES6 } from './look.ts'
import type { Netns } from './netns.ts'

/** What the kernel held, and how to change it. */
export interface Discussion<S> {
  readonly heard: S
  /** The kernel's tables changed while they were listed. */
  readonly blurred: boolean
  /** Carries out operations, those that `isLate` last, and looks. Never throws. */
  readonly tell: (ops: readonly Op[], look: Look<S> | undefined) => Promise<Told<S>>
  /** Only looks. Never throws. */
  readonly lookUp: (look: Look<void> | undefined) => Promise<Told<void>>
}

/** IPv6 rules come after everything else, because another process makes them. */
export const isLate = needsIpv6

/**
 * A look, and what follows from it, in one ip(8). Its batch can do nothing about IPv6 rules: if there may be any, a second
 * ip(8) is asked and told of those.
 * @param onError whether an operation that fails ends it, or the others are carried out all the same
 * @throws what `ask` of a conversation throws
 */
export async function discuss<S, T>(
  netns: Netns,
  onError: 'stop' | 'go on',
  look: Look<S>,
  use: (discussion: Discussion<S>) => Promise<T>,
): Promise<T> {
  return converse(netns, onError, async (ip) => {
    const { heard, blurred } = await ip.ask(look)
    const lookUp = (another: Look<void> | undefined) => ip.tell([], another)
    if (blurred || !look.rules6?.(heard))
      return use({ heard, blurred, tell: (ops, again) => ip.tell(ops.map(batchLine), again), lookUp })
    return converse(
      netns,
      onError,
      async (ip6) => {
        const rules = await rulesOf(ip6, look.goesOn)
        if ('missed' in rules)
          return use({ heard, blurred, tell: (ops, again) => tellOne(ip, ops, again, rules), lookUp })
        return use({
          heard: withRules(heard, rules.heard),
          blurred: rules.blurred,
          tell: (ops, again) => tellBoth({ ip, ip6 }, ops, again, onError),
          lookUp,
        })
      },
      ['-6'],
    )
  })
}

function withRules<S>(heard: S, more: readonly Rule[]): S {
  const { rules = [] } = heard as { readonly rules?: readonly Rule[] }
  return { ...heard, rules: [...rules, ...more] }
}

/** Why IPv6 rules could not be listed. */
interface Missed {
  readonly missed: unknown
}

/** @throws what `ask` throws, unless the look goes on without */
async function rulesOf(ip6: Ip, goesOn = false): Promise<Awaited<ReturnType<typeof askForRules>> | Missed> {
  try {
    return await askForRules(ip6)
  } catch (missed) {
    if (!goesOn) throw missed
    return { missed }
  }
}

const askForRules = (ip6: Ip) => ip6.ask(RULES6)

/** Without IPv6 rules, nobody knows all that there is. */
async function tellOne<S>(ip: Ip, ops: readonly Op[], look: Look<S> | undefined, { missed }: Missed): Promise<Told<S>> {
  const lines = ops.filter((op) => !isLate(op)).map(batchLine)
  const { blurred, failure } = await ip.tell(lines, look)
  return { blurred, failure: failure ?? { carriedOut: lines.length, stderr: '', error: missed } }
}

async function tellBoth<S>(
  { ip, ip6 }: { readonly ip: Ip; readonly ip6: Ip },
  ops: readonly Op[],
  look: Look<S> | undefined,
  onError: 'stop' | 'go on',
): Promise<Told<S>> {
  const early = ops.filter((op) => !isLate(op))
  const told = await ip.tell(early.map(batchLine), look)
  if (told.failure && onError === 'stop') return told
  const late = await ip6.tell(ops.filter(isLate).map(batchLine), look && RULES6)
  const failure = told.failure ?? (late.failure && after(early.length, late.failure))
  const { heard } = told
  return {
    blurred: told.blurred || late.blurred,
    ...(failure ? { failure } : {}),
    ...(heard !== undefined && late.heard ? { heard: withRules(heard, late.heard) } : {}),
  }
}

/** A failure in a batch that came after so many other lines. */
function after(lines: number, { carriedOut, ...failure }: Failure): Failure {
  return { ...failure, carriedOut: carriedOut === undefined ? undefined : lines + carriedOut }
}
