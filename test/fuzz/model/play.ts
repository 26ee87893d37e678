/** Plays a case on a pod, and holds every step to what the plugin promises. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { CniFailure, CniResult } from '../../support/runtime.ts'
import { call, vars } from '../call.ts'
import { expectAnswer } from '../rules.ts'
import type { Attached, Case, Conf, Step } from './cases.ts'
import { afterAdd, difference, isMarked, PROTO } from './expected.ts'
import {
  ADDRESSES,
  ANY,
  FAMILIES,
  type ModelPod,
  mainDefaults,
  readTables,
  type Seen,
  setTables,
  type Tables,
  tell,
} from './pod.ts'

/** What a run came across: a model that is never asked proves nothing. */
export interface Tally {
  added: number
  refused: number
  foreseen: number
  parallel: number
  lost: number
  restored: number
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

export async function play(pod: ModelPod, { table, confs, steps }: Case, tally: Tally): Promise<{ spoilt: boolean }> {
  await setTables(pod, table)
  /** The Results of the NICs whose ADD succeeded, as long as nobody else changed anything since. */
  const results = new Map<Attached, CniResult>()

  const invoke = async (verb: Verb, nic: Attached, prev: object = prevResultOf(nic)): Promise<Reply> => {
    const env = { ...vars(verb, pod.path), CNI_IFNAME: nic }
    const answer = await call(env, new TextEncoder().encode(JSON.stringify(document(nic, confs[nic], prev))))
    expectAnswer(answer)
    if (answer.exitCode === 1) return { error: JSON.parse(answer.stdout) }
    return answer.stdout === '' ? {} : { result: JSON.parse(answer.stdout) }
  }

  async function add(nic: Attached): Promise<void> {
    const before = await readTables(pod)
    const { result, error } = await invoke('ADD', nic)
    const after = await readTables(pod)
    const expected = afterAdd(before, confs[nic], nic)
    if (error) {
      tally.refused++
      // 7: the plugin sees it. 100: the kernel does. All others would say that the plugin went wrong.
      expect([7, 100], error.msg).toContain(error.code)
      // What was refused was not touched. What was undone may have another order of next hops.
      if (error.code === 7) expect(after.text).toBe(before.text)
      else expect(after.routes.map(way).sort()).toEqual(before.routes.map(way).sort())
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
    expectToldTruth(nic, confs[nic], result as CniResult, after)

    expect(await invoke('ADD', nic), 'a second ADD').toEqual({ result })
    expect((await readTables(pod)).text, 'after a second ADD').toBe(after.text)
    expect(await invoke('CHECK', nic, result), 'CHECK after ADD').toEqual({})
    results.clear()
    results.set(nic, result as CniResult)
  }

  async function del(nic: Attached): Promise<void> {
    const before = await readTables(pod)
    expect(await invoke('DEL', nic, results.get(nic))).toEqual({})
    const after = await readTables(pod)
    expectOthersUntouched(before, after, [], [nic])
    expectDefaultKept(before, after, [], confs)
    expect(
      after.routes.filter((one) => one.dev === nic && [PROTO.route, PROTO.gateway].some((own) => own === one.proto)),
    ).toEqual([])
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
      const place = (one: Seen) => (joined.has(way(one)) ? way(one) : `${way(one)} mtu ${one.mtu}`)
      const expected = mainDefaults(before, family).filter((one) => !removed(one))
      // An ovnGateway that was there already is its maker's, also where the other defaults of its NIC are removed.
      expect(mainDefaults(after, family).map(place)).toEqual(expect.arrayContaining(expected.map(place)))
    }
  }

  /** Somebody takes one of our routes away. */
  async function lose(nic: Attached, which: number): Promise<void> {
    if (!results.has(nic)) await add(nic)
    const result = results.get(nic)
    const ours = (await readTables(pod)).routes.filter(({ proto, dev }) => proto === PROTO.route && dev === nic)
    const lost = ours[which % ours.length]
    if (!result || !lost) return
    tally.lost++
    await tell(pod, [delLine(lost)])
    const { error } = await invoke('CHECK', nic, result)
    expect(error?.code, 'CHECK of a pod without one of its routes').toBe(110)
    expect(error?.details).toContain(lost.dst)
    results.clear()
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
        expect(result ? error : undefined, 'nothing has changed').toBe(undefined)
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

  for (const step of steps) if (await run(step)) return { spoilt: true }
  return { spoilt: false }
}

/** Where a route leads: of a next hop that is not the first of its IPv6 place the kernel tells no more. */
const way = ({ family, dst, gw, dev, table, metric }: Seen) => `IPv${family} ${dst} ${gw} ${dev} ${table} ${metric}`

const delLine = ({ family, dst, gw, dev, table, metric, proto }: Seen) =>
  `route del ${dst}${gw === undefined ? '' : ` via ${gw}`}${dev === undefined ? '' : ` dev ${dev}`} table ${table} proto ${proto}${
    family === 6 || metric > 0 ? ` metric ${metric}` : ''
  }`

/** Routes that bear no mark of ours change only on the NICs whose ADD it is; by DEL come back the defaults that had one. */
function expectOthersUntouched(
  before: Tables,
  after: Tables,
  nics: readonly string[],
  deleting: readonly string[] = [],
): void {
  const isBack = ({ dev = '', table, dst }: Seen) =>
    deleting.includes(dev) && table === 254 && FAMILIES.some((family) => dst === ANY[family])
  const joined = new Set([before, after].flatMap(({ routes }) => routes.filter((one) => one.joined).map(way)))
  const others = ({ routes }: Tables) =>
    routes
      .filter((one) => !(isMarked(one) && !one.joined) && !nics.includes(one.dev ?? '') && !isBack(one))
      .map((one) => (joined.has(way(one)) ? way(one) : one.text))
      .sort()
  expect(others(after), 'routes of others').toEqual(others(before))
}

/** A pod that had a default route which nobody was told to remove has one. */
function expectDefaultKept(before: Tables, after: Tables, adding: readonly Attached[], confs: Case['confs']): void {
  for (const family of FAMILIES) {
    const kept = mainDefaults(before, family).filter(({ proto, dev }) => {
      const nic = adding.find((one) => one === dev)
      return proto !== PROTO.gateway && (nic === undefined || confs[nic].defaultRoute[`ipv${family}`] === 'demote')
    })
    if (kept.length > 0) expect(mainDefaults(after, family), `a default route of IPv${family}`).not.toEqual([])
  }
}

/** `ovnGateway` makes or restores one default route, not two. Where DEL restored what was there before, that counts as there. */
function expectOneOfOurs(before: Tables, after: Tables, conf?: Conf): void {
  for (const family of FAMILIES) {
    const restores = conf?.ovnGateway === 'auto' && conf.defaultRoute[`ipv${family}`] !== 'demote'
    const ours = (tables: Tables) =>
      mainDefaults(tables, family).filter(
        ({ proto }) => proto === PROTO.gateway || (restores && proto === PROTO.restored),
      ).length
    expect(ours(after), 'defaults of ours').toBeLessThanOrEqual(Math.max(1, ours(before)))
  }
}

/** The Result tells of what the kernel holds in the main table, and of all that is ours there. */
function expectToldTruth(nic: Attached, conf: Conf, result: CniResult, { routes }: Tables): void {
  const text = ({ dst, gw }: { dst: string; gw?: string }) => `${dst} via ${gw}`
  const told = (result.routes ?? []).map(text)
  const held = routes.filter(({ table, dev }) => table === 254 && dev === nic)
  expect(held.map(text)).toEqual(expect.arrayContaining(told))
  expect(told).toEqual(
    expect.arrayContaining(held.filter(({ proto }) => proto === PROTO.route || proto === PROTO.gateway).map(text)),
  )
  for (const { dst, table } of conf.routes) if (table === undefined) expect(told.join()).toContain(dst)
}
