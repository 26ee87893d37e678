import leven from 'leven'
import { readEffective } from '../../config/overrides.ts'
import { UNKNOWN_SETS } from '../../config/route-sets.ts'
import { problemIn, type Say } from './finding.ts'
import { checkAnnotations, checkMac, providersOf } from './kube-ovn.ts'
import {
  type ByAnnotation,
  dependence,
  type FoundNetwork,
  isCalico,
  isOnKubernetes,
  type Network,
  removes,
  type Together,
} from './networks.ts'
import { checkDefaults, lacksDefault } from './pod-defaults.ts'
import { providerOf } from './provider.ts'
import { namesNics } from './subnets.ts'
import { checkVmNic } from './vm-nics.ts'
import { type AskedNetwork, FIRST_IFNAME, type Workload } from './workloads.ts'

export const NO_ANSWER =
  "with Calico's Kubernetes datastore no answer comes back, " +
  "because Felix gives the node routes only to the addresses of the pod's first network"

/** Reports what goes wrong in a pod with the networks that it asks for. */
export function checkWorkload(workload: Workload, all: Together, say: Say): void {
  for (const { code, path, says, what } of workload.problems) say(code, path, says, what)
  const found = workload.networks.flatMap((asked) => {
    const network = all.named(asked)
    return network ? [{ asked, network }] : []
  })
  const removing = lacksDefault(workload, found, all)
  const unknown = workload.networks.filter((asked) => !all.named(asked))
  for (const asked of unknown) checkUnknown(asked, all, say)
  oneCalico(workload, found, all, say)
  calicoFirst(found, say)
  checkDefaults(workload, found, all, say)
  checkAnnotations(workload, unknown.length > 0 ? undefined : providersOf(found), all.subnets, say)
  checkVpc(workload, found, all, say)
  const ifnames = new Set([FIRST_IFNAME, ...workload.networks.flatMap(({ nic }) => nic?.ifname ?? [])])
  for (const { asked, network } of found) {
    checkCniArgs(asked, network, say)
    annotated(workload, asked, dependence(network, removing), say)
    const { nic, path } = asked
    const lost = removes(network, 'ipv4') && !network.entries.some(({ conf }) => 'ovnGateway' in conf)
    if (nic) checkVmNic({ nic, path }, { ...network, removing: lost }, ifnames, say)
    checkMac(workload, { asked, network }, say)
  }
}

/** A mistake in a name shows where the files have other networks of its namespace. */
function checkUnknown({ names, path }: AskedNetwork, all: Together, say: Say): void {
  const { hasNamespace, names: known } = all
  if (names.some(all.isDefined)) return
  const namespaceOf = (name: string) => name.slice(0, Math.max(0, name.indexOf('/')))
  if (!names.every((name) => hasNamespace(namespaceOf(name)))) return
  const isNear = (one: string) =>
    names.some((name) => namespaceOf(one) === namespaceOf(name) && leven(one, name) <= MAX_DISTANCE)
  const near = names.map(all.namesake).find((one) => one !== undefined) ?? known.slice(0, MAX_COMPARED).find(isNear)
  const hint = near === undefined ? 'write the name of one, or add it' : `did you mean "${near}"?`
  say('XCR502', path, `no NetworkAttachmentDefinition ${names.join(' or ')} among the files; ${hint}`)
}

const MAX_COMPARED = 50
const MAX_DISTANCE = 3

/** Has the plugin itself check what a pod asks it for. */
function checkCniArgs({ cniArgs }: AskedNetwork, { name, entries }: Network, say: Say): void {
  if (!cniArgs) return
  const { path, value } = cniArgs
  for (const { conf } of entries) {
    const read = readEffective({ ...conf, args: { cni: value } }, UNKNOWN_SETS)
    const problems = 'problems' in read ? read.problems : []
    for (const problem of problems.filter((one) => one.startsWith(ASKED))) {
      const inner = problemIn(value, problem.slice(ASKED.length))
      say('XCR503', [...path, ...inner.path], `network ${name}: ${inner.says}`, inner.what)
    }
  }
}

const ASKED = 'args.cni.'

/** Reports a network whose routes lead packets for a VPC of the same pod elsewhere. */
function checkVpc({ networks }: Workload, found: FoundNetworks, { taken }: Together, say: Say): void {
  const nics = found.map(({ asked: { ifname, path }, network: { name, plugins, entries } }) => {
    return { ifname, path, name, entries, provider: providerOf(plugins)?.provider }
  })
  const providers = new Map(nics.map(({ ifname, provider }) => [ifname, provider]))
  // The first network is the cluster's, which no VPC of a tenant is.
  if (!networks.some(({ first }) => first)) providers.set(FIRST_IFNAME, undefined)
  const away = (dev: string) => (providers.has(dev) && providers.get(dev) === undefined ? 'away' : 'somewhere')
  const vpcs = nics.filter(({ provider }) => provider !== undefined)
  for (const one of nics.filter(({ provider, entries }) => provider === undefined || namesNics(entries))) {
    const all = vpcs.flatMap((vpc) => taken(vpc, one, (dev) => (dev === vpc.ifname ? 'into it' : away(dev))))
    for (const what of all.slice(0, MAX_ROUTES))
      say('XCR405', one.path, `network ${one.name}: ${what}; write narrower prefixes there`)
  }
}

const MAX_ROUTES = 10

type FoundNetworks = readonly FoundNetwork[]

/**
 * Calico names its host veth after the namespace and name of the pod: a second ADD deletes the veth of that name, and with
 * it the first NIC.
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/k8s/k8s.go CmdAddK8s
 */
function oneCalico({ networks: asked }: Workload, found: FoundNetworks, { cluster }: Together, say: Say): void {
  const [first, ...others] = found.filter(({ network }) => isCalico(network))
  if (!first) return
  for (const { asked, network } of others) {
    const said = `a pod can have only one Calico NIC: when Calico adds that of ${network.name}, it deletes that of ${first.network.name}`
    say('XCR301', asked.path, `${said}; remove one of them`)
  }
  if (asked.some(({ first }) => first)) return
  const isCalicoToo = cluster
    ? `the pod's first network, ${cluster.name}, is Calico's too, and`
    : "if the pod's first network, the cluster's, is Calico's too,"
  say(
    cluster ? 'XCR302' : 'XCR303',
    first.asked.path,
    `${isCalicoToo} Calico deletes its NIC when it adds that of ${first.network.name}; make ${first.network.name} the pod's first network ` +
      '(v1.multus-cni.io/default-network; for a VM "default: true")',
  )
}

function calicoFirst(found: FoundNetworks, say: Say): void {
  const first = found.find(({ asked }) => asked.first)
  if (!first || isCalico(first.network)) return
  for (const { asked, network } of found) {
    if (isCalico(network) && isOnKubernetes(network))
      say('XCR305', asked.path, `${NO_ANSWER}; make ${network.name} the pod's first network`)
  }
}

function annotated(
  { base, annotations }: Workload,
  asked: AskedNetwork,
  depends: ByAnnotation | undefined,
  say: Say,
): void {
  if (!depends) return
  const { annotation, own } = depends
  const value = annotations[annotation]
  if (value === 'true' || (value === undefined && own && asked.first)) return
  say(
    'XCR402',
    value === undefined ? asked.path : [...base, 'metadata', 'annotations', annotation],
    `Kube-OVN reports no gateway for this NIC, so it gets no default route; add the annotation ${annotation}: "true"`,
  )
}
