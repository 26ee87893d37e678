/** What Calico prints for the pod of calico.ts, release by release. */
import { type CalicoPod, type Family, HOST_VETH, POD, POD_MAC } from './calico.ts'
import type { CniResult, CniVersion } from './runtime.ts'

/**
 * - `3.30` and older: the host's veth by name, no sandbox, addresses that belong to no interface;
 * - `3.31`: the pod's interface as well;
 * - `3.32`: and routes, that are none: the pod's address with the mask of its IPAM block.
 */
export type CalicoRelease = '3.30' | '3.31' | '3.32'

export function calicoResult(
  pod: CalicoPod,
  { release = '3.32', cniVersion = '1.0.0' }: { release?: CalicoRelease; cniVersion?: CniVersion } = {},
): CniResult {
  const versioned = cniVersion.startsWith('0.')
  const address = (family: Family) => ({
    ...(versioned ? { version: `${family}` } : {}),
    ...(release === '3.30' ? {} : { interface: 1 }),
    address: `${POD[family]}/${family === 4 ? 32 : 128}`,
  })
  const block = (family: Family) => ({ dst: `${POD[family]}/${family === 4 ? 26 : 122}` })
  return {
    cniVersion,
    interfaces: [
      { name: HOST_VETH },
      ...(release === '3.30' ? [] : [{ name: pod.ifname, mac: POD_MAC, sandbox: pod.path }]),
    ],
    ips: pod.families.map(address),
    ...(release === '3.32' ? { routes: pod.families.map(block) } : {}),
    dns: {},
  }
}

/** A Result of CNI 1.0.0 as the configuration's version has it. */
export function inVersion(result: CniResult, cniVersion: CniVersion): CniResult {
  const version = (address: string) =>
    cniVersion.startsWith('0.') ? { version: address.includes(':') ? '6' : '4' } : {}
  return { ...result, cniVersion, ips: (result.ips ?? []).map((ip) => ({ ...ip, ...version(ip.address) })) }
}
