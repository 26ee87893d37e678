import { parse } from 'yaml'
import type { NodeFiles } from './node-files.ts'

/** A process of the node that says how its pods get their network. */
export interface Process {
  readonly name: (typeof NAMES)[number]
  readonly words: readonly string[]
}

const NAMES = ['containerd', 'crio', 'kubelet'] as const

/** These processes, as far as /proc shows them: a container sees its own processes alone, and the node's below --host-root. */
export function processesOf(files: NodeFiles): Process[] {
  return files
    .names('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const comm = files.text(`/proc/${pid}/comm`)?.trim()
        const name = NAMES.find((one) => one === comm)
        if (name === undefined || !isNodes(files.text(`/proc/${pid}/status`))) return []
        return [{ name, words: files.text(`/proc/${pid}/cmdline`)?.split('\0') ?? [] }]
      } catch {
        return [] // It has ended.
      }
    })
}

/**
 * Whether a process is root's and in the node's PID namespace. Anybody may name a process in a pod "containerd", and so would
 * choose what configuration we believe.
 * @see proc_pid_status(5) NSpid
 */
function isNodes(status = ''): boolean {
  return /^Uid:\t0\t0\t/m.test(status) && /^NSpid:\t\d+$/m.test(status)
}

/** The value of an option, written in either way; the last one counts. */
export function optionIn(words: readonly string[], ...names: readonly string[]): string | undefined {
  return words
    .flatMap((word, index) => {
      const name = names.find((one) => word === one || word.startsWith(`${one}=`))
      if (name === undefined) return []
      return word === name ? (words[index + 1] ?? []) : word.slice(name.length + 1)
    })
    .at(-1)
}

/** Where kubelet's configuration is, as kubeadm, k3s and RKE2 have it. In a directory, the last file counts. */
const KUBELET_FILES = ['/var/lib/kubelet/config.yaml', '/var/lib/kubelet/instance-config.yaml']
const KUBELET_DIRECTORIES = [
  '/var/lib/rancher/k3s/agent/etc/kubelet.conf.d',
  '/var/lib/rancher/rke2/agent/etc/kubelet.conf.d',
]

/** The socket at which kubelet calls its runtime, if it or a file of its says so. */
export function kubeletSocket(files: NodeFiles, processes: readonly Process[]): string | undefined {
  const words = processes.filter(({ name }) => name === 'kubelet').flatMap((one) => one.words)
  const given = optionIn(words, '--container-runtime-endpoint')
  if (given !== undefined) return socketPath(given)
  const named = optionIn(words, '--config')
  const configurations = [
    ...(named === undefined ? KUBELET_FILES : [named]),
    ...KUBELET_DIRECTORIES.flatMap((directory) => files.names(directory).map((name) => `${directory}/${name}`)),
  ]
  const said = configurations.flatMap((file) => endpointIn(files.text(file)) ?? [])
  const flag = /--container-runtime-endpoint=([^\s"']+)/.exec(
    files.text('/var/lib/kubelet/kubeadm-flags.env') ?? '',
  )?.[1]
  const endpoint = said.at(-1) ?? flag
  return endpoint === undefined ? undefined : socketPath(endpoint)
}

function endpointIn(text = ''): string | undefined {
  try {
    const endpoint = (parse(text) as { containerRuntimeEndpoint?: unknown } | null)?.containerRuntimeEndpoint
    return typeof endpoint === 'string' && endpoint !== '' ? endpoint : undefined
  } catch {
    return undefined // Kubelet would not start with it either.
  }
}

/** The path of a socket, however it is written. */
export const socketPath = (endpoint: string) => endpoint.replace(/^unix:\/\//, '').replace(/^\/var\/run\//, '/run/')
