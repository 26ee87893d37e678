import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

const DIRECTORY = new URL('../../conf-examples/', import.meta.url)

/** A network configuration as libcni would send it, less prevResult. */
export type NetConf = { cniVersion: string; name: string; type: string; [key: string]: unknown }

interface PluginList {
  cniVersion: string
  name: string
  plugins: { type: string; [key: string]: unknown }[]
}

/** What examples are made of, as far as tests look into it. */
interface Bodies {
  NetworkAttachmentDefinition: { metadata: { name: string; namespace: string }; spec: { config: string } }
  VirtualMachine: {
    metadata: { name: string; namespace: string }
    spec: {
      template: {
        metadata: { labels: Record<string, string>; annotations: Record<string, string> }
        spec: {
          domain: {
            devices: { interfaces: { name: string; bridge?: object; masquerade?: object; macAddress?: string }[] }
          }
          networks: { name: string; pod?: object; multus?: { networkName: string; default?: boolean } }[]
          volumes: { name: string; cloudInitNoCloud?: { networkData?: string } }[]
        }
      }
    }
  }
  NetworkPolicy: {
    metadata: { namespace: string }
    spec: {
      selector: string
      types: string[]
      egress: { action: string; destination: { nets: string[]; ports: number[] } }[]
    }
  }
  Vpc: {
    metadata: { name: string }
    spec: { namespaces: string[]; staticRoutes: { cidr: string; nextHopIP: string }[] }
  }
  Subnet: {
    metadata: { name: string }
    spec: { vpc?: string; provider: string; cidrBlock: string; gateway: string; excludeIps: string[] }
  }
  VpcNatGateway: {
    metadata: { annotations?: Record<string, string> }
    spec: {
      annotations?: Record<string, string>
      vpc: string
      subnet: string
      lanIp: string
      externalSubnets: string[]
    }
  }
  VpcDns: { spec: { vpc: string; subnet: string } }
  Pod: { metadata: { name: string; namespace: string; annotations: Record<string, string> } }
  'cloud-init 1': {
    config: {
      name: string
      mac_address: string
      subnets: {
        type: string
        address?: string
        netmask?: string
        routes?: { gateway: string; destination: string; netmask: string }[]
      }[]
    }[]
  }
  'cloud-init 2': {
    ethernets: Record<
      string,
      {
        match: { macaddress: string }
        dhcp4?: boolean
        addresses?: string[]
        routes: { to: string; via: string }[]
      }
    >
  }
  ConfigMap: { metadata: { name: string; namespace: string }; data: Record<string, string> }
  Role: {
    metadata: { name: string; namespace: string }
    rules: { apiGroups: string[]; resources: string[]; resourceNames: string[]; verbs: string[] }[]
  }
  RoleBinding: {
    metadata: { namespace: string }
    roleRef: { kind: string; name: string }
    subjects: { kind: string }[]
  }
  'plugin list': PluginList
  'network configuration': NetConf
}
export type Kind = keyof Bodies

const KINDS: readonly string[] = [
  'NetworkAttachmentDefinition',
  'VirtualMachine',
  'NetworkPolicy',
  'Vpc',
  'Subnet',
  'VpcNatGateway',
  'VpcDns',
  'Pod',
  'cloud-init 1',
  'cloud-init 2',
  'ConfigMap',
  'Role',
  'RoleBinding',
  'plugin list',
  'network configuration',
] satisfies Kind[]

interface Document {
  readonly file: string
  readonly kind: Kind
  readonly body: unknown
}

/** Files alone: the DaemonSet in a directory of its own is no network configuration, and has tests of its own. */
export const EXAMPLES = readdirSync(DIRECTORY, { withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== 'README.md')
  .map(({ name }) => name)

export const textOf = (file: string): string => readFileSync(new URL(file, DIRECTORY), 'utf8')

export const directory = fileURLToPath(DIRECTORY)

/** What a file holds, by kind. A kind that the tests do not know is an error: nothing would look at it. */
export function documents(file: string): Document[] {
  const bodies = file.endsWith('.yaml')
    ? parseAllDocuments(textOf(file)).map((document) => {
        if (document.errors.length > 0) throw document.errors[0]
        return document.toJS()
      })
    : [JSON.parse(textOf(file))]
  return bodies.map((body) => {
    const kind = kindOf(body)
    if (!KINDS.includes(kind)) throw new Error(`${file}: a ${kind} is not known here`)
    return { file, kind: kind as Kind, body }
  })
}

function kindOf(body: Record<string, unknown>): string {
  if ('kind' in body) return String(body.kind)
  if ('version' in body) return `cloud-init ${body.version}`
  return 'plugins' in body ? 'plugin list' : 'network configuration'
}

/** Every document of a kind in all examples. */
export const all = <K extends Kind>(kind: K): Bodies[K][] => EXAMPLES.flatMap((file) => allIn(file, kind))

/** Every document of a kind in one file. */
export function allIn<K extends Kind>(file: string, kind: K): Bodies[K][] {
  return documents(file)
    .filter((document) => document.kind === kind)
    .map(({ body }) => body as Bodies[K])
}

/** The only document of a kind in one file. */
export function oneIn<K extends Kind>(file: string, kind: K): Bodies[K] {
  const found = allIn(file, kind)
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${file}: ${found.length} of kind ${kind}`)
  return found[0]
}

/** The plugin list in a NetworkAttachmentDefinition. */
export const pluginsOf = ({ spec }: Bodies['NetworkAttachmentDefinition']): PluginList => JSON.parse(spec.config)

/** What this plugin gets of an example, for each place in a chain that names it, and after which plugin (none: by itself). */
export function placesOf(file: string): { after: string | undefined; conf: NetConf }[] {
  return documents(file).flatMap(({ kind, body }) => {
    if (kind === 'network configuration') return { after: undefined, conf: body as NetConf }
    if (kind !== 'NetworkAttachmentDefinition' && kind !== 'plugin list') return []
    const list =
      kind === 'plugin list' ? (body as PluginList) : pluginsOf(body as Bodies['NetworkAttachmentDefinition'])
    const { plugins, cniVersion, name } = list
    return plugins.flatMap((plugin, index) =>
      plugin.type === 'x-calico-route'
        ? { after: plugins[index - 1]?.type, conf: { ...plugin, cniVersion, name } }
        : [],
    )
  })
}

export const configurations = (file: string): NetConf[] => placesOf(file).map(({ conf }) => conf)
