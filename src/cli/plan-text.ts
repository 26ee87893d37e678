import type { CniError } from '../errors.ts'
import type { Op } from '../net/route.ts'
import type { DhcpPreview } from './dhcp.ts'
import { type Paint, painter, printable } from './paint.ts'
import type { DiffLine } from './route-diff.ts'

/** What a call would do. */
export interface Plan {
  readonly verb: 'ADD' | 'DEL'
  readonly ifname: string
  readonly ops: readonly Op[]
  readonly batch: readonly string[]
  readonly diff: readonly DiffLine[]
  readonly result?: unknown
  /** Where prevResult is from, which the Result starts from. */
  readonly prevResultFrom?: string
  readonly dhcp?: DhcpPreview
  readonly warnings: readonly string[]
}

/** A plan for people to read. */
export function planText(
  { verb, ifname, batch, diff, result, prevResultFrom, dhcp, warnings }: Plan,
  colors: boolean,
): string {
  const paint = painter(colors)
  const width = Math.max(0, ...diff.map(({ route }) => route.length))
  const routes = diff.map(({ mark, route, why }) =>
    painted(printable(`${mark} ${why === undefined ? route : `${route.padEnd(width)}  # ${why}`}`), paint),
  )
  const sections = [
    [`Routes of the pod after ${verb} of ${ifname}:`, ...(routes.length > 0 ? routes : ['  none'])],
    [
      'Lines for ip -batch:',
      ...(batch.length > 0 ? batch.map((line) => `  ${printable(line)}`) : ['  none; there is nothing to do']),
    ],
    ...(result === undefined
      ? []
      : [[`Result (prevResult is from ${prevResultFrom}):`, indented(JSON.stringify(result, null, 2))]]),
    ...(dhcp ? [['By DHCP, a KubeVirt VM on this NIC (bridge binding) would get:', ...dhcpLines(dhcp)]] : []),
  ]
  const warned = [...warnings, ...(dhcp?.warnings ?? []).map((warning) => `for a KubeVirt VM: ${warning}`)]
  const tail = warned.length > 0 ? [warned.map((warning) => paint('yellow', `warning: ${printable(warning)}`))] : []
  return `${[...sections, ...tail].map((lines) => lines.join('\n')).join('\n\n')}\n`
}

/** Colours what comes and what goes. */
export function painted(line: string, paint: Paint): string {
  if (line.startsWith('+')) return paint('green', line)
  return line.startsWith('-') ? paint('red', line) : line
}

function dhcpLines({ offer }: DhcpPreview): string[] {
  if (!offer) return ['  nothing, because no IPv4 route is left']
  const routes = offer.classlessRoutes.map(({ dst, gw }) => `${dst} ${gw === '0.0.0.0' ? 'on-link' : `via ${gw}`}`)
  return [
    `  router (option 3):             ${offer.router ?? 'none'}`,
    ...routes.map((route, i) => `  ${(i === 0 ? 'classless routes (option 121):' : '').padEnd(30)} ${route}`),
  ]
}

/** The same for programs. */
export function planJson({ ops, ...rest }: Plan): object {
  const { verb, ifname, ...more } = rest
  return { verb, ifname, ops: ops.map(({ origin: { path }, ...op }) => ({ ...op, why: path })), ...more }
}

/** @param error a refusal, or why nothing can be planned */
export function refusalJson(verb: string, ifname: string, { code, message: msg, details }: CniError): object {
  return { verb, ifname, error: { code, msg, details } }
}

/** A refusal as the operator would see it. */
export function refusalText(verb: string, { code, message, details }: CniError): string {
  const said = details === undefined ? message : `${message}; ${details}`
  return `plugin type="x-calico-route" failed (${verb.toLowerCase()}): ${said}\nThe pod would be left as it is (code ${code}).\n`
}

function indented(text: string): string {
  return text.replace(/^/gm, '  ')
}
