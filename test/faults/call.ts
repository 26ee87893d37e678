/** One call of the plugin while something goes wrong, and what there is when all is over. */
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { netnsPath } from '../support/netns.ts'
import { type Config, environment, PLUGIN, type Verb } from '../support/runtime.ts'
import { type Host, hostWhereIpIs } from '../support/tools.ts'
import { stateOf } from './pod.ts'
import { heardIn, type Injection, livingIn, standIn } from './stand-in.ts'

export interface Ending {
  /** The error code, 0 for success, the signal the plugin ended by, or where stdout leads nowhere: `exit 1`. */
  readonly code: number | string
  /** A success of which stderr tells that something is amiss. */
  readonly warned: boolean
  readonly stdout: string
  /** `msg` and `details` of the error object. */
  readonly text: string
  readonly state: string
  /** The lines that ip(8) was given, by conversation. */
  readonly lines: readonly (readonly string[])[]
  /** What must never be, whatever happens. */
  readonly violations: readonly string[]
}

export interface Circumstances {
  readonly injections?: readonly Injection[]
  /** Another host than one with the stand-in for `ip`. */
  readonly host?: () => Host
  /** A command that starts the plugin. */
  readonly via?: readonly string[]
  /** What is printed goes nowhere. */
  readonly deaf?: boolean
}

export async function call(
  netns: string,
  verb: Verb,
  config: Config & object,
  {
    injections = [],
    host: makeHost = () => hostWhereIpIs(standIn(netnsPath(netns), injections)),
    via = [],
    deaf = false,
  }: Circumstances = {},
): Promise<Ending> {
  using host = makeHost()
  const env = environment(verb, { netns, path: netnsPath(netns), ifname: 'eth0', families: [4, 6] })
  const [command = '', ...args] = [...host.via, ...via, PLUGIN]
  const input = JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', type: 'x-calico-route', ...config })
  const answer = await execa(command, args, { input, env, extendEnv: false, reject: false, stripFinalNewline: false })
  const { stdout, stderr, signal, exitCode } = answer

  // A child outlives a plugin that was killed for as long as its lines take.
  const alive = () => livingIn(host.directory)
  for (let tries = 0; signal !== undefined && tries < 500 && alive().length > 0; tries += 1) await sleep(10)
  const leaked = alive().map((pid) => `process ${pid} is left running`)
  const { lines, missed } = heardIn(host.directory, injections)
  const verdict =
    signal !== undefined
      ? { code: signal, text: '', violations: stdout === '' ? [] : [`killed, and printed ${stdout}`] }
      : deaf
        ? { code: `exit ${exitCode}`, text: '', violations: [] }
        : judge(verb, exitCode, stdout)
  return {
    ...verdict,
    violations: [...verdict.violations, ...leaked, ...missed],
    warned: exitCode === 0 && stderr.includes('"level":"warn"'),
    stdout,
    state: await stateOf(netns),
    lines,
  }
}

/** Exit status and stdout must say the same: 0 and the Result of ADD, or nothing; 1 and one error object. */
function judge(verb: Verb, exitCode: number | undefined, stdout: string): Pick<Ending, 'code' | 'text' | 'violations'> {
  const document = /^\{[^\n]*\}\n$/.test(stdout) ? JSON.parse(stdout) : undefined
  if (exitCode === 0) {
    const right = verb === 'ADD' ? document && !('code' in document) : stdout === ''
    return { code: 0, text: '', violations: right ? [] : [`exit status 0, and printed ${stdout}`] }
  }
  if (exitCode !== 1 || typeof document?.code !== 'number')
    return { code: `exit ${exitCode}`, text: '', violations: [`exit status ${exitCode}, and printed ${stdout}`] }
  const { code, msg, details = '' } = document
  // The subject first: a key path, a variable, a command, an interface.
  return { code, text: `${msg}; ${details}`, violations: /^[\w[\].]+: [^\n]+$/.test(msg) ? [] : [`msg: ${msg}`] }
}
