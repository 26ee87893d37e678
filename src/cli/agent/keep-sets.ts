import { messageOf } from '../../errors.ts'
import { Trouble } from '../command.ts'
import { onThisSide } from '../node-root.ts'
import type { Log } from './log.ts'
import { leftOver, type Named, planSets, type SetPlan, type SetRules } from './plan-sets.ts'
import { changedAt, readSets, removeLeftOvers, removeSet, targetDirectory, versionOf, writeSet } from './set-files.ts'

/** What is known of one set. */
export interface SetState {
  readonly name: string
  /** False for a file whose name no set can have. */
  readonly isSet: boolean
  /** How many prefixes the node has of it; absent if it has no good version. */
  readonly prefixes?: number
  /** When it last changed on the node, in seconds since the epoch. */
  readonly changed?: number
  /** Why the node has another version than the directory that it comes from, or none. */
  readonly problem?: string
}

export interface SetsState {
  /** The directory that the sets come from has been read. */
  readonly read: boolean
  readonly sets: readonly SetState[]
}

export interface HowToCopy extends SetRules {
  /** Where the node's root directory is mounted, if it is not our own. */
  readonly hostRoot: string | undefined
  /** How often to ask whether a set is still named that is gone from where it came from, in milliseconds. */
  readonly interval: number
}

/** How the keeper reaches the rest of the agent. */
export interface SetsOutside {
  readonly log: Log
  /** Asks which sets the attachments of the node name. */
  readonly named: () => Promise<Named>
  /** Called with the sets that have changed on the node. */
  readonly changed: (names: readonly string[]) => void
}

/** How long to wait after a try that failed. */
const AGAIN_MS = 5000

/** Copies the sets of one directory to another, whenever either has changed. */
export class SetKeeper {
  readonly #rules: HowToCopy
  readonly #outside: SetsOutside
  /** The versions of both directories that were last dealt with, and when to do it again all the same. */
  #done: { readonly from: string; readonly to: string } | undefined
  #againAt = 0
  /** Why the last try failed. */
  #failed: unknown
  #hasFailed = false
  /** The version of the source at the last look. */
  #seen = ''
  state: SetsState = { read: false, sets: [] }

  constructor(rules: HowToCopy, outside: SetsOutside) {
    this.#rules = rules
    this.#outside = outside
  }

  /** Whether there has been a look that read the sets, or failed. Files that are being written take more than one. */
  get hasLooked(): boolean {
    return this.state.read || this.#hasFailed
  }

  /** @throws Trouble, the same one until the next try */
  async look(): Promise<void> {
    try {
      await this.#look()
    } catch (error) {
      this.#hasFailed = true
      throw error
    }
  }

  async #look(): Promise<void> {
    const { from, to, hostRoot } = this.#rules
    const { version, whole } = versionOf(from)
    // Files that are written one by one may be half of what they will be: those of a moment ago must be the same.
    const settled = whole || version === this.#seen
    this.#seen = version
    if (!settled) return
    if (this.#failed && performance.now() < this.#againAt) throw this.#failed
    this.#failed = undefined
    let target = onThisSide(hostRoot ?? '/', to)
    try {
      target = await targetDirectory(to, hostRoot)
      const hasChanged = this.#done && (this.#done.from !== version || this.#done.to !== versionOf(target).version)
      if (hasChanged || performance.now() >= this.#againAt) this.#failed = await this.#copy(target)
    } catch (error) {
      this.#failed = error
      this.state = { ...this.state, sets: this.state.sets.map((set) => unsure(set, target, error)) }
    }
    if (this.#failed === undefined) return
    this.#againAt = performance.now() + AGAIN_MS
    throw this.#failed
  }

  /** @returns what could not be written */
  async #copy(target: string): Promise<Trouble | undefined> {
    const from = readSets(this.#rules.from, 'follow')
    const to = readSets(target, 'refuse')
    await removeLeftOvers(target)
    const left = leftOver(from.files, to.files).length > 0
    const plans = planSets(from.files, to.files, this.#rules, left ? await this.#outside.named() : new Map())
    const { states, changed, failures } = await this.#carryOut(plans, target)
    this.#tell(states.filter(({ name }) => !failures.has(name)))
    this.state = { read: true, sets: states }
    this.#done = { from: from.version, to: versionOf(target).version }
    this.#againAt = left ? performance.now() + this.#rules.interval : Number.POSITIVE_INFINITY
    if (changed.length > 0) this.#outside.changed(changed)
    return failures.size > 0 ? new Trouble([...failures.values()].join('; ')) : undefined
  }

  async #carryOut(plans: readonly SetPlan[], target: string) {
    const states: SetState[] = []
    const changed: string[] = []
    const failures = new Map<string, string>()
    for (const plan of plans) {
      const { name, act, ...rest } = plan
      try {
        if (act === 'remove') {
          await removeSet(target, name)
          this.#outside.log('info', 'set removed', { set: name })
        } else if (act !== 'nothing') {
          await writeSet(target, name, act.write)
          this.#outside.log('info', 'set copied', { set: name, prefixes: plan.prefixes })
        }
        if (act !== 'nothing') changed.push(name)
        const time = changedAt(target, name)
        if (act !== 'remove') states.push({ name, ...rest, ...(time !== undefined && { changed: time }) })
      } catch (error) {
        if (!(error instanceof Trouble)) throw error
        failures.set(name, error.message)
        const before = this.state.sets.find((set) => set.name === name) ?? { name, isSet: true }
        states.push(unsure(before, target, error))
      }
    }
    return { states, changed, failures }
  }

  /** Says each problem once, and when it is gone. */
  #tell(states: readonly SetState[]): void {
    const before = new Map(this.state.sets.map((set) => [set.name, set.problem]))
    for (const { name, problem } of states) {
      if (problem === before.get(name)) continue
      if (problem !== undefined) this.#outside.log('error', problem, { set: name })
      else this.#outside.log('info', 'set is as in the directory it comes from again', { set: name })
    }
  }
}

/** What is known of a set when its copy could not be brought up to date. One that is still there is as good as before. */
function unsure({ prefixes, changed, ...set }: SetState, target: string, error: unknown): SetState {
  const isThere = isIn(target, set.name)
  return {
    ...set,
    ...(isThere && prefixes !== undefined && { prefixes }),
    ...(isThere && changed !== undefined && { changed }),
    problem: messageOf(error),
  }
}

/** A directory that we cannot look into may well have it. */
function isIn(target: string, name: string): boolean {
  try {
    return changedAt(target, name) !== undefined
  } catch {
    return true
  }
}
