/** What the manifests of kind/ say, by what it is. */
import { parse } from 'yaml'
import { MANIFESTS, textOf } from './manifests.ts'

export interface Metadata {
  name: string
  namespace?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
}
export interface Pod {
  metadata: Metadata
  spec: { containers: { image: string }[] }
}
export interface VirtualMachine {
  metadata: Metadata
  spec: {
    template: {
      metadata: Metadata
      spec: {
        domain: { devices: { interfaces: { name: string; macAddress: string }[]; disks: { name: string }[] } }
        networks: { name: string; multus: { networkName: string; default?: boolean } }[]
        volumes: {
          name: string
          containerDisk?: { image: string }
          cloudInitNoCloud?: { secretRef?: { name: string }; networkDataSecretRef: { name: string } }
        }[]
      }
    }
  }
}
interface Nic {
  match: { macaddress: string }
  addresses?: string[]
  routes: { to: string; via: string }[]
}

/** What kind/up.sh applies: kind/ itself, and the VPC of the examples. */
export const APPLIED = MANIFESTS.filter(({ file }) =>
  /^(kind|conf-examples\/daemonset)\/|^conf-examples\/vpc\.yaml$/.test(file),
)
export const every = <T>(kind: string): T[] =>
  APPLIED.filter((each) => each.kind.endsWith(kind)).map(({ body }) => body as T)
function one<T>(kind: string): T {
  const [found, ...more] = every<T>(kind)
  if (!found || more.length > 0) throw new Error(`not one ${kind}, but ${found ? 1 + more.length : 0}`)
  return found
}

export const up = textOf('kind/up.sh')
export const check = textOf('kind/check.sh')
/** What stands in the groups of the pattern, where the text first has it. @throws Error if it has not */
export function written(text: string, pattern: RegExp): string[] {
  const found = pattern.exec(text)
  if (!found) throw new Error(`nothing like ${pattern}`)
  return found.slice(1)
}

export const cluster = one<{ nodes: { role: string; labels?: object }[]; networking: Record<string, string> }>(
  ' Cluster',
)
export const values = one<{
  networking: { stack: string; services: { cidr: { v4: string; v6: string } } }
  cni: { configPriority: string }
}>('chart')
export const { ipPools } = one<{ spec: { calicoNetwork: { ipPools: { cidr: string }[] } } }>(' Installation').spec
  .calicoNetwork
export const vpc = one<{ metadata: Metadata; spec: { namespaces: string[] } }>(' Vpc')
export const subnet = one<{
  metadata: Metadata
  spec: { vpc: string; provider: string; cidrBlock: string; gateway: string; excludeIps: string[] }
}>(' Subnet')
export const policy = one<{
  metadata: Metadata
  spec: { selector: string; egress: { destination: { nets: string[]; ports: number[] } }[] }
}>(' NetworkPolicy')
export const pods = every<Pod>(' Pod')
export const vm = one<VirtualMachine>(' VirtualMachine')
export const secret = one<{ metadata: Metadata; stringData: { networkdata: string; userdata: string } }>(' Secret')
export const definitions = every<{ metadata: Metadata; spec: { config: string } }>(' NetworkAttachmentDefinition').map(
  ({ metadata, spec }) => ({ ...metadata, plugins: JSON.parse(spec.config).plugins as Record<string, unknown>[] }),
)

export const podCidrs = cluster.networking.podSubnet?.split(',') ?? []
export const serviceCidrs = cluster.networking.serviceSubnet?.split(',') ?? []
export const underlay = written(up, /^SUBNETS=\((\S+) (\S+)\)$/m)
export const vpcCidrs = subnet.spec.cidrBlock.split(',')
export const gateways = subnet.spec.gateway.split(',')
export const template = vm.spec.template
export const { interfaces, disks } = template.spec.domain.devices
export const annotations = template.metadata.annotations ?? {}
export const guest: { underlay: Nic; vpc: Nic } = parse(secret.stringData.networkdata).ethernets
export const [calicoAddress] = JSON.parse(annotations['cni.projectcalico.org/ipAddrs'] ?? '[]') as string[]
export const vpcAddress = annotations['vpc-net.tenant.ovn.kubernetes.io/ip_address'] ?? ''
