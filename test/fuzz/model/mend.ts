/** repair, as the command calls it. */
import { CniError } from '../../../src/errors.ts'
import { withNetns } from '../../../src/kernel/netns.ts'
import { readSet } from '../../../src/kernel/set-file.ts'
import { type Repaired, repair } from '../../../src/verbs/repair.ts'
import type { CniFailure } from '../../support/runtime.ts'

export async function repairedIn(
  path: string,
  ifname: string,
  conf: Record<string, unknown>,
): Promise<{ readonly error?: CniFailure; readonly repaired?: Repaired }> {
  try {
    return { repaired: await repair([{ conf, ifname }], path, { withNetns, readSet, agree: () => true }) }
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    const { code, message: msg, details } = error
    return { error: { cniVersion: '1.0.0', code, msg, ...(details === undefined ? {} : { details }) } }
  }
}
