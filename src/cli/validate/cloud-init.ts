import { isObject } from '../../cni/request.ts'
import type { Say } from './finding.ts'
import type { Path } from './json.ts'
import type { Plugin } from './plugins.ts'
import { below, type Placed } from './position.ts'
import { macText } from './vm-nics.ts'
import type { Workload } from './workloads.ts'
import { parseYaml } from './yaml.ts'

/** The texts of Secrets: `namespace/name` and `name`, each with its keys. */
export type SecretTexts = ReadonlyMap<string, Readonly<Record<string, string>>>

export function secretTexts(others: readonly Placed[]): SecretTexts {
  return new Map(
    others.flatMap(({ value }) => {
      if (!isObject(value) || value.kind !== 'Secret' || !isObject(value.metadata)) return []
      const { name, namespace } = value.metadata
      const encoded = Object.entries(isObject(value.data) ? value.data : {})
      const texts = Object.entries(isObject(value.stringData) ? value.stringData : {})
      const all = [
        ...encoded.map(([key, text]) => [key, decoded(text)]),
        ...texts.map(([key, text]) => [key, String(text)]),
      ]
      return [[nameIn(namespace, name), Object.fromEntries(all)] as const]
    }),
  )
}

const decoded = (base64: unknown) => Buffer.from(String(base64), 'base64').toString()
const nameIn = (namespace: unknown, name: unknown) =>
  typeof namespace === 'string' ? `${namespace}/${name}` : `${name}`

/** A VM's own network configuration, and where the VM names it. */
interface NetworkData {
  readonly text: string
  readonly path: Path
}

/**
 * Reports MAC addresses in the network data of a VM that none of its interfaces has: cloud-init then configures nothing.
 * @param plugins those of its networks
 */
export function checkCloudInit(
  { placed, base, namespace, annotations }: Workload,
  plugins: readonly Plugin[],
  secrets: SecretTexts,
  say: Say,
): void {
  const at = [...base, 'spec']
  const { value: spec } = below(placed, at)
  if (!isObject(spec) || !Array.isArray(spec.volumes)) return
  // With the bridge binding, the VM takes over the address of the pod's NIC, which annotations and tuning may set.
  const ofPod = [...Object.values(annotations), ...plugins.map(({ plugin }) => plugin.mac)]
  const macs = new Set([...macsOf(spec), ...ofPod.flatMap(macsIn)])
  const volumes: unknown[] = spec.volumes
  for (const [index, volume] of volumes.entries()) {
    for (const { text, path } of dataIn(volume, [...at, 'volumes', index], namespace, secrets))
      for (const mac of matchedIn(text))
        if (!macs.has(macText(mac)))
          say(
            'XCR608',
            path,
            `cloud-init looks for ${mac}, which no interface of this VM has; write it as the "macAddress" of one`,
          )
  }
}

const macsIn = (text: unknown) =>
  typeof text === 'string' ? (text.match(/(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}/gi) ?? []).map(macText) : []

function macsOf({ domain }: Readonly<Record<string, unknown>>): string[] {
  const devices = isObject(domain) ? domain.devices : undefined
  const interfaces: unknown = isObject(devices) ? devices.interfaces : undefined
  const all = Array.isArray(interfaces) ? interfaces.filter(isObject) : []
  return all.flatMap(({ macAddress }) => (typeof macAddress === 'string' ? macText(macAddress) : []))
}

/** @see https://kubevirt.io/user-guide/user_workloads/startup_scripts */
function dataIn(volume: unknown, at: Path, namespace: string | undefined, secrets: SecretTexts): NetworkData[] {
  if (!isObject(volume)) return []
  return ['cloudInitNoCloud', 'cloudInitConfigDrive'].flatMap((kind): NetworkData[] => {
    const source = volume[kind]
    if (!isObject(source)) return []
    const { networkData, networkDataBase64, networkDataSecretRef } = source
    const path = (key: string) => [...at, kind, key]
    if (typeof networkData === 'string') return [{ text: networkData, path: path('networkData') }]
    if (typeof networkDataBase64 === 'string')
      return [{ text: decoded(networkDataBase64), path: path('networkDataBase64') }]
    if (!isObject(networkDataSecretRef)) return []
    const { name } = networkDataSecretRef
    const texts = secrets.get(nameIn(namespace, name)) ?? secrets.get(String(name))
    const text = texts?.networkdata ?? texts?.networkData
    return text === undefined ? [] : [{ text, path: [...path('networkDataSecretRef'), 'name'] }]
  })
}

/** The MAC addresses that network data of version 1 or 2 looks for. */
function matchedIn(text: string): string[] {
  const [document] = parseYaml(text)
  const value = document?.value
  const config = isObject(value) && isObject(value.network) ? value.network : value
  if (!isObject(config)) return []
  const devices = Array.isArray(config.config) ? config.config.filter(isObject) : []
  const ethernets = isObject(config.ethernets) ? Object.values(config.ethernets).filter(isObject) : []
  const macs = [
    ...devices.map(({ mac_address }) => mac_address),
    ...ethernets.map(({ match }) => (isObject(match) ? match.macaddress : undefined)),
  ]
  return macs.filter((mac) => typeof mac === 'string')
}
