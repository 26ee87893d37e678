import { setTimeout } from 'node:timers/promises'
import { routes } from '../../test/support/netns.ts'
import { calicoResult } from '../../test/support/results.ts'
import { type Config, environment, run, type Verb } from '../../test/support/runtime.ts'
import { type Configuration, changed } from './configurations.ts'
import { removePod, restore, type SoakPod } from './pods.ts'

/** How long one call took, in milliseconds. */
export type Clock = (verb: Verb, took: number) => void

/** ADD, CHECK and DEL in a pod. @throws Error unless the routes are right after each */
export async function live(pod: SoakPod, configuration: Configuration, clock: Clock): Promise<void> {
  const config = await attach(pod, configuration, clock)
  await quiet('DEL', pod, config, clock)
  expectRoutes('DEL', changed(pod.before, configuration.deleted), await routes(pod.netns))
  await restore(pod)
  expectRoutes('the cycle', pod.before, await routes(pod.netns))
}

/** The same, but the namespace is removed while DEL runs, and must then be gone. */
export async function die(pod: SoakPod, configuration: Configuration, clock: Clock): Promise<void> {
  const config = await attach(pod, configuration, clock)
  const del = quiet('DEL', pod, config, clock)
  // Each time at another moment of DEL.
  await Promise.all([del, setTimeout(Math.random() * 100).then(() => removePod(pod))])
}

async function attach(pod: SoakPod, configuration: Configuration, clock: Clock): Promise<Config> {
  const config = { ...configuration.keys, prevResult: calicoResult(pod) }
  const stdout = await call('ADD', pod, config, clock)
  expectRoutes('ADD', changed(pod.before, configuration.added), await routes(pod.netns))
  const done = { ...config, prevResult: JSON.parse(stdout) }
  await quiet('CHECK', pod, done, clock)
  return done
}

async function quiet(verb: Verb, pod: SoakPod, config: Config, clock: Clock): Promise<void> {
  const stdout = await call(verb, pod, config, clock)
  if (stdout !== '') throw new Error(`${verb} printed ${stdout}`)
}

async function call(verb: Verb, pod: SoakPod, config: Config, clock: Clock): Promise<string> {
  const started = performance.now()
  const { stdout, stderr, exitCode } = await run(environment(verb, pod), config)
  clock(verb, performance.now() - started)
  if (exitCode !== 0 || stderr !== '') throw new Error(`${verb}: exit status ${exitCode}: ${stdout}${stderr}`)
  return stdout
}

function expectRoutes(after: string, expected: readonly string[], found: readonly string[]): void {
  const missing = expected.filter((route) => !found.includes(route))
  const extra = found.filter((route) => !expected.includes(route))
  if (missing.length + extra.length === 0) return
  throw new Error(`after ${after} missing: ${missing.join(', ') || 'none'}; too many: ${extra.join(', ') || 'none'}`)
}
