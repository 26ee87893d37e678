import { isObject } from '../../cni/request.ts'
import { checkCloudInit, secretTexts } from './cloud-init.ts'
import type { Contents } from './documents.ts'
import { type Finding, sayer } from './finding.ts'
import { madeNetworks } from './made-networks.ts'
import { checkMissingAddresses } from './missing-addresses.ts'
import { multusNamespaces } from './multus-namespace.ts'
import { byName } from './names.ts'
import { dependence, isCalico, type Network, network, type Together, together } from './networks.ts'
import { checkWorkload, NO_ANSWER } from './pods.ts'
import { providerOf } from './provider.ts'
import { checkGateways, isSubnet, readSubnet } from './subnets.ts'
import { type Workload, workloadsIn } from './workloads.ts'

/** What a file holds, and the findings about it. */
interface File extends Pick<Contents, 'configurations' | 'definitions' | 'others'> {
  readonly findings: Finding[]
}

/**
 * Reports what goes wrong when a pod has several networks. Pods and VMs in the files say which networks they have together;
 * without them we assume it of networks that only make sense together.
 */
export function checkTogether(files: readonly File[]): void {
  const networks = files.flatMap(({ configurations, findings }) =>
    configurations.map((configuration) => network(configuration, findings)),
  )
  const firsts = multusNamespaces(
    files.flatMap(({ configurations }) => configurations),
    files.flatMap(({ others }) => others),
  )
  const workloads = files.flatMap(({ others, findings }) =>
    others
      .flatMap((one) => workloadsIn(one, firsts))
      .map((workload) => ({ workload, say: sayer(workload.placed, findings) })),
  )
  const subnets = files.flatMap(({ others, findings }) =>
    others.filter(isSubnet).map((one) => readSubnet(one, sayer(one, findings))),
  )
  const all = together(networks, subnets, {
    names: files.flatMap(({ definitions }) => definitions),
    made: files.flatMap(({ others }) => others.flatMap(madeNetworks)),
  })
  const secrets = secretTexts(files.flatMap(({ others }) => others))
  for (const { workload, say } of workloads) {
    checkWorkload(workload, all, say)
    const plugins = workload.networks.flatMap((one) => all.named(one)?.plugins ?? [])
    checkCloudInit(workload, plugins, secrets, say)
  }
  const asked = workloads.flatMap(({ workload }) => workload.networks.flatMap(({ names }) => names))
  const wanted = byName(asked.map((name) => [name, 0]))
  const asking = Map.groupBy(
    workloads.flatMap(({ workload }) => workload.networks.map((one) => ({ network: all.named(one), workload }))),
    ({ network }) => network,
  )
  const withCalicoLater = new Set(workloads.map(({ workload }) => workload).filter((one) => hasCalicoLater(one, all)))
  for (const one of networks) {
    const pods = [...new Set(asking.get(one)?.map(({ workload }) => workload))]
    // If pods say that none of them has Calico after this network, it demotes for something else.
    if (pods.length === 0 || pods.some((pod) => withCalicoLater.has(pod))) demotedBeforeCalico(one, all)
    const { provider } = providerOf(one.plugins) ?? {}
    checkGateways(one.entries, all.byProvider.get(provider ?? '') ?? [], one.say)
    checkMissingAddresses(
      one,
      pods.map(({ annotations }) => annotations),
      one.say,
    )
    if (!one.isDefinition || wanted.first(one.name) === undefined) gatewayByAnnotation(one, all)
  }
}

/** `demote` lets Calico attach second. Whether that is of any use depends on Calico's datastore. */
function demotedBeforeCalico(one: Network, { second }: Together): void {
  if (one.plugins[0]?.plugin.type === 'calico' || !second) return
  for (const { path, conf } of one.entries) {
    if (!isDemoting(conf.defaultRoute)) continue
    one.say(
      'XCR304',
      [...path, 'defaultRoute'],
      `demote lets Calico (${second.name}) attach after this, but ${NO_ANSWER}; make Calico's network the pod's first`,
    )
  }
}

function hasCalicoLater({ networks }: Workload, all: Together): boolean {
  return networks.some((one) => {
    const network = one.first ? undefined : all.named(one)
    return network !== undefined && isCalico(network)
  })
}

function isDemoting(written: unknown): boolean {
  return written === 'demote' || (isObject(written) && Object.values(written).includes('demote'))
}

function gatewayByAnnotation(one: Network, all: Together): void {
  const depends = dependence(one, all.removing)
  if (!depends) return
  const { annotation, path, own } = depends
  const others = own ? ' or with this as their first network' : ''
  const said = `Kube-OVN reports a gateway, which the default route needs, only for pods with the annotation ${annotation}: "true"${others}`
  one.say('XCR401', path, said)
}
