import { execa } from 'execa'
import { CALICO } from '../../test/support/calico.ts'
import { destinations, ONE } from './scenarios.ts'

/** What root in a pod can fill it with. */
export interface HostileKind {
  readonly name: string
  /** A factor of four apart, which shows quadratic growth. */
  readonly sizes: { readonly quick: readonly number[]; readonly full: readonly number[] }
  /** Lines for ip(8), in the pod. */
  readonly lines: (count: number) => Iterable<string>
}

const VIA = `via ${CALICO[4]} dev eth0`
const FEW = { quick: [100, 400], full: [400, 1600, 6400] } as const
const MANY = { quick: [5000, 20_000], full: [20_000, 80_000, 300_000] } as const
const [CONFIGURED = ''] = destinations(ONE.routes)
const GROUP = 125
/** The metric of demoted default routes, see src/net/route.ts. */
const DEMOTED = 0xf0000000

/** An interface other than the plugin's. */
const OTHER = ['link add net9 type ifb', 'link set net9 up']

export const HOSTILE_KINDS: readonly HostileKind[] = [
  {
    name: 'routes of others',
    sizes: MANY,
    lines: (count) => each(count, (i) => `route add ${host(i)} ${VIA} proto static`),
  },
  {
    name: 'routes of protocol 142 on the NIC',
    sizes: MANY,
    lines: (count) => each(count, (i) => `route add ${host(i)} ${VIA} proto 142`),
  },
  {
    name: 'default routes',
    sizes: FEW,
    lines: (count) => each(count, (i) => `route add default ${VIA} metric ${i + 1}`),
  },
  {
    name: 'default routes of protocol 144',
    sizes: FEW,
    lines: (count) => each(count, (i) => `route add default ${VIA} proto 144 metric ${DEMOTED + i}`),
  },
  {
    name: `routes by a group of ${GROUP} next hops`,
    sizes: { quick: [30, 120], full: [500, 2000, 8000] },
    *lines(count) {
      yield* each(GROUP, (i) => `nexthop add id ${i + 1} ${VIA}`)
      yield `nexthop add id 1000 group ${[...each(GROUP, (i) => `${i + 1}`)].join('/')}`
      yield* each(count, (i) => `route add ${host(i)} nhid 1000`)
    },
  },
  {
    name: 'next hops of one route',
    sizes: { quick: [60, 250], full: [60, 230, 250] },
    lines: (count) => [`route add 172.16.0.0/12 ${[...each(count, () => `nexthop ${VIA}`)].join(' ')}`],
  },
  {
    name: 'routes to a configured destination',
    sizes: FEW,
    lines: (count) => each(count, (i) => `route add ${CONFIGURED} ${VIA} metric ${i + 1}`),
  },
  {
    name: 'addresses of another interface',
    sizes: FEW,
    *lines(count) {
      yield* OTHER
      yield* each(count, (i) => `addr add ${host(i)}/32 dev net9`)
    },
  },
  {
    name: 'interfaces',
    sizes: { quick: [60, 250], full: [250, 1000, 4000] },
    lines: (count) => each(count, (i) => `link add net${i} type ifb`),
  },
]

/** Fills a pod. @throws Error unless it then has as much as was asked for */
export async function fill(netns: string, { lines }: HostileKind, count: number): Promise<void> {
  const all = [...lines(count)]
  // A line of a batch takes a few hundred words, a command line more.
  const [long, short] = [true, false].map((isLong) => all.filter((line) => line.length > 4000 === isLong))
  await execa('ip', ['-n', netns, '-batch', '-'], { input: joined(short ?? []), stdout: 'ignore' })
  for (const line of long ?? []) await execa('ip', ['-n', netns, ...line.split(' ')])
}

function* each(count: number, text: (i: number) => string): Iterable<string> {
  for (let i = 0; i < count; i += 1) yield text(i)
}

function host(i: number): string {
  return `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}
