/** The documents a plugin prints, as the specification of each version defines them. Unknown keys are allowed wherever it does not forbid them. */
import * as z from 'zod'
import { VERSIONS, type Version } from './vector.ts'

const absent = z.never().optional()
const uint = z.int().min(0)
const ip = z.union([z.ipv4(), z.ipv6()])
const cidr = z.union([z.cidrv4(), z.cidrv6()])
const strings = z.array(z.string()).optional()

const dns = z.looseObject({
  nameservers: z.array(ip).optional(),
  domain: z.string().optional(),
  search: strings,
  options: strings,
})
const iface = { name: z.string().min(1), mac: z.string().optional(), sandbox: z.string().optional() }
const address = { address: cidr, gateway: ip.optional(), interface: uint.optional() }
const route = { dst: cidr, gw: ip.optional() }

// spec-v0.3.1 and spec-v0.4.0, Result, and IPs and Routes of the well-known structures
const interface0 = { ...iface, mtu: absent, socketPath: absent, pciID: absent }
const ip0 = z
  .looseObject({ ...address, version: z.enum(['4', '6']) })
  .refine((value) => value.address.includes(':') === (value.version === '6'), 'version is not the one of address')
const route0 = { ...route, mtu: absent, advmss: absent, priority: absent, table: absent, scope: absent }
// spec-v1.0.0, Success: no `version` in ips[] any more
const ip1 = z.looseObject({ ...address, version: absent })
// 1.1.0, ADD Success
const interface11 = { ...iface, mtu: uint.optional(), socketPath: z.string().optional(), pciID: z.string().optional() }
const route11 = {
  ...route,
  mtu: uint.optional(),
  advmss: uint.optional(),
  priority: uint.optional(),
  table: uint.optional(),
  scope: uint.optional(),
}

const SHAPES = {
  '0.3.0': [interface0, ip0, route0],
  '0.3.1': [interface0, ip0, route0],
  '0.4.0': [interface0, ip0, route0],
  '1.0.0': [interface0, ip1, route0],
  '1.1.0': [interface11, ip1, route11],
} as const

/** The Result of ADD in one version. */
export function resultSchema(version: Version) {
  const [ifaces, ips, routes] = SHAPES[version]
  return z
    .looseObject({
      cniVersion: z.literal(version),
      interfaces: z.array(z.looseObject(ifaces)).optional(),
      ips: z.array(ips as typeof ip1).optional(),
      routes: z.array(z.looseObject(routes)).optional(),
      dns: dns.optional(),
    })
    .refine(
      ({ interfaces = [], ips = [] }) => ips.every((entry) => (entry.interface ?? 0) < Math.max(interfaces.length, 1)),
      'ips[].interface is no index of interfaces',
    )
}

/** SPEC section 5, Error, and pkg/types/types.go, which adds 8. */
const KNOWN_CODES = [1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51]
const code = uint.refine((value) => value >= 100 || KNOWN_CODES.includes(value), 'a reserved code that means nothing')

/** The reference prints no cniVersion in errors, and the specification says "should". */
export const errorSchema = z.looseObject({
  cniVersion: z.string().optional(),
  code,
  msg: z.string().min(1),
  details: z.string().optional(),
})

/** Code 3 would tell the runtime that no DEL is needed, and the plugins before in the chain would keep what they made. */
export const promisedErrorSchema = z.strictObject({
  cniVersion: z.enum(VERSIONS),
  code: code.refine((value) => value !== 3, 'code 3 keeps the runtime from cleaning up'),
  msg: z.string().regex(/^[^\n]+$/, 'more than one line'),
  details: z.string().min(1).optional(),
})

const semver = z.string().regex(/^\d+\.\d+\.\d+$/)

/** SPEC section 5, VERSION Success. */
export const versionSchema = z.looseObject({ cniVersion: semver, supportedVersions: z.array(semver).min(1) })
