import { lookAtAttachments, readCachesBy, type Verdict } from '../look-at-node.ts'
import type { State } from '../look-at-pod.ts'
import { type Lookers, startLookers } from '../lookers.ts'
import { netnsState } from '../node-root.ts'
import { type Repair, type RepairState, repairPods } from '../repair-node.ts'
import { type Attachment, type Cache, type Pod, podsOf } from '../result-cache.ts'
import { makeTurns } from '../turns.ts'
import { afterGoodLook, afterRepair, isDue, NEVER, type Outcome, type Past, type Policy } from './due.ts'
import { killedAfter, until } from './interrupt.ts'
import type { Log } from './log.ts'
import type { Named } from './plan-sets.ts'

/** What is known of the attachments of the node. */
export interface PodsState {
  /** The last look at all of them: when it ended, in seconds since the epoch, and how many seconds it took. */
  readonly look?: { readonly at: number; readonly took: number }
  readonly attachments: readonly { readonly network: string; readonly state: State; readonly differences: number }[]
  /** The sets that attachments name, but for those of pods that are gone. Absent before the first look. */
  readonly sets?: readonly string[]
  /** Cache entries that cannot be read. */
  readonly unreadable: number
  /** How many repairs had which outcome. */
  readonly repairs: Readonly<Partial<Record<RepairState, number>>>
  /** Pods that are to be repaired, but not yet again. */
  readonly heldBack: number
}

export interface HowToKeepPods {
  readonly caches: readonly string[]
  /** Where the node's root directory is mounted. */
  readonly root: string
  /** Repair whatever differs, not only what comes of a set that has changed. */
  readonly repair: boolean
  /** How often to look at all of them, in milliseconds. */
  readonly interval: number
  readonly signal: AbortSignal
}

/** What a log line has of the differences of an attachment, and of the changes of a repair. */
const MAX_TOLD = 10

const SILENT = () => () => {}

/** Looks at the pods of the node, and repairs those that are due. */
export class PodKeeper {
  readonly #options: HowToKeepPods
  readonly #log: Log
  readonly #policy: Policy
  /**
   * Counts the changes of sets. Before the first, no pod is owed anything, or each start would undo what an operator has done in
   * pods. With --repair that is asked for: what was copied before the start counts as a change, as it may not have reached all.
   */
  #change: number
  readonly #atStart: number
  readonly #changes = new Map<string, number>()
  /** A set has changed since the caches were last read. */
  #isNews = true
  #interrupt = new AbortController()
  #lookAt = 0
  #pods: readonly Pod[] = []
  readonly #past = new Map<string, Past>()
  #verdicts: ReadonlyMap<string, Verdict> = new Map()
  #unreadable: ReadonlySet<string> = new Set()
  #look: PodsState['look']
  readonly #repairs: Partial<Record<RepairState, number>> = {}
  /** The pods whose last repair failed. */
  readonly #failed = new Set<string>()
  /** The pods that are being repaired beside the looks, and when that is over. */
  #apart: { readonly containers: ReadonlySet<string>; readonly ended: Promise<void> } | undefined

  constructor(options: HowToKeepPods, log: Log) {
    this.#options = options
    this.#log = log
    this.#policy = { repair: options.repair, firstWait: options.interval }
    this.#atStart = options.repair ? 1 : 0
    this.#change = this.#atStart
  }

  /** Ends whatever is being done, and the sleep after it, when sets change. */
  get signal(): AbortSignal {
    return AbortSignal.any([this.#options.signal, this.#interrupt.signal])
  }

  get state(): PodsState {
    const now = performance.now()
    return {
      ...(this.#look && { look: this.#look, sets: this.#setsSeen }),
      attachments: [...this.#verdicts.values()].map(({ attachment: { network }, state, said, more }) => ({
        network,
        state,
        differences: state === 'differs' ? said.length + more : 0,
      })),
      unreadable: this.#unreadable.size,
      repairs: { ...this.#repairs },
      heldBack: this.#pods.filter((pod) => this.#isWanted(pod) && !this.#isDue(pod, now)).length,
    }
  }

  /** Sets have changed on the node: whatever is being done gives way to the pods that name them. */
  setsChanged(names: readonly string[]): void {
    this.#change += 1
    for (const name of names) this.#changes.set(name, this.#change)
    this.#isNews = true
    this.#interrupt.abort()
  }

  /** Which sets the attachments of the node name. One whose pod is gone, and whose entry was left, needs none. */
  async named(): Promise<Named> {
    using lookers = startLookers()
    const { attachments, unreadable } = await readCachesBy(lookers, this.#options.caches, SILENT)
    if (unreadable.length > 0) return 'unknown'
    const living = attachments.filter((one) => !isGone(one, this.#options.root))
    return new Map(living.flatMap((one) => one.sets.map((set) => [set, inWords(one)])))
  }

  /** @throws Trouble if a cache cannot be read */
  async look(): Promise<void> {
    using lookers = startLookers()
    using _ = killedAfter(this.#options.signal, lookers)
    this.#interrupt = new AbortController()
    const { signal } = this
    const now = performance.now()
    if (this.#isNews || this.#pods.some((pod) => this.#isDue(pod, now))) await this.#repairDue(lookers, signal)
    if (signal.aborted || performance.now() < this.#lookAt) return
    await this.#lookAtAll(lookers, signal)
    // What is interrupted has killed its processes. The next look, which comes at once, has new ones.
    if (!signal.aborted) await this.#repairDue(lookers, signal)
  }

  async #lookAtAll(lookers: Lookers, signal: AbortSignal): Promise<void> {
    // Calls and repairs take turns only once it is there. Without it each repair says why.
    makeTurns(this.#options.root)
    const started = performance.now()
    const cache = await this.#read(lookers)
    const verdicts = await until(signal, lookers, () => this.#verdictsOf(cache.attachments, lookers))
    if (verdicts === undefined) return
    this.#forget(cache.attachments)
    this.#remember(verdicts)
    const took = (performance.now() - started) / 1000
    this.#look = { at: Date.now() / 1000, took }
    this.#lookAt = started + this.#options.interval
  }

  async #repairDue(lookers: Lookers, signal: AbortSignal): Promise<void> {
    if (this.#isNews) await this.#read(lookers)
    const now = performance.now()
    const due = this.#pods.filter((pod) => this.#isDue(pod, now))
    this.#repairApart(due.filter((pod) => this.#isIll(pod)))
    await this.#repairAll(
      due.filter((pod) => !this.#isIll(pod)),
      lookers,
      signal,
    )
  }

  /** Somebody in a pod can have each look at it take as long as it may. That must not hold up the others. */
  #repairApart(pods: readonly Pod[]): void {
    if (pods.length === 0 || this.#apart) return
    const work = async () => {
      using lookers = startLookers(1)
      using _ = killedAfter(this.#options.signal, lookers)
      await this.#repairAll(pods, lookers, this.#options.signal)
    }
    const containers = new Set(pods.map(({ container }) => container))
    const ended = work().finally(() => {
      this.#apart = undefined
    })
    this.#apart = { containers, ended }
  }

  /** Waits for what is done beside the looks. */
  async end(): Promise<void> {
    await this.#apart?.ended
  }

  async #repairAll(pods: readonly Pod[], lookers: Lookers, signal: AbortSignal): Promise<void> {
    if (pods.length === 0 || signal.aborted) return
    const { root, repair } = this.#options
    const only = repair ? undefined : 'sets'
    const change = this.#change
    const problem = makeTurns(root)
    const repairs = problem
      ? pods.map((pod): Repair => ({ pod, state: 'error', said: [problem], more: 0, lines: [] }))
      : await repairPods(pods, lookers, { root, dryRun: false, only, signal }, () => {})
    for (const repair of repairs) if (isOver(repair, signal)) this.#note(repair, change)
    const repaired = repairs.filter(({ state }) => state === 'repaired').flatMap(({ pod }) => pod.attachments)
    const verdicts = await until(signal, lookers, () => this.#verdictsOf(repaired, lookers))
    if (verdicts) this.#remember(verdicts)
  }

  async #read(lookers: Lookers): Promise<Cache> {
    const change = this.#change
    const cache = await readCachesBy(lookers, this.#options.caches, SILENT)
    this.#isNews = this.#change !== change
    this.#pods = podsOf(cache)
    const living = new Set(this.#pods.map(({ container }) => container))
    for (const known of [this.#past, this.#failed])
      for (const container of known.keys()) if (!living.has(container)) known.delete(container)
    for (const { file, message } of cache.unreadable) {
      if (!this.#unreadable.has(file))
        this.#log('error', `${file}: cannot be read: ${message}; if its pod is gone, remove it`)
    }
    this.#unreadable = new Set(cache.unreadable.map(({ file }) => file))
    return cache
  }

  /** Of attachments that are gone nothing is kept. */
  #forget(attachments: readonly Attachment[]): void {
    const known = attachments.map(({ file }) => [file, this.#verdicts.get(file)] as const)
    this.#verdicts = new Map(known.filter((one): one is readonly [string, Verdict] => one[1] !== undefined))
  }

  #verdictsOf(attachments: readonly Attachment[], lookers: Lookers): Promise<readonly Verdict[]> {
    return lookAtAttachments(attachments, this.#options.root, lookers, SILENT)
  }

  /** Takes what was seen of some attachments or all. Says what is not as it was. */
  #remember(verdicts: readonly Verdict[]): void {
    const before = this.#verdicts
    const looked = new Map(verdicts.map((verdict) => [verdict.attachment.file, verdict]))
    this.#verdicts = new Map([...before, ...looked])
    for (const [file, verdict] of looked) this.#tell(before.get(file)?.state, verdict)
    const now = performance.now()
    for (const pod of this.#pods) {
      if (pod.attachments.every(({ file }) => looked.get(file)?.state === 'ok'))
        this.#past.set(pod.container, afterGoodLook(this.#pastOf(pod), this.#policy, now))
    }
  }

  #tell(before: State | undefined, { attachment, state, said, more }: Verdict): void {
    if (state === before || state === 'gone' || (state === 'ok' && before === undefined)) return
    const { pod, container, network, ifname } = attachment
    const whose = { pod, container, network, ifname }
    if (state === 'ok') {
      this.#log('info', 'attachment is as configured again', whose)
      return
    }
    const left = Math.max(0, said.length - MAX_TOLD) + more
    const says = { said: said.slice(0, MAX_TOLD), ...(left > 0 && { more: left }) }
    this.#log(state === 'error' ? 'error' : 'warn', `attachment: ${state}`, { ...whose, ...says })
  }

  #note({ pod, state, said, lines }: Repair, change: number): void {
    this.#repairs[state] = (this.#repairs[state] ?? 0) + 1
    if (state === 'error') this.#failed.add(pod.container)
    else this.#failed.delete(pod.container)
    const differs = this.#differs(pod)
    const past = afterRepair(this.#pastOf(pod), outcomeOf(state), change, performance.now())
    // A look that finds nothing to do is no repair.
    this.#past.set(pod.container, state === 'ok' && !differs ? { ...past, tries: 0 } : past)
    if (state !== 'repaired' && outcomeOf(state) !== 'failed') return
    const whose = { pod: pod.attachments[0]?.pod, container: pod.container }
    if (state === 'repaired') this.#log('info', 'pod repaired', { ...whose, changes: lines.slice(0, MAX_TOLD) })
    else this.#log('error', 'pod not repaired', { ...whose, state, said: said.slice(0, MAX_TOLD) })
  }

  /** Which sets the attachments name that were looked at, and whose pods are not gone. */
  get #setsSeen(): string[] {
    const living = [...this.#verdicts.values()].filter(({ state }) => state !== 'gone')
    return [...new Set(living.flatMap(({ attachment }) => attachment.sets))]
  }

  #pastOf({ container }: Pod): Past {
    return this.#past.get(container) ?? NEVER
  }

  #isIll({ container, attachments }: Pod): boolean {
    return this.#failed.has(container) || attachments.some(({ file }) => this.#verdicts.get(file)?.state === 'error')
  }

  #differs({ attachments }: Pod): boolean {
    return attachments.some(({ file }) => this.#verdicts.get(file)?.state === 'differs')
  }

  #presentOf(pod: Pod) {
    const sets = pod.attachments.flatMap((attachment) => attachment.sets)
    return {
      owed: Math.max(0, ...sets.map((set) => this.#changes.get(set) ?? this.#atStart)),
      differs: this.#differs(pod),
    }
  }

  #isDue(pod: Pod, now: number): boolean {
    if (this.#apart?.containers.has(pod.container)) return false
    return isDue(this.#pastOf(pod), this.#presentOf(pod), this.#policy, now)
  }

  #isWanted(pod: Pod): boolean {
    return this.#isDue(pod, Number.POSITIVE_INFINITY)
  }
}

const isGone = ({ netns }: Attachment, root: string) => netns !== undefined && netnsState(root, netns) === 'gone'

const inWords = ({ ifname, pod, container, file }: Attachment) => `${ifname} of ${pod ?? container} (${file})`

function outcomeOf(state: RepairState): Outcome {
  if (state === 'repaired' || state === 'busy') return state
  // Nothing can be done for a pod that is gone, or whose namespace nobody knows.
  return state === 'ok' || state === 'gone' || state === 'unknown' ? 'ok' : 'failed'
}

/** Of a repair that is interrupted, what was not begun is not known. */
function isOver({ state }: Repair, { aborted }: AbortSignal): boolean {
  return !aborted || (state !== 'unknown' && state !== 'differs')
}
