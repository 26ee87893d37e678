/** Repairs without end, and a runtime that adds and deletes the same pods: no call fails, and the outcome is the runtime's. */
import { rmSync, writeFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { CALICO, type CalicoPod, calicoPod } from '../support/calico.ts'
import { configure, dump, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run, type Verb } from '../support/runtime.ts'
import { check } from '../support/verbs.ts'
import { nameOf, repair, signsOf } from './repaired-pod.ts'
import { cacheEntry, OURS } from './result-cache.ts'
import { scratch } from './tool.ts'

afterEach(removeNamespaces)

const PODS = 5
const ROUNDS = 20

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** A pod as its runtime sees it. */
class Life {
  readonly container: string
  readonly pod: CalicoPod
  readonly #cache: (name: string) => string

  constructor(container: string, pod: CalicoPod, cache: (name: string) => string) {
    this.container = container
    this.pod = pod
    this.#cache = cache
  }

  async #call(verb: Verb, prevResult: unknown): Promise<string> {
    const env = { ...environment(verb, this.pod), CNI_CONTAINERID: this.container }
    const { stdout, stderr, exitCode } = await run(env, { ...OURS, prevResult })
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
    return stdout
  }

  /** Calico makes its default routes, we do our work, and libcni writes its entry after the last plugin. */
  async add(): Promise<unknown> {
    await configure(
      this.pod.netns,
      `route replace default via ${CALICO[4]} dev eth0
      route replace default via ${CALICO[6]} dev eth0`,
    )
    const result = JSON.parse(await this.#call('ADD', calicoResult(this.pod)))
    writeFileSync(this.#cache(nameOf(this.container)), cacheEntry(this.container, this.pod.path, result))
    return result
  }

  /** And removes it after the last one of DEL, which may take its time. */
  async del(result: unknown, ms: number): Promise<void> {
    await this.#call('DEL', result)
    await pause(ms)
    rmSync(this.#cache(nameOf(this.container)))
  }

  /** Adds and deletes it again and again, and at times leaves it to whoever wants to repair it. */
  async live(): Promise<void> {
    for (let round = 1; round <= ROUNDS; round++) {
      const result = await this.add()
      if (round === ROUNDS / 2) {
        await configure(this.pod.netns, 'route del 10.50.0.0/16')
        // A repair that is under way does not know of it, and the next one takes two looks.
        await pause(8000)
      }
      await this.del(result, round % 5 === 0 ? 300 : 0)
    }
  }
}

test('100 ADDs and as many DELs among repairs without end', { timeout: 120_000 }, async () => {
  using cache = scratch()
  const lives = await Promise.all(
    Array.from({ length: PODS }, async (_, i) => new Life(`storm${i}x${process.pid}`, await calicoPod(), cache.file)),
  )
  let isOver = false
  let repaired = 0
  const repairs = [0, 250].map(async (ms) => {
    await pause(ms)
    while (!isOver) {
      const { stdout, stderr } = await repair(cache.directory)
      expect(stderr).toBe('')
      repaired += stdout.match(/ repaired /g)?.length ?? 0
    }
  })
  await Promise.all(lives.map((life) => life.live())).finally(() => (isOver = true))
  await Promise.all(repairs)

  expect(repaired).toBeGreaterThan(0)
  for (const { container, pod } of lives) {
    expect(signsOf({ container })).toEqual([])
    expect((await routes(pod.netns)).join('\n')).not.toMatch(/proto 14\d|^default/m)
  }
  // And once more, to the end: what the last ADD made stays.
  const results = await Promise.all(lives.map((life) => life.add()))
  const before = await Promise.all(lives.map(({ pod }) => dump(pod.netns)))
  expect(await repair(cache.directory)).toMatchObject({ exitCode: 0, stdout: expect.not.stringContaining('repaired') })
  expect(await Promise.all(lives.map(({ pod }) => dump(pod.netns)))).toEqual(before)
  for (const [i, { pod }] of lives.entries()) await check(pod, { ...OURS, prevResult: results[i] })
})
