import { dispatch } from '../call/dispatch.ts'
import { rehearseStreams } from '../call/stdio.ts'
import { withNetns } from '../kernel/netns.ts'
import { withTurn } from '../kernel/turns.ts'

const CONF = {
  cniVersion: '1.0.0',
  name: 'rehearsal',
  routes: [
    { dst: '10.0.0.0/8', priority: 1, mtu: 1500 },
    { set: 'rehearsal', scope: 'link' },
  ],
  prevResult: {
    interfaces: [{ name: 'eth0' }],
    ips: [{ address: '10.0.0.1/32' }, { address: 'fd00::1/128' }],
    routes: [{ dst: '0.0.0.0/0' }],
  },
}
const DEFAULT = {
  dst: 'default',
  gateway: '169.254.1.1',
  dev: 'eth0',
  scope: '0',
  flags: [],
  metrics: [{ mtu: 1500 }],
}
const ADDED = [
  { dst: '10.0.0.0/8', gateway: '169.254.1.1', dev: 'eth0', protocol: '142', metric: 1, metrics: [{ mtu: 1500 }] },
  { dst: 'fd00::/8', dev: 'eth0', protocol: '142', metric: 1024, pref: 'medium' },
]
const LINK = {
  ifname: 'eth0',
  flags: ['UP'],
  linkinfo: { info_kind: 'veth' },
  addr_info: [{ local: '10.0.0.1' }, { local: 'fd00::1' }],
}
/** ip(8)'s answers, one for each question. */
const ANSWERS = {
  ADD: [[DEFAULT], [LINK], ADDED],
  DEL: [ADDED, [DEFAULT]],
}

/** Plays ip(8): gives the next answer to each question. */
const STAND_IN = `require('node:readline').createInterface(process.stdin).on('line', (line) => {
  if (line.includes(' show')) console.log(JSON.stringify(answers.shift()))
})`

/**
 * Takes an ADD and a DEL through everything, from stdin to the answer, while the start-up snapshot is built. The
 * snapshot then holds what zod and others prepare on first use, and the bytecode of every function on the way: no call
 * has to make it again.
 * @param node the executable that plays ip(8): the build machine may have neither nsenter, nor ip, nor root
 * @throws Error if a call fails
 */
export async function rehearse(node: string): Promise<void> {
  await rehearseStreams()
  for (const verb of ['ADD', 'DEL'] as const) {
    const env = { CNI_COMMAND: verb, CNI_CONTAINERID: 'c', CNI_NETNS: '/proc/self/ns/net', CNI_IFNAME: 'eth0' }
    const program = `const answers = ${JSON.stringify(ANSWERS[verb])}\n${STAND_IN}`
    const { stdout, exitCode } = await dispatch(env, {
      readStdin: async () => new TextEncoder().encode(JSON.stringify(CONF)),
      readSet: () => ({ file: 'rehearsal', prefixes: [{ family: 6, dst: 'fd00::/8', line: 1 }] }),
      withNetns: (path, limit, use) =>
        withNetns(path, limit, (netns) => use({ ...netns, own: false, enter: [node, '-e', program, '--'] })),
      // In the working directory, which is the build's own.
      withTurn: (container, work) => withTurn(container, work, '.'),
    })
    if (exitCode !== 0) throw new Error(`rehearsal of ${verb}: ${stdout}`)
  }
  // Node.js remembers when its next timer is due and does not ask the kernel for a later one. It forgets when a timer
  // fires. So let one fire: otherwise the timer that was armed and cleared above would, from the snapshot, block every
  // call's timer.
  await new Promise((resolve) => setTimeout(resolve, 1))
}
