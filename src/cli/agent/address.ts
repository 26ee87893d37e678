import { parseAddress } from '../../net/address.ts'
import { Trouble } from '../command.ts'

/** Where to listen. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** Metrics tell which networks a node has, so nobody gets them from outside unless told otherwise. */
const LOOPBACK = '127.0.0.1'

/**
 * Reads `[ADDRESS:]PORT`. Any address may stand in brackets: then one word does for `$(HOST_IP)` of either family.
 * @throws Trouble
 */
export function parseListenAddress(option: string, text: string): Address {
  const [, bracketed, bare, digits = ''] = /^(?:\[([^\]]*)\]:|([^:]*):)?(\d{1,5})$/.exec(text) ?? []
  const written = bracketed ?? bare ?? LOOPBACK
  const host = parseAddress(written)?.address
  const port = digits === '' ? Number.NaN : Number(digits)
  if (host !== undefined && port <= 65_535) return { host, port }
  throw new Trouble(
    `${option}: ${JSON.stringify(text)} is not an address and a port; write [ADDRESS:]PORT, such as 127.0.0.1:19142 or [fd00::1]:19142`,
  )
}
