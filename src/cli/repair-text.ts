import { allOf, noRows, stateTable, unreadableText } from './node-text.ts'
import { type Paint, painter, printable } from './paint.ts'
import { painted } from './plan-text.ts'
import type { Repair } from './repair-node.ts'
import type { One } from './repair-one.ts'
import { KEY_AFTER, type PodRepair } from './repair-pod.ts'
import type { Cache, Pod } from './result-cache.ts'

/** What became of the pods of a node. */
export interface Repaired {
  readonly repairs: readonly Repair[]
  readonly unreadable: Cache['unreadable']
  readonly dryRun: boolean
}

/** Whether there is nothing to say to who wants to know only what is wrong. */
export function isFine({ state }: Pick<Repair, 'state'>): boolean {
  return state === 'ok' || state === 'repaired' || state === 'gone' || state === 'unknown'
}

export function repairsText(
  { repairs, unreadable, dryRun }: Repaired,
  caches: readonly string[],
  quiet: boolean,
  colors: boolean,
): string {
  const paint = painter(colors)
  const told = quiet ? repairs.filter((one) => !isFine(one)) : repairs
  const broken = unreadableText(unreadable)
  if (told.length === 0) return quiet || broken !== '' ? broken : noRows(caches)
  const rows = told.map(({ pod, ...repair }) => ({
    ...repair,
    cells: [pod.container.slice(0, 12), nameOf(pod) ?? '-', ifnamesOf(pod).join(',')],
  }))
  const changes = told.map((repair) => changesText(repair, dryRun, paint))
  return [stateTable(['CONTAINER', 'POD', 'IFNAME'], rows, paint) + broken, ...changes.filter(Boolean)].join('\n')
}

function changesText({ pod, state, lines }: Repair, dryRun: boolean, paint: Paint): string {
  if (lines.length === 0 || (state !== 'repaired' && !dryRun)) return ''
  const name = printable(nameOf(pod) ?? pod.container)
  return textOf([`${name}, ${dryRun ? 'to be changed' : 'changed'}:`, ...lines], paint)
}

function textOf(lines: readonly string[], paint: Paint): string {
  return aligned(lines)
    .map((line) => `${painted(printable(line), paint)}\n`)
    .join('')
}

/** The keys below one another, as plan prints them. */
function aligned(lines: readonly string[]): string[] {
  const parts = lines.map((line) => line.split(KEY_AFTER))
  const width = parts.reduce(
    (widest, [route = '', key]) => (key === undefined ? widest : Math.max(widest, route.length)),
    0,
  )
  return parts.map(([route = '', ...key]) => [key.length > 0 ? route.padEnd(width) : route, ...key].join(KEY_AFTER))
}

export function repairsJson({ repairs, unreadable, dryRun }: Repaired): object {
  return { dryRun, pods: repairs.map(podJson), unreadable }
}

function podJson({ pod, ...repair }: Repair): object {
  const { container, netns, attachments } = pod
  const nics = attachments.map(({ network, ifname }) => ({ network, ifname }))
  return { container, pod: nameOf(pod), netns, attachments: nics, ...stateJson(repair) }
}

function stateJson({ state, lines, ...rest }: PodRepair): object {
  if (state === 'differs' || state === 'repaired') return { state, differences: allOf(rest), changes: lines }
  return { state, ...(rest.said.length > 0 ? { message: rest.said.join('; ') } : {}) }
}

/** What became of the pod of one NIC. */
export function oneText({ ifname }: One, { state, said, more, lines }: PodRepair, colors: boolean): string {
  const told = state === 'ok' || state === 'repaired' ? [`${ifname}: ${state}`] : allOf({ said, more })
  return textOf([...told, ...lines], painter(colors))
}

export function oneJson({ netns, ifname }: One, repair: PodRepair): object {
  return { netns, ifname, ...stateJson(repair) }
}

const nameOf = ({ attachments }: Pod) => attachments.find(({ pod }) => pod !== undefined)?.pod

const ifnamesOf = ({ attachments }: Pod) => [...new Set(attachments.map(({ ifname }) => ifname))]
