import { fstatSync, statSync } from 'node:fs'
import { CniError, Code } from '../errors.ts'
import { type Netns, type WithNetns, withNetns } from '../kernel/netns.ts'
import { limitedBy } from './limits.ts'
import { onThisSide } from './node-root.ts'

export const OWN_NETNS = '/proc/self/ns/net'
/** The namespace of the node's first process, or of the container's if that has its own process numbers. */
export const INIT_NETNS = '/proc/1/ns/net'

/**
 * ip(8) keeps all interfaces and addresses of a pod in memory until it has printed them, and reserves 32 KiB for each line of a
 * batch that changes something, of which it uses four.
 */
const IP_BYTES = 64 * 1024 * 1024
const IP_BYTES_A_LINE = 40 * 1024

/**
 * Opens the network namespace of a pod and limits the memory of what runs in it. Refuses the namespaces of the node itself,
 * whose routes must not be compared with the configuration of a pod.
 * @param root where the node's root directory is mounted
 * @param lines how many lines are to change something
 * @param advice what to do if it is the node's
 * @returns a function that throws CniError 8
 */
export function podNetns(root: string, lines = 0, advice = 'find out who wrote that path'): WithNetns {
  const limits = limitedBy({ data: IP_BYTES + lines * IP_BYTES_A_LINE })
  return (path, limit, use) =>
    withNetns(path, limit, (netns) => {
      refuseNodes(netns, root, advice)
      return use({ ...netns, enter: [...limits, ...netns.enter] })
    })
}

/** Allows the node's own namespace if CNI_NETNS_OVERRIDE does, as for ADD. @see https://github.com/containernetworking/cni/blob/main/pkg/ns/ns_linux.go CheckNetNS */
export function netnsOfPerson(root: string): WithNetns {
  const { CNI_NETNS_OVERRIDE = '' } = process.env
  return /^(?:1|true)$/i.test(CNI_NETNS_OVERRIDE)
    ? withNetns
    : podNetns(root, 0, 'set CNI_NETNS_OVERRIDE=1 to allow it')
}

function refuseNodes(netns: Netns, root: string, advice: string): void {
  const whose = netns.own
    ? 'this process itself'
    : [INIT_NETNS, onThisSide(root, INIT_NETNS)].some((file) => isSame(netns.fd, file)) && "the node's first process"
  if (!whose) return
  throw new CniError(
    Code.ownNetns,
    `CNI_NETNS: ${netns.path} is the network namespace of ${whose}, not a pod's`,
    advice,
  )
}

function isSame(fd: number, file: string): boolean {
  try {
    const [one, other] = [fstatSync(fd), statSync(file)]
    return one.dev === other.dev && one.ino === other.ino
  } catch {
    return false // not there, or not ours to look at
  }
}
