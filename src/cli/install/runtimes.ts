import path from 'node:path'
import { Trouble } from '../command.ts'
import type { NodeFiles } from './node-files.ts'
import { kubeletSocket, optionIn, type Process, processesOf, socketPath } from './processes.ts'
import { containerdOf, crioOf, type RuntimeConfig } from './runtime-config.ts'
import { type ConfigFile, parseToml, stringsIn } from './toml.ts'

/** A container runtime of the node, as it is configured. */
export interface Runtime extends RuntimeConfig {
  readonly name: 'containerd' | 'CRI-O'
  readonly socket: string
}

/** What could be a loop, or not a configuration. */
const MAX_FILES = 200

const CONTAINERD_SOCKET = '/run/containerd/containerd.sock'
const CRIO_SOCKET = '/run/crio/crio.sock'
const CRIO_CONFIG = '/etc/crio/crio.conf'
const CRIO_DIRECTORY = '/etc/crio/crio.conf.d'

/** Where distributions have the configuration of their containerd, and its socket. */
const CONTAINERD_FILES = {
  '/etc/containerd/config.toml': CONTAINERD_SOCKET,
  // Flatcar
  '/usr/share/containerd/config.toml': CONTAINERD_SOCKET,
  // Talos
  '/etc/cri/containerd.toml': CONTAINERD_SOCKET,
  '/var/lib/rancher/k3s/agent/etc/containerd/config.toml': '/run/k3s/containerd/containerd.sock',
  '/var/lib/rancher/rke2/agent/etc/containerd/config.toml': '/run/k3s/containerd/containerd.sock',
  '/etc/k0s/containerd.toml': '/run/k0s/containerd.sock',
  // MicroK8s
  '/var/snap/microk8s/current/args/containerd.toml': '/var/snap/microk8s/common/run/containerd.sock',
} as const

/**
 * The runtimes that may start the node's pods: those that run, else those that have a configuration; of several, the one that
 * kubelet calls, if that can be told.
 * @throws Trouble for a configuration that cannot be read
 */
export function runtimesOf(files: NodeFiles): Runtime[] {
  const processes = processesOf(files)
  const running = processes.flatMap((one) => runningRuntime(files, one) ?? [])
  const found = running.length > 0 ? running : configuredRuntimes(files)
  const socket = found.length > 1 ? kubeletSocket(files, processes) : undefined
  const called = found.filter((one) => one.socket === socket)
  return called.length > 0 ? called : found
}

function runningRuntime(files: NodeFiles, { name, words }: Process): Runtime | undefined {
  if (name === 'kubelet') return undefined
  if (name === 'crio') return runningCrio(files, words)
  const given = optionIn(words, '--config', '-c')
  const read = readContainerd(files, given ?? '/etc/containerd/config.toml', given !== undefined)
  return containerdFrom(read, optionIn(words, '--address', '-a'), CONTAINERD_SOCKET)
}

function runningCrio(files: NodeFiles, words: readonly string[]): Runtime {
  const config = optionIn(words, '--config', '-c') ?? CRIO_CONFIG
  const directory = optionIn(words, '--config-dir', '-d') ?? CRIO_DIRECTORY
  const plugins = optionIn(words, '--cni-plugin-dir')?.split(',')
  const configurations = optionIn(words, '--cni-config-dir')
  const flags = { ...(plugins && { plugins }), ...(configurations !== undefined && { configurations }) }
  return crioFrom(crioOf(readCrio(files, config, directory), flags), optionIn(words, '--listen'))
}

/** Those that have a configuration where distributions have it. */
function configuredRuntimes(files: NodeFiles): Runtime[] {
  const containerds = Object.entries(CONTAINERD_FILES).flatMap(([file, socket]) => {
    const read = readContainerd(files, file, false)
    return (read.length > 0 && containerdFrom(read, undefined, socket)) || []
  })
  const crio = readCrio(files, CRIO_CONFIG, CRIO_DIRECTORY)
  return [...containerds, ...(crio.length > 0 ? [crioFrom(crioOf(crio), undefined)] : [])]
}

function containerdFrom(read: readonly ConfigFile[], given: string | undefined, usual: string): Runtime | undefined {
  const config = containerdOf(read)
  return config && { ...config, name: 'containerd', socket: socketPath(given ?? config.socket ?? usual) }
}

function crioFrom(config: RuntimeConfig, given: string | undefined): Runtime {
  return { ...config, name: 'CRI-O', socket: socketPath(given ?? config.socket ?? CRIO_SOCKET) }
}

/**
 * A configuration of containerd and what it imports, in the order in which containerd loads it.
 * @see https://github.com/containerd/containerd/blob/main/cmd/containerd/server/config/config.go LoadConfig
 */
function readContainerd(files: NodeFiles, first: string, isGiven: boolean): ConfigFile[] {
  const read = new Map<string, ConfigFile>()
  const pending = [{ file: first, needed: isGiven }]
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    const { file, needed } = next
    if (read.has(file)) continue
    refuseMany(first, read.size + 1)
    const text = files.text(file)
    if (text === undefined && needed) throw new Trouble(`${file}: no such file, but containerd reads it; correct that`)
    if (text === undefined) continue
    const parsed = parseToml(file, text)
    read.set(file, parsed)
    for (const pattern of stringsIn(file, parsed.content, 'imports') ?? []) {
      const imported = path.resolve(path.dirname(file), pattern)
      const isPattern = imported.includes('*')
      pending.push(
        ...(isPattern ? matching(files, imported) : [imported]).map((one) => ({ file: one, needed: !isPattern })),
      )
    }
  }
  return [...read.values()]
}

/** The files that a pattern names, in its last part or before. @see https://pkg.go.dev/path/filepath#Glob */
function matching(files: NodeFiles, pattern: string): string[] {
  const [first = '', ...rest] = pattern.split('/').slice(1)
  return expand(files, '/', first, rest)
}

function expand(files: NodeFiles, directory: string, name: string, rest: readonly string[]): string[] {
  const names = name.includes('*') ? files.names(directory).filter((one) => path.matchesGlob(one, name)) : [name]
  const found = names.map((one) => path.join(directory, one)).filter((file) => files.exists(file))
  const [next, ...others] = rest
  return next === undefined ? found : found.flatMap((one) => expand(files, one, next, others))
}

/** CRI-O's file and all files below its directory, whatever their names, by their paths. */
function readCrio(files: NodeFiles, config: string, directory: string): ConfigFile[] {
  const below = (here: string): string[] =>
    files.names(here).flatMap((name) => {
      const file = path.join(here, name)
      return files.isDirectory(file) ? below(file) : [file]
    })
  const found = [config, ...below(directory)]
  refuseMany(directory, found.length)
  return found.flatMap((file) => {
    const text = files.text(file)
    return text === undefined ? [] : [parseToml(file, text)]
  })
}

function refuseMany(where: string, count: number): void {
  if (count > MAX_FILES)
    throw new Trouble(`${where}: found ${count} files of configuration, the limit is ${MAX_FILES}; remove some`)
}
