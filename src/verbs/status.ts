import type { Request } from '../cni/request.ts'
import { parseConfig } from '../config/config.ts'
import { CniError, Code } from '../errors.ts'
import { readRoutes } from '../kernel/change.ts'
import { GLANCE } from '../kernel/look.ts'
import { missingCapabilities, withNetns } from '../kernel/netns.ts'
import type { Outcome } from './outcome.ts'

const LIMIT_MS = 10_000

/**
 * Tells whether ADD could work on this node, by doing what ADD does first: it asks ip(8) for routes in a namespace. The
 * namespace is our own, where it asks for the default route alone: a node can have a million others.
 * @throws CniError 50, or 7 for a configuration that ADD would refuse
 * @see https://github.com/containernetworking/cni/blob/main/SPEC.md#status-check-plugin-status
 */
export async function status(request: Request & { verb: 'STATUS' }): Promise<Outcome> {
  parseConfig(request.conf)
  try {
    await withNetns('/proc/self/ns/net', LIMIT_MS, (netns) => readRoutes(netns, GLANCE))
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    throw new CniError(Code.notAvailable, error.message, error.details, error)
  }
  const missing = missingCapabilities()
  if (missing.length > 0)
    throw new CniError(
      Code.notAvailable,
      `process: lacks ${missing.join(' and ')}; run it as root with these capabilities`,
    )
  return {}
}
