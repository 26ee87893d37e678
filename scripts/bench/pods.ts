import { execa } from 'execa'
import { CALICO, POD, POD_MAC } from '../../test/support/calico.ts'
import { configure, createNamespaces, netnsPath } from '../../test/support/netns.ts'

/** Contains all configured routes and nothing else, so that one command removes them, whoever made them. */
const CONFIGURED = '10.128.0.0/9'
const PROTOCOL = 142

export interface Pods {
  /** The path of the namespaces without their number. */
  readonly path: string
  /** The name of the first. */
  readonly first: string
  /** Brings the first `count` pods into a state: `fresh` as Calico leaves a pod, `done` as ADD of `routes` leaves it. */
  readonly reset: (count: number, state: 'fresh' | 'done', routes: readonly string[]) => Promise<void>
  /** Whether the first pod is as ADD of `routes` should leave it. */
  readonly isDone: (routes: readonly string[]) => Promise<boolean>
}

/** Pods as Calico makes them, each with its own veth pair, and each with `bystanders` routes of others. */
export async function createPods(count: number, bystanders = 0): Promise<Pods> {
  const roles = Array.from({ length: count }, (_, i) => `pod${i}`)
  const names = Object.values(await createNamespaces(...roles))
  // A few at a time: the kernel takes longer to make links than this process to ask for them.
  for (let i = 0; i < names.length; i += 10) {
    await Promise.all(names.slice(i, i + 10).map((name) => configure(name, WIRING)))
  }
  const first = names[0] ?? ''
  if (bystanders > 0) await Promise.all(names.map((name) => ip(name, batch(others(bystanders)))))
  return {
    path: netnsPath(first).replace(/0$/, ''),
    first,
    async reset(pods, state, routes) {
      const script = batch([`route flush root ${CONFIGURED}`, ...(state === 'fresh' ? DEFAULTS : done(routes))])
      await withoutRules(first)
      for (let i = 0; i < pods; i += 100)
        await Promise.all(names.slice(i, Math.min(i + 100, pods)).map((name) => ip(name, script)))
    },
    async isDone(routes) {
      const { stdout } = await execa('ip', ['-n', first, '-json', 'route', 'show', 'table', 'main'])
      const present = new Set((JSON.parse(stdout) as { dst: string }[]).map(({ dst }) => dst))
      return !present.has('default') && routes.every((dst) => present.has(dst))
    },
  }
}

const DEFAULTS = [`route replace default via ${CALICO[4]} dev eth0`, `route replace ::/0 via ${CALICO[6]} dev eth0`]

const WIRING = `
  sysctl net.ipv6.conf.default.accept_dad=0
  link set lo up
  link add eth0 address ${POD_MAC} type veth peer name cali0
  link set eth0 up
  link set cali0 up
  route add ${CALICO[4]} dev eth0 scope link
  addr add ${POD[4]}/32 dev eth0
  addr add ${POD[6]}/128 dev eth0 nodad
  ${DEFAULTS.join('\n')}`

function others(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const address = `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`
    return `route add ${address}/32 via ${CALICO[4]} dev eth0 proto static`
  })
}

function done(routes: readonly string[]): string[] {
  return [
    ...routes.map((dst) => `route replace ${dst} via ${CALICO[4]} dev eth0 proto ${PROTOCOL}`),
    'route del 0.0.0.0/0 dev eth0',
    'route del ::/0 dev eth0',
  ]
}

/** Only in the first pod are rules made. Without them the route in their table plays no part. */
async function withoutRules(netns: string): Promise<void> {
  for (const family of ['-4', '-6'])
    await execa('ip', ['-n', netns, family, 'rule', 'flush', 'protocol', String(PROTOCOL)])
}

/** Goes on after a line that has nothing to do. */
async function ip(netns: string, script: string): Promise<void> {
  await execa('ip', ['-n', netns, '-force', '-batch', '-'], { input: script, reject: false })
}

function batch(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}
