import type { Family } from './address.ts'
import { type Origin, PROTOCOL } from './route.ts'

/**
 * A rule: which table a packet is looked up in. Ours bear the protocol number of our routes.
 * @see ip-rule(8)
 */
export interface Rule {
  readonly family: Family
  readonly priority: number
  /** With prefix length. */
  readonly from: string
  /** Only packets that came in by this interface, which need not exist. */
  readonly iif?: string
  readonly table: number
  readonly protocol: number
  /** It has other selectors or actions, so it is not one of ours. */
  readonly more?: true
}

/** A change to the pod's rules. */
export interface RuleOp {
  readonly op: 'add' | 'del'
  readonly rule: Rule
  readonly origin: Origin
}

export function isOurRule({ protocol, more }: Rule): boolean {
  return protocol === PROTOCOL && more === undefined
}

export function sameRule(a: Rule, b: Rule): boolean {
  return (
    a.from === b.from &&
    a.table === b.table &&
    a.priority === b.priority &&
    a.iif === b.iif &&
    a.protocol === b.protocol &&
    a.more === b.more
  )
}

/** A rule as ip(8) reads it. */
export function ruleWords({ from, iif, table, priority, protocol }: Rule): string[] {
  return [
    'from',
    from,
    ...(iif === undefined ? [] : ['iif', iif]),
    'table',
    String(table),
    'priority',
    String(priority),
    'protocol',
    String(protocol),
  ]
}

/** A rule for messages: `rule from 10.199.3.153/32 table 100 priority 14200 protocol 142`. */
export function ruleText(rule: Rule): string {
  return ['rule', ...ruleWords(rule), ...(rule.more ? ['and', 'more'] : [])].join(' ')
}
