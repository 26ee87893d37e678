import type * as z from 'zod/mini'
import { type Family, familyOf, parseAddress } from '../net/address.ts'
import type { CONF } from './schema.ts'

/** `ovnGateway`: the one default route that the pod gets. */
export interface Gateway {
  readonly wanted: Readonly<Partial<Record<Family, 'auto' | { readonly address: string }>>>
  /** One gateway of either family is enough: no family was named. */
  readonly either: boolean
  /** `ipv4` or `ipv6` was written, and not just "auto" or an address. */
  readonly named: boolean
  /** If absent: CNI_IFNAME, or with "auto" whichever NIC has the gateway. */
  readonly dev?: string
  readonly priority?: number
  readonly onlink: boolean
}

type Written = NonNullable<z.infer<typeof CONF>['ovnGateway']>

/** What `ovnGateway` says. */
export function gatewayOf(written: Written): Gateway {
  if (written === 'auto') return { wanted: { 4: 'auto', 6: 'auto' }, either: true, named: false, onlink: false }
  if (typeof written === 'string')
    return { wanted: { [familyOf(written)]: gatewayTarget(written) }, either: false, named: false, onlink: false }
  const { ipv4, ipv6, dev, priority, onlink = false } = written
  // An object without a family only says where: look there for both.
  const either = ipv4 === undefined && ipv6 === undefined
  return {
    wanted: either
      ? { 4: 'auto', 6: 'auto' }
      : {
          ...(ipv4 === undefined ? {} : { 4: gatewayTarget(ipv4) }),
          ...(ipv6 === undefined ? {} : { 6: gatewayTarget(ipv6) }),
        },
    either,
    named: !either,
    ...(dev === undefined ? {} : { dev }),
    ...(priority === undefined ? {} : { priority }),
    onlink,
  }
}

function gatewayTarget(value: string): 'auto' | { address: string } {
  return value === 'auto' ? 'auto' : { address: parseAddress(value)?.address ?? value }
}
