import { fstatSync, statSync } from 'node:fs'
import { CniError, Code } from '../errors.ts'
import { type Netns, type WithNetns, withNetns } from '../kernel/netns.ts'
import { limitedBy } from './limits.ts'
import { onThisSide } from './node-root.ts'

export const OWN = '/proc/self/ns/net'
/** Of the node's first process; of the container's, where process numbers are its own. */
export const FIRST = '/proc/1/ns/net'

/** ip(8) keeps all interfaces and addresses of a pod until it has printed them. */
const IP_BYTES = 64 * 1024 * 1024

/**
 * How the namespace of a pod is opened: none that the node itself has, whose routes are nobody's to compare with a pod's
 * configuration; and with a limit to the memory of what is run in it.
 * @param root where the node's root directory is
 * @param advice what to do where it is the node's
 * @returns what throws CniError 8
 */
export function podNetns(root: string, advice = 'look who wrote that path'): WithNetns {
  const limits = limitedBy({ data: IP_BYTES })
  return (path, limit, use) =>
    withNetns(path, limit, (netns) => {
      refuseNodes(netns, root, advice)
      return use({ ...netns, enter: [...limits, ...netns.enter] })
    })
}

/** As a runtime may for ADD, a person may ask for it all the same. @see https://github.com/containernetworking/cni/blob/main/pkg/ns/ns_linux.go CheckNetNS */
export function netnsOfPerson(root: string): WithNetns {
  const { CNI_NETNS_OVERRIDE = '' } = process.env
  return /^(?:1|true)$/i.test(CNI_NETNS_OVERRIDE) ? withNetns : podNetns(root, 'CNI_NETNS_OVERRIDE=1 allows it')
}

function refuseNodes(netns: Netns, root: string, advice: string): void {
  const whose = netns.own
    ? 'this process itself'
    : [FIRST, onThisSide(root, FIRST)].some((file) => isSame(netns.fd, file)) && "the node's first process"
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
