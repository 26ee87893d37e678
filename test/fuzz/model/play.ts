/** Plays a case on a pod, and holds every step to what the plugin promises. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { CHILD, carryOut, type Injection, standIn } from '../../faults/stand-in.ts'
import type { CniFailure, CniResult } from '../../support/runtime.ts'
import { hostWhereIpIs } from '../../support/tools.ts'
import { call, vars } from '../call.ts'
import { expectAnswer } from '../rules.ts'
import type { Attached, Case, Conf, Mending, Step } from './cases.ts'
import { afterAdd, difference, isMarked, PROTO, withoutIpv6 } from './expected.ts'
import { CLEANING, type Failure, type Meddling, meddlingLines } from './hostile.ts'
import { repairedIn } from './mend.ts'
import {
  ADDRESSES,
  attributesText,
  FAMILIES,
  type ModelPod,
  mainDefaults,
  readRules,
  readTables,
  type Seen,
  setAddresses,
  setTables,
  tell,
} from './pod.ts'
import {
  delLine,
  expectDefaultKept,
  expectOneOfOurs,
  expectOthersUntouched,
  expectRestored,
  expectToldTruth,
  isConfigured,
  way,
} from './promises.ts'

/** What a run came across: a model that is never asked proves nothing. */
export interface Tally {
  added: number
  refused: number
  foreseen: number
  parallel: number
  lost: number
  restored: number
  /** By a rollback. */
  undone: number
  /** Of those where the first of several IPv4 routes in a place was brought back to where it was. */
  undoneInOrder: number
  meddled: number
  repaired: number
  /** Refused, or rolled back. */
  unrepaired: number
  /** An ADD that leaves IPv6 out. */
  skipped: number
}

type Verb = 'ADD' | 'DEL' | 'CHECK'
type Reply = { readonly result?: CniResult; readonly error?: CniFailure }

const document = (nic: Attached, conf: Conf, prevResult: object) => ({
  cniVersion: '1.0.0',
  name: `of-${nic}`,
  type: 'x-calico-route',
  ...conf,
  prevResult,
})
const prevResultOf = (nic: Attached) => ({
  cniVersion: '1.0.0',
  interfaces: [{ name: nic, sandbox: '/pod' }],
  ips: FAMILIES.map((family) => ({ interface: 0, address: ADDRESSES[nic][family] })),
})

/** @returns whether the pod can be of use no more */
export async function play(
  pod: ModelPod,
  { table, links, lacking, confs, steps }: Case,
  tally: Tally,
): Promise<boolean> {
  await setAddresses(pod, lacking)
  await setTables(pod, [...CLEANING, ...table])
  await tell(pod, links.lines)
  const hasOrdinaryLinks = links.lines.length === 0
  const skips = (nic: Attached) => confs[nic].missingFamily === 'skip' && lacking.includes(nic)
  const asked = (nic: Attached) => (skips(nic) ? withoutIpv6(confs[nic]) : confs[nic])
  /** The Results of the NICs whose ADD succeeded, as long as nobody else changed anything since. */
  const results = new Map<Attached, CniResult>()

  const invoke = async (
    verb: Verb,
    nic: Attached,
    prev: object = prevResultOf(nic),
    via: readonly string[] = [],
  ): Promise<Reply> => {
    const env = { ...vars(verb, pod.path), CNI_IFNAME: nic }
    const answer = await call(env, new TextEncoder().encode(JSON.stringify(document(nic, confs[nic], prev))), { via })
    expectAnswer(answer)
    if (answer.exitCode === 1) return { error: JSON.parse(answer.stdout) }
    return answer.stdout === '' ? {} : { result: JSON.parse(answer.stdout) }
  }

  async function add(nic: Attached): Promise<void> {
    const before = await readTables(pod)
    const { result, error } = await invoke('ADD', nic)
    const after = await readTables(pod)
    const expected = hasOrdinaryLinks ? afterAdd(before, asked(nic), nic, skips(nic)) : 'open'
    if (error) {
      tally.refused++
      // 7: the plugin sees it. 100: the kernel does. All others would say that the plugin went wrong.
      expect([7, 100], error.msg).toContain(error.code)
      if (error.code === 7) expect(after.text).toBe(before.text)
      else expectRestored(before, after, error)
      if (expected !== 'open') expect(expected, error.msg).toBe('refused')
      return
    }
    tally.added++
    if (expected !== 'open') {
      tally.foreseen++
      expect(difference(before, after)).toEqual(expected)
    }
    expectOthersUntouched(before, after, [nic])
    expectDefaultKept(before, after, [nic], confs)
    expectOneOfOurs(before, after, confs[nic])
    expectToldTruth(nic, asked(nic), result as CniResult, before, after)
    if (skips(nic)) {
      tally.skipped++
      const isSkipped = ({ family, dev, proto }: Seen) => family === 6 && dev === nic && proto === PROTO.route
      const were = before.routes.filter(isSkipped).map(({ text }) => text)
      expect(after.routes.filter(isSkipped).map(({ text }) => text)).toEqual(were)
    }

    expect(await invoke('ADD', nic), 'a second ADD').toEqual({ result })
    expect((await readTables(pod)).text, 'after a second ADD').toBe(after.text)
    expectAsConfigured(await invoke('CHECK', nic, result))
    results.clear()
    results.set(nic, result as CniResult)
  }

  /** CHECK is content, or tells of packets that a rule of the pod refuses. */
  function expectAsConfigured({ error }: Reply): void {
    const isRuled = table.some((line) => /^rule add .* to \S+ (blackhole|prohibit)$/.test(line))
    const told = (error?.details ?? '')
      .split(/; run "ip route get \S+" and "ip rule" in the pod(?:; )?/)
      .filter(Boolean)
    if (isRuled && told.every((one) => /: packets to \S+ go nowhere$/.test(one))) return
    expect(error, 'CHECK after ADD').toBeUndefined()
  }

  async function del(nic: Attached): Promise<void> {
    const before = await readTables(pod)
    expect(await invoke('DEL', nic, results.get(nic))).toEqual({})
    const after = await readTables(pod)
    expectOthersUntouched(before, after, [], [nic])
    expectDefaultKept(before, after, [], confs)
    const ofOurs = after.routes.filter(({ dev, proto }) => dev === nic && proto === PROTO.route)
    const gateways = FAMILIES.flatMap((of) => mainDefaults(after, of, nic)).filter(
      ({ proto }) => proto === PROTO.gateway,
    )
    expect([...ofOurs, ...gateways]).toEqual([])
    expect(await invoke('DEL', nic), 'a second DEL').toEqual({})
    expect((await readTables(pod)).text, 'after a second DEL').toBe(after.text)
    results.clear()
  }

  async function atOnce(calls: readonly { verb: Verb; nic: Attached; delayMs: number }[]): Promise<void> {
    const before = await readTables(pod)
    const replies = await Promise.all(
      calls.map(async ({ verb, nic, delayMs }) => {
        await sleep(delayMs)
        return { verb, nic, ...(await invoke(verb, nic)) }
      }),
    )
    const after = await readTables(pod)
    tally.parallel++
    for (const { error } of replies) if (error) expect([7, 100], error.msg).toContain(error.code)
    const adding = calls.filter(({ verb }) => verb === 'ADD').map(({ nic }) => nic)
    const deleting = calls.filter(({ verb }) => verb === 'DEL').map(({ nic }) => nic)
    expectOthersUntouched(before, after, adding, deleting)
    expectDefaultKept(before, after, adding, confs)
    if (adding.length === calls.length) expectOneOfOurs(before, after)
    results.clear()
  }

  /** What was demoted is back afterwards, with its metric: nothing of the pod's is lost but what was to be removed. */
  async function thereAndBack(nic: Attached): Promise<void> {
    const before = await readTables(pod)
    if (before.routes.some(isMarked)) return
    await add(nic)
    if (!results.has(nic)) return
    await del(nic)
    const after = await readTables(pod)
    tally.restored++
    for (const family of FAMILIES) {
      const removed = (one: Seen) => one.dev === nic && confs[nic].defaultRoute[`ipv${family}`] === 'remove'
      const joined = new Set(before.routes.filter((one) => one.joined).map(way))
      const place = (one: Seen) => (joined.has(way(one)) ? way(one) : `${way(one)} ${attributesText(one)}`)
      const expected = mainDefaults(before, family).filter((one) => !removed(one))
      // An ovnGateway that was there already is its maker's, also where the other defaults of its NIC are removed.
      expect(mainDefaults(after, family).map(place)).toEqual(expect.arrayContaining(expected.map(place)))
    }
  }

  /** Something goes wrong in an ADD, once: it is as it was, or as configured. */
  async function fail({ nic, line, fault }: Failure): Promise<void> {
    const before = await readTables(pod)
    const { error } = await interrupted('ADD', nic, { conversation: 1, line, action: CHILD[fault] })
    results.clear()
    if (!error) return
    const after = await readTables(pod)
    expect([7, 100, 103], error.msg).toContain(error.code)
    expectRestored(before, after, error)
    if (!error.details?.includes('rolled back by')) return
    tally.undone++
    if (error.details.includes('route prepend')) tally.undoneInOrder++
  }

  /** A link goes in the middle of a call: it is answered, DEL succeeds, and of others nothing is lost but by the kernel. */
  async function meddle(step: Meddling): Promise<void> {
    const { verb, nic, line, link } = step
    const before = await readTables(pod)
    const lines = meddlingLines(step, pod.far)
    const { error } = await interrupted(verb, nic, { conversation: 1, line, action: carryOut(lines) })
    tally.meddled++
    if (verb === 'DEL') expect(error).toBe(undefined)
    // 102 where the kernel took what a route that is to come back leads by.
    const codes = step.event === 'goes down and up' ? [4, 7, 100, 101, 102] : [4, 7, 100, 101]
    if (error) expect(codes, `${error.msg}; ${error.details}`).toContain(error.code)
    expect(await invoke('DEL', nic)).toEqual({})
    const after = await readTables(pod)
    expectOthersUntouched(before, after, [nic, link, 'renamed', ''], [nic])
    expect(after.routes.filter((one) => one.dev === nic && one.proto === PROTO.route)).toEqual([])
  }

  /** A call with an `ip` that does something at one moment. */
  async function interrupted(verb: Verb, nic: Attached, injection: Injection): Promise<Reply> {
    using host = hostWhereIpIs(standIn(pod.path, [injection]))
    return await invoke(verb, nic, prevResultOf(nic), host.via)
  }

  /** Somebody takes one of our routes away. */
  async function lose(nic: Attached, which: number): Promise<void> {
    // CHECK has nothing to say of a dummy in the place of a NIC.
    if (links.replaced === nic) return
    if (!results.has(nic)) await add(nic)
    const result = results.get(nic)
    const ours = (await readTables(pod)).routes.filter((one) => one.dev === nic && isConfigured(one, asked(nic)))
    const lost = ours[which % ours.length]
    if (!result || !lost) return
    tally.lost++
    await tell(pod, [delLine(lost)])
    const { error } = await invoke('CHECK', nic, result)
    expect(error?.code, 'CHECK of a pod without one of its routes').toBe(110)
    expect(error?.details).toContain(lost.dst)
    results.clear()
  }

  /** Something is done to the NIC's routes, and repair makes them what CHECK expects, or leaves all as it was. */
  async function mend({ nic, lost, isFlushed, lines }: Mending): Promise<void> {
    if (links.replaced === nic) return
    if (!results.has(nic)) await add(nic)
    const result = results.get(nic)
    results.clear()
    if (!result) return
    const ours = (await readTables(pod)).routes.filter((one) => one.dev === nic && isMarked(one))
    const gone = isFlushed ? ours : lost.flatMap((which) => ours[which % ours.length] ?? [])
    await tell(pod, [...gone.map(delLine), ...lines])
    const before = await readTables(pod)
    const conf = document(nic, confs[nic], result)
    const { error, repaired } = await repairedIn(pod.path, nic, conf)
    const after = await readTables(pod)
    expectOthersUntouched(before, after, [nic])
    if (error) {
      tally.unrepaired++
      expect([7, 100], `${error.msg}; ${error.details}`).toContain(error.code)
      if (error.code === 7) expect(after.text).toBe(before.text)
      else expectRestored(before, after, error)
      return
    }
    const isStray = repaired?.found.some((one) => /: packets to /.test(one)) ?? false
    if (repaired?.left !== undefined && !isStray) {
      tally.unrepaired++
      expect(repaired.found).not.toEqual([])
      expect(after.text).toBe(before.text)
      return
    }
    tally.repaired++
    expectAsConfigured(await invoke('CHECK', nic, result))
    expect((await repairedIn(pod.path, nic, conf)).repaired?.ops, 'a second repair').toEqual([])
    expect((await readTables(pod)).text, 'after a second repair').toBe(after.text)
  }

  async function run(step: Step): Promise<boolean> {
    switch (step.do) {
      case 'ADD':
        await add(step.nic)
        return false
      case 'DEL':
        await del(step.nic)
        return false
      case 'ADD and DEL':
        await thereAndBack(step.nic)
        return false
      case 'CHECK': {
        const before = await readTables(pod)
        const result = results.get(step.nic)
        const { error } = await invoke('CHECK', step.nic, result)
        if (result) expectAsConfigured({ ...(error ? { error } : {}) })
        if (error) expect(error.code).toBe(110)
        expect((await readTables(pod)).text).toBe(before.text)
        return false
      }
      case 'both':
        await atOnce([
          { verb: step.verbs.eth0, nic: 'eth0', delayMs: 0 },
          { verb: step.verbs.net1, nic: 'net1', delayMs: step.delayMs },
        ])
        return false
      case 'twice':
        await atOnce(step.verbs.map((verb) => ({ verb, nic: step.nic, delayMs: 0 })))
        return false
      case 'lose':
        await lose(step.nic, step.which)
        return false
      case 'mend':
        await mend(step)
        return false
      case 'appear':
        await tell(pod, [step.line])
        results.clear()
        return false
      case 'vanish': {
        const { routes } = await readTables(pod)
        const route = routes.filter(({ proto }) => proto !== 2)[step.which]
        if (route) await tell(pod, [delLine(route)])
        results.clear()
        return false
      }
      case 'fail':
        await fail(step)
        return false
      case 'meddle':
        await meddle(step)
        return true
      case 'down': {
        await tell(pod, [`link set ${step.nic} down`])
        for (const nic of ['eth0', 'net1'] as const) {
          const before = await readTables(pod)
          const { error } = await invoke('ADD', nic)
          if (error) {
            expect([7, 100], error.msg).toContain(error.code)
            expect((await readTables(pod)).text).toBe(before.text)
          }
          expect(await invoke('DEL', nic)).toEqual({})
        }
        return true
      }
      default:
        throw step satisfies never
    }
  }

  const rules = await readRules(pod)
  for (const step of steps) if (await run(step)) return true
  expect(await readRules(pod)).toBe(rules)
  return !hasOrdinaryLinks
}
