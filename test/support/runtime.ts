/** The plugin as a runtime calls it: the environment is CNI_* and nothing else, the configuration comes on stdin. */
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import type { Pod } from './calico.ts'

export const PLUGIN = process.env.XCR_PLUGIN ?? fileURLToPath(new URL('../../dist/x-calico-route', import.meta.url))
/** The executable itself: PLUGIN may be what starts it, such as test/arm64/x-calico-route. */
export const EXECUTABLE = process.env.XCR_EXECUTABLE ?? PLUGIN

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION'
export type CniVersion = '0.3.0' | '0.3.1' | '0.4.0' | '1.0.0' | '1.1.0'

export interface CniResult {
  cniVersion: string
  interfaces?: { name: string; mac?: string; sandbox?: string }[]
  ips?: { address: string; interface?: number; gateway?: string; version?: string }[]
  routes?: { dst: string; gw?: string }[]
  dns?: object
}

export interface CniFailure {
  cniVersion: string
  code: number
  msg: string
  details?: string
}

/** A network configuration as libcni composes it, prevResult included. Text is passed on as it is. */
export type Config = { prevResult?: unknown; cniVersion?: CniVersion; [key: string]: unknown } | string

export interface Answer {
  stdout: string
  stderr: string
  exitCode: number
}

export const environment = (verb: Verb, pod: Pod): Record<string, string> => ({
  CNI_COMMAND: verb,
  CNI_CONTAINERID: 'c0ffee0123456789',
  CNI_NETNS: pod.path,
  CNI_IFNAME: pod.ifname,
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=tenant;K8S_POD_NAME=testvm',
  CNI_PATH: '/opt/cni/bin',
})

/** Runs the plugin to its end, whatever the outcome. `via` is a command that starts it, such as `nsenter …`. */
export async function run(env: Record<string, string>, config: Config, via: readonly string[] = []): Promise<Answer> {
  const [command = PLUGIN, ...args] = [...via, PLUGIN]
  const input =
    typeof config === 'string'
      ? config
      : JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', type: 'x-calico-route', ...config })
  const result = await execa(command, args, {
    input,
    env,
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
  })
  const { stdout, stderr, exitCode } = result
  if (exitCode === undefined) throw new Error(result.shortMessage) // not started, or ended by a signal
  return { stdout, stderr, exitCode }
}
