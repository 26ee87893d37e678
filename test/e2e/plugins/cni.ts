/** What the tests' own CNI plugins share: the call as the runtime makes it, its IPAM plugin, and the two ways to answer. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

export interface Conf {
  cniVersion: string
  ipam?: { type: string; [key: string]: unknown }
  prevResult?: Result
  [key: string]: unknown
}

export interface Result {
  cniVersion: string
  interfaces?: { name: string; mac?: string; sandbox?: string }[]
  ips?: { address: string; gateway?: string; interface?: number; version?: string }[]
  routes?: { dst: string; gw?: string }[]
}

const { CNI_COMMAND = '', CNI_CONTAINERID = '', CNI_NETNS = '', CNI_IFNAME = '', CNI_PATH = '' } = process.env

export const call = {
  command: CNI_COMMAND,
  container: CNI_CONTAINERID,
  netns: CNI_NETNS,
  ifname: CNI_IFNAME,
  path: CNI_PATH,
}

export const readConf = (): Conf => JSON.parse(readFileSync(0, 'utf8'))

/** Calls the configuration's IPAM plugin, as the call itself was made but for the command. @returns its output */
export function ipam(conf: Conf, command: 'ADD' | 'DEL'): string {
  const type = conf.ipam?.type ?? ''
  const plugin = call.path
    .split(':')
    .map((directory) => `${directory}/${type}`)
    .find(existsSync)
  if (!plugin) fail(conf, 7, `no IPAM plugin "${type}" in ${call.path}`)
  const env = { ...process.env, CNI_COMMAND: command }
  return execFileSync(plugin, { env, input: JSON.stringify(conf), encoding: 'utf8' })
}

export const print = (document: unknown): void => console.log(JSON.stringify(document))

export function fail(conf: Conf, code: number, msg: string): never {
  print({ cniVersion: conf.cniVersion, code, msg })
  process.exit(1)
}

export const version = (): void =>
  print({ cniVersion: '1.1.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] })
