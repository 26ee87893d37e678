import type { Family } from './address.ts'
import { batchProblem } from './ifname.ts'
import { number, parseAnswer, prefixOf } from './iproute2.ts'
import { BOOT_PROTOCOL } from './route.ts'
import type { Rule } from './rule.ts'

/** Lists the rules of IPv4, or those of IPv6 if ip(8) was called with -6. @see ip-rule(8) */
export const SHOW_RULES = 'rule show'

// What `ip -json -details rule` prints, as far as it matters to us.
interface RuleJson {
  priority?: number
  src?: string
  srclen?: number
  iif?: string
  table?: string
  protocol?: string
}

/** The keys that a rule of ours has, as it is printed. */
const KEYS: ReadonlySet<string> = new Set(['priority', 'src', 'srclen', 'iif', 'iif_detached', 'table', 'protocol'])

/** The rules of a `rule show` answer that lead to a table. @throws SyntaxError if it is not JSON */
export function parseRules(answer: string, family: Family): Rule[] {
  return parseAnswer<RuleJson>(answer).flatMap((json): Rule[] => {
    const { priority = 0, src = 'all', srclen, iif, table, protocol = BOOT_PROTOCOL } = json
    if (table === undefined) return []
    const from = prefixOf(src === 'all' ? 'default' : srclen === undefined ? src : `${src}/${srclen}`, family)
    return [
      {
        family,
        priority: number(priority),
        from,
        ...(iif === undefined ? {} : { iif }),
        table: number(table),
        protocol: number(protocol),
        ...(isPlain(json) ? {} : { more: true as const }),
      },
    ]
  })
}

/** Whether it can be one of ours. No name of ours is one that could not be written again. */
function isPlain(json: RuleJson): boolean {
  return Object.keys(json).every((key) => KEYS.has(key)) && batchProblem(json.iif ?? '') === undefined
}
