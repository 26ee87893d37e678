/** Proof by packets: a host that says who it is and whom it sees, and a pod that asks. */
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { inNetns, netnsPath } from './netns.ts'

const PORT = 7142
const FLOW_PORT = 7143
const script = (name: string) => fileURLToPath(new URL(`packets/${name}.ts`, import.meta.url))

/** Lets the host in a namespace answer every caller on all its addresses, until the host is closed. */
export async function host(netns: string, name: string): Promise<AsyncDisposable> {
  const child = execa('nsenter', [`--net=${netnsPath(netns)}`, process.execPath, script('host'), name, `${PORT}`])
  child.catch(() => {}) // ends by a signal, as it should
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), child])
  return {
    async [Symbol.asyncDispose]() {
      child.kill()
      await child.catch(() => {})
    },
  }
}

/** Packets that flow while something is done. */
export interface Flow {
  /** Ends it. For each address, how many packets were sent and how many of these were lost. */
  readonly end: () => Promise<Record<string, { readonly sent: number; readonly lost: number }>>
}

/** Sends packets from one namespace to addresses of another, which sends them back. Begins once all have answered. */
export async function flow(from: string, to: string, ...addresses: string[]): Promise<Flow> {
  const run = (netns: string, name: string, args: string[]) =>
    execa('nsenter', [`--net=${netnsPath(netns)}`, process.execPath, script(name), ...args])
  const echo = run(to, 'echo', [`${FLOW_PORT}`])
  echo.catch(() => {}) // ends by a signal, as it should
  await Promise.race([new Promise((resolve) => echo.stdout.once('data', resolve)), echo])
  const child = run(from, 'flow', [`${FLOW_PORT}`, ...addresses])
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), child])
  return {
    end: async () => {
      child.stdin.end()
      const { stdout } = await child
      echo.kill()
      return JSON.parse(stdout.split('\n').at(-1) ?? '')
    },
  }
}

/**
 * Calls addresses from inside a namespace. For each, what came back: `underlay sees 10.199.3.153`, or why nothing
 * did: `ENETUNREACH` (no route, nothing was sent), `EHOSTUNREACH`, or `no answer` within 4 s.
 */
export async function call<Address extends string>(
  netns: string,
  ...addresses: Address[]
): Promise<Record<Address, string>> {
  return JSON.parse(await inNetns(netns, process.execPath, [script('caller'), `${PORT}`, ...addresses]))
}
