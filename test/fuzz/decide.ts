/** A call from its input to the batch it would hand to ip(8), without the kernel: the files that decide, one after the other. */

import { boundArgs } from '../../src/cni/pod-args.ts'
import { checkEnv, decodeText, type Env, parseDocument, parseRequest, type Request } from '../../src/cni/request.ts'
import { buildResult, gatewayAddressesOf, parsePrevResult } from '../../src/cni/result.ts'
import { effectiveConfig } from '../../src/config/overrides.ts'
import type { ReadSet } from '../../src/config/route-sets.ts'
import { CniError, Code } from '../../src/errors.ts'
import { batchLine, parseRoutes } from '../../src/net/iproute2.ts'
import { parseLinks } from '../../src/net/iproute2-links.ts'
import { isRuleOp, type Op, type Snapshot } from '../../src/net/route.ts'
import { planAdd } from '../../src/plan/plan.ts'
import { decideDel } from '../../src/verbs/del.ts'
import { refuseProblems, refuseUnwritable } from '../../src/verbs/refusals.ts'
import { setsOf } from '../support/sets.ts'
import { SETS } from './documents.ts'

/** What the call comes to: the lines and the Result, or the error. Throws what is no CniError. */
export type Decision = { readonly lines: readonly string[]; readonly result?: string } | { readonly refused: CniError }

export interface Answers {
  readonly routes: string
  readonly links: string
}

/** A pod with Calico's NIC and one of kube-ovn, whose default is demoted, in the words of ip(8). */
export const TWO_NICS: Answers = {
  routes: JSON.stringify([
    { dst: 'default', gateway: '169.254.1.1', dev: 'eth0', protocol: '3', scope: '0', flags: [] },
    { dst: '169.254.1.1', dev: 'eth0', protocol: '3', scope: '253', flags: [] },
    { dst: 'default', gateway: 'fe80::1', dev: 'eth0', protocol: '3', metric: 1024, flags: [], pref: 'medium' },
    { dst: 'default', gateway: '10.0.1.1', dev: 'net1', protocol: '144', scope: '0', metric: 4026531840, flags: [] },
    { dst: '10.0.1.0/24', dev: 'net1', protocol: '2', scope: '253', flags: [] },
  ]),
  links: JSON.stringify([
    { ifname: 'eth0', flags: ['UP'], addr_info: [{ local: '10.199.3.153' }, { local: 'fd00:10:199::153' }] },
    { ifname: 'net1', flags: ['UP'], addr_info: [] },
  ]),
}

/** @param sets the texts of the sets of the node */
export function decide(env: Env, stdin: Uint8Array, answers: Answers = TWO_NICS, sets = SETS): Decision {
  try {
    checkEnv(env)
    return decided(parseRequest(env, parseDocument(boundArgs(decodeText(stdin)).text)), answers, setsOf(sets))
  } catch (error) {
    if (error instanceof CniError) return { refused: error }
    throw error
  }
}

function decided(request: Request, answers: Answers, readSet: ReadSet): Decision {
  switch (request.verb) {
    case 'ADD':
    case 'CHECK': {
      const config = effectiveConfig(request.conf, readSet)
      const prev = parsePrevResult(request.conf.prevResult)
      refuseUnwritable(request.ifname)
      const plan = planAdd(config, request.ifname, snapshotOf(answers), {
        gatewayAddresses: gatewayAddressesOf(prev, request.ifname),
      })
      refuseProblems(plan.problems)
      const removed = ([4, 6] as const).filter((family) => config.defaultRoute[family] === 'remove')
      const result = JSON.stringify(buildResult(request.cniVersion, prev, { ...plan, removed, before: [] }))
      return { lines: linesOf(plan.ops), result }
    }
    case 'DEL':
      return {
        lines: linesOf(decideDel(request.conf, request.ifname, snapshotOf(answers), readSet)),
      }
    default:
      return { lines: [] }
  }
}

/** Each operation, and what a rollback would make of it. */
function linesOf(ops: readonly Op[]): string[] {
  return ops.flatMap((op) => [
    batchLine(op),
    batchLine(
      isRuleOp(op) ? { ...op, op: op.op === 'del' ? 'add' : 'del' } : { ...op, op: op.op === 'del' ? 'append' : 'del' },
    ),
  ])
}

/** Whatever is wrong with an answer itself has code 103, see change.ts. */
function snapshotOf({ routes, links }: Answers): Snapshot {
  try {
    return { routes: parseRoutes(routes), links: parseLinks(links) }
  } catch (error) {
    throw new CniError(Code.toolMissing, 'ip: answered something else', undefined, error)
  }
}
