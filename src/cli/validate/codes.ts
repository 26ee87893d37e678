/** error: a runtime, a plugin or the API server refuses it. warning: it is accepted, but does not do what it seems to. */
export type Severity = 'error' | 'warning' | 'note'

interface About {
  readonly severity: Severity
  /** What was found, without the particulars. */
  readonly title: string
}

const error = (title: string): About => ({ severity: 'error', title })
const warning = (title: string): About => ({ severity: 'warning', title })
const note = (title: string): About => ({ severity: 'note', title })

/**
 * What validate can find. A code keeps its meaning for ever, because comments and settings of others name it: one that is
 * not needed any more is not used again. docs/findings.md explains each.
 */
export const CODES = {
  // Files and documents.
  XCR001: error('x-calico-route refuses the configuration'),
  XCR010: error('no network configuration'),
  XCR011: error('not JSON'),
  XCR012: error('not YAML'),
  XCR013: error('a template that is not rendered'),
  XCR014: error('a byte order mark before JSON'),
  XCR015: warning('a key twice in one object'),
  XCR016: error('a document that no runtime reads'),
  XCR017: error('a NetworkAttachmentDefinition with a wrong kind, version, name or config'),
  XCR018: note('a NetworkAttachmentDefinition without a configuration'),
  XCR019: error('a route set that cannot be read'),
  XCR020: note('a comment that silences nothing'),
  XCR021: note('a parameter of a Template'),
  // Plugin lists.
  XCR101: error('a malformed plugin list, or a malformed entry of one'),
  XCR102: error('a misspelt plugin'),
  XCR103: error('x-calico-route without a NIC to work on'),
  XCR104: note('x-calico-route alone'),
  XCR105: warning('a key of x-calico-route beside "plugins"'),
  XCR106: warning('x-calico-route twice in one list'),
  XCR107: warning('a later plugin that undoes the routes'),
  XCR108: error('a version that Calico refuses'),
  XCR109: note('CHECK switched off'),
  XCR110: error('a plugin that changes a NIC before there is one'),
  XCR111: warning('IPv6 switched off'),
  // The keys of x-calico-route.
  XCR201: note('an unknown key'),
  XCR202: warning('a capability that x-calico-route does not have'),
  XCR203: warning('overrides without prefixes'),
  XCR204: note('overrides of a network for VMs'),
  XCR205: warning('the scope of an IPv6 route'),
  XCR206: note('a route inside another one'),
  XCR207: warning('a prefix inside another one'),
  XCR208: note('no route left through Calico'),
  XCR209: note('a route set that was not checked'),
  // Calico.
  XCR301: error('two Calico NICs in one pod'),
  XCR302: warning("a Calico NIC beside the cluster's own"),
  XCR303: note("a Calico NIC, perhaps beside the cluster's own"),
  XCR304: warning('a network that demotes for a Calico that gets no answer'),
  XCR305: warning("a Calico network that is not the pod's first"),
  XCR306: error('assign_ipv4 or assign_ipv6 that is not a string'),
  XCR307: warning('assign_ipv4 or assign_ipv6 that Calico does not understand'),
  XCR308: warning('routes of a family that Calico assigns no address of'),
  XCR309: note('routes of a family that only an annotation brings an address of'),
  XCR310: warning('routes that Calico ignores'),
  XCR311: note('routes in place of a default route'),
  XCR312: warning('a Calico network behind a default route'),
  // Kube-OVN.
  XCR401: note('a gateway that Kube-OVN reports only on request'),
  XCR402: warning('a pod that does not ask for its gateway'),
  XCR403: warning('an annotation for a provider that the pod does not have'),
  XCR404: error('a Subnet whose gateway is outside'),
  XCR405: warning('routes that take a VPC away from its NIC'),
  XCR406: warning('a gateway outside the Subnet'),
  XCR407: warning('a Subnet of another provider'),
  // Pods.
  XCR501: error('an annotation that Multus refuses'),
  XCR502: warning('a network that the files do not have'),
  XCR503: error('cni-args that x-calico-route refuses'),
  XCR504: warning('an annotation that Multus does not read'),
  XCR505: warning('a key that Multus ignores'),
  XCR506: warning('two default routes'),
  // KubeVirt.
  XCR601: note('a demoted default route for a VM'),
  XCR602: warning('more routes than DHCP can carry'),
  XCR603: note('an IPv6 route for a VM'),
  XCR604: note('a route of another table for a VM'),
  XCR605: note('a route that DHCP clients get wrong'),
  XCR606: warning("a NIC that the VM's pod does not have"),
  XCR607: warning('passt without a default route'),
  XCR608: warning('a MAC address that only cloud-init has'),
  XCR609: warning('two MAC addresses for one NIC'),
  XCR610: note('a network for another binding'),
} as const satisfies Readonly<Record<`XCR${number}`, About>>

export type FindingCode = keyof typeof CODES

export const isCode = (word: string): word is FindingCode => Object.hasOwn(CODES, word)
