/** Which pods the agent repairs, and what it asks of the processes that look. These here answer in this process. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { PodKeeper } from '../../../../src/cli/agent/keep-pods.ts'
import type { Question } from '../../../../src/cli/looker.ts'
import { readEntry } from '../../../../src/cli/result-cache.ts'
import { cacheEntry } from '../../../cli/result-cache.ts'

/** What the processes were asked, and what they see. */
const seen = vi.hoisted(() => ({
  asked: [] as Question[],
  state: 'differs',
  during: undefined as (() => void) | undefined,
}))

vi.mock('../../../../src/cli/lookers.ts', () => ({
  startLookers: () => {
    let isStopped = false
    const answer = (question: Question) => {
      if (isStopped) return { failed: 'it was not looked at any more', stopped: true }
      seen.asked.push(question)
      if ('read' in question) return { says: readEntry(question.read) }
      if ('look' in question) seen.during?.()
      const said = { said: ['routes[0]: missing'], more: 0 }
      return { says: 'look' in question ? { state: seen.state, ...said } : { state: 'ok', ...said, lines: [] } }
    }
    return {
      ask: async (questions: readonly Question[]) => questions.map(answer),
      [Symbol.dispose]: () => {
        isStopped = true
      },
    }
  },
}))

/** A node with two pods that name a set and one that does not; the namespace of the second is gone. */
function node(repair: boolean) {
  Object.assign(seen, { asked: [], state: 'differs', during: undefined })
  const root = mkdtempSync(path.join(tmpdir(), 'node-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  const cache = path.join(root, 'cache')
  for (const directory of [cache, path.join(root, 'run/netns')]) mkdirSync(directory, { recursive: true })
  const pod = (container: string, route: object) => {
    const plugins = [{ type: 'x-calico-route', routes: [route] }]
    const config = Buffer.from(JSON.stringify({ cniVersion: '1.0.0', name: 'n', plugins })).toString('base64')
    writeFileSync(
      path.join(cache, `n-${container}-eth0`),
      cacheEntry(container, `/run/netns/${container}`, {}, { config }),
    )
    if (container !== 'gone') writeFileSync(path.join(root, 'run/netns', container), '')
  }
  pod('aaa', { set: 'underlay' })
  pod('bbb', { dst: '10.50.0.0/16' })
  pod('gone', { set: 'storage' })
  const said: string[] = []
  const { signal } = new AbortController()
  const keeper = new PodKeeper({ caches: [cache], root, repair, interval: 60_000, signal }, (_, msg) => said.push(msg))
  return { keeper, said, cache }
}

const repairs = () =>
  seen.asked.flatMap((question) =>
    'repair' in question ? { pod: question.repair.container, only: question.only } : [],
  )

describe('without --repair', () => {
  test('nothing is repaired at the start, whatever differs', async () => {
    const { keeper, said } = node(false)
    await keeper.look()
    expect(said).toContain('attachment: differs')
    expect(repairs()).toEqual([])
    expect(keeper.state.heldBack).toBe(0)
  })

  test('a set that changes has the pods that name it repaired, and only in what comes of sets', async () => {
    const { keeper } = node(false)
    await keeper.look()
    keeper.setsChanged(['underlay'])
    await keeper.look()
    expect(repairs()).toEqual([{ pod: 'aaa', only: 'sets' }])
    await keeper.look()
    expect(repairs()).toHaveLength(1)
  })

  test('so does one that was copied at the start', async () => {
    const { keeper } = node(false)
    keeper.setsChanged(['underlay'])
    await keeper.look()
    expect(repairs()).toEqual([{ pod: 'aaa', only: 'sets' }])
  })
})

test('with --repair everything is repaired, from the start', async () => {
  const { keeper } = node(true)
  await keeper.look()
  expect(repairs().map(({ pod }) => pod)).toEqual(expect.arrayContaining(['aaa', 'bbb']))
  expect(repairs().every(({ only }) => only === undefined)).toBe(true)
})

test('a set that changes during a look ends it without any other consequence, and reaches the pods at once', async () => {
  const { keeper, said, cache } = node(false)
  seen.during = () => {
    seen.during = undefined
    keeper.setsChanged(['underlay'])
  }
  await keeper.look()
  expect({ said, unreadable: keeper.state.unreadable, look: keeper.state.look }).toEqual({ said: [], unreadable: 0 })
  expect(keeper.signal.aborted).toBe(true)
  await keeper.look()
  expect(repairs()).toEqual([{ pod: 'aaa', only: 'sets' }])
  expect(said.filter((msg) => msg.includes(cache))).toEqual([])
})

test('the sets that are named are those of pods that are not gone, each with one of them', async () => {
  const { keeper, cache } = node(false)
  expect(await keeper.named()).toEqual(new Map([['underlay', `eth0 of tenant/aaa (${cache}/n-aaa-eth0)`]]))
  writeFileSync(path.join(cache, 'n-bad-eth0'), '')
  expect(await keeper.named()).toBe('unknown')
})
