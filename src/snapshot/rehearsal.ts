import { dispatch } from '../call/dispatch.ts'
import { rehearseStreams } from '../call/stdio.ts'
import { withNetns } from '../kernel/netns.ts'

const CONF = {
  cniVersion: '1.0.0',
  name: 'rehearsal',
  routes: [
    { dst: '10.0.0.0/8', priority: 1, mtu: 1500 },
    { dst: 'fd00::/8', scope: 'link' },
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
/** What ip(8) answers, one line for each question. */
const ANSWERS = {
  ADD: [[DEFAULT], [LINK], ADDED],
  DEL: [ADDED, [DEFAULT]],
}

/** Plays ip(8) for the rehearsal: an answer for each question. */
const STAND_IN = `require('node:readline').createInterface(process.stdin).on('line', (line) => {
  if (line.includes(' show')) console.log(JSON.stringify(answers.shift()))
})`

/**
 * Takes an ADD and a DEL through everything, from the document to the answer, while the start-up snapshot is built: what zod
 * and others prepare on first use, and the bytecode of every function on the way, is then in the snapshot, and no call has
 * to make it again.
 * @param node the executable that plays ip(8): where this is built, there may be neither nsenter nor ip, nor root
 * @throws Error if a call fails
 */
export async function rehearse(node: string): Promise<void> {
  await rehearseStreams()
  for (const verb of ['ADD', 'DEL'] as const) {
    const env = { CNI_COMMAND: verb, CNI_CONTAINERID: 'c', CNI_NETNS: '/proc/self/ns/net', CNI_IFNAME: 'eth0' }
    const program = `const answers = ${JSON.stringify(ANSWERS[verb])}\n${STAND_IN}`
    const { stdout, exitCode } = await dispatch(env, {
      readStdin: async () => new TextEncoder().encode(JSON.stringify(CONF)),
      withNetns: (path, limit, use) =>
        withNetns(path, limit, (netns) => use({ ...netns, own: false, enter: [node, '-e', program, '--'] })),
    })
    if (exitCode !== 0) throw new Error(`rehearsal of ${verb}: ${stdout}`)
  }
  // Node.js remembers when the next timer ends, and asks the kernel for none that ends later; it forgets when a timer fires.
  // Else the time limit armed and cleared above would, from the snapshot, keep that of a call from ever coming.
  await new Promise((resolve) => setTimeout(resolve, 1))
}
