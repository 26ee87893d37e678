import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { clock } from '../../../src/kernel/clock.ts'
import { hasTurn, leaveTurn, REPAIR_MS, takeTurn, withTurn } from '../../../src/kernel/turns.ts'
import { type Party, State } from './turns-party.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'xcr-turns-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const there = () => readdirSync(directory).sort()
/** The time of a sign that is so many milliseconds old. */
const ago = (ms: number) => Math.floor(clock()) - ms
const lock = (container: string, target: string) => symlinkSync(target, path.join(directory, `repair.${container}`))
const mark = (name: string) => symlinkSync('call', path.join(directory, name))

async function timed<T>(act: () => Promise<T>): Promise<{ says: T; ms: number }> {
  const started = performance.now()
  return { says: await act(), ms: performance.now() - started }
}

describe('a call', () => {
  const call = (container = 'abc') => timed(() => withTurn(container, () => there(), directory))

  test('has its mark up while it works, and only then', async () => {
    const { says } = await call()
    expect(says).toEqual([expect.stringMatching(new RegExp(`^call\\.abc\\.${process.pid}\\.\\d+$`))])
    expect(there()).toEqual([])
  })

  test('takes its mark down when it fails, and fails with its own error', async () => {
    const failing = withTurn('abc', () => Promise.reject(new Error('as planned')), directory)
    await expect(failing).rejects.toThrow('as planned')
    expect(there()).toEqual([])
  })

  test('does without a directory, and makes none', async () => {
    rmSync(directory, { recursive: true })
    expect(await withTurn('abc', () => 'done', directory)).toBe('done')
    expect(() => there()).toThrow('ENOENT')
  })

  test.each<[string, () => unknown]>([
    ['is a file', () => writeFileSync(directory, '')],
    ['is a link to nothing', () => symlinkSync('/nowhere', directory)],
    ['is a link to itself', () => symlinkSync(directory, directory)],
    ['is below a file', () => path.join('/etc/hostname', 'turns')],
    [
      'is below a link to itself',
      () => {
        symlinkSync(directory, directory)
        return path.join(directory, 'turns')
      },
    ],
    // Where nobody can make a file, not even root.
    ['takes no files', () => symlinkSync('/proc/self/fdinfo', directory)],
  ])('goes on where what should be the directory %s', async (_, make) => {
    rmSync(directory, { recursive: true })
    const made = make()
    expect(await withTurn('abc', () => 'done', typeof made === 'string' ? made : directory)).toBe('done')
  })

  test('waits for a repair, but not for one that must have been killed', async () => {
    lock('abc', `f00.${ago(REPAIR_MS - 300)}`)
    const { ms } = await call()
    expect(ms).toBeGreaterThan(250)
    expect(ms).toBeLessThan(3000)
    expect(there()).toEqual(['repair.abc'])
    expect((await call()).ms).toBeLessThan(250)
  })

  test.each([
    ['from before a restart', () => `f00.${ago(-3_600_000)}`],
    ['that says nothing of time', () => 'f00'],
    ['with a time that is none', () => `f00.${'9'.repeat(400)}`],
  ])('does not wait for a repair %s', async (_, target) => {
    lock('abc', target())
    expect((await call()).ms).toBeLessThan(250)
  })

  test.each(['a file', 'a directory'])('does not wait for %s in the place of a repair', async (what) => {
    const place = path.join(directory, 'repair.abc')
    if (what === 'a file') writeFileSync(place, '')
    else mkdirSync(place)
    expect((await call()).ms).toBeLessThan(250)
  })

  test('does not wait for a repair of another pod', async () => {
    for (const other of ['ab', 'abcd', 'abc.1', 'ABC']) lock(other, `f00.${ago(0)}`)
    expect((await call()).ms).toBeLessThan(250)
  })

  test('has a mark up to the longest container ID that a file name holds, and none beyond', async () => {
    expect((await call('c'.repeat(200))).says).toHaveLength(1)
    expect((await call('c'.repeat(201))).says).toEqual([])
    expect((await call('c'.repeat(5000))).says).toEqual([])
  })
})

describe('a repair', () => {
  const take = (container = 'abc', owner = 'f00') => takeTurn(container, owner, directory)

  test('has its lock up until it ends', () => {
    const end = take()
    expect(there()).toEqual(['repair.abc'])
    expect(readlinkSync(path.join(directory, 'repair.abc'))).toMatch(/^f00\.\d+$/)
    end?.()
    expect(there()).toEqual([])
  })

  test.each([
    ['a call that works', 'call.abc.77.', 0],
    ['a call that was killed less than two minutes ago', 'call.abc.77.', 119_000],
  ])('leaves the pod to %s', (_, name, age) => {
    mark(name + ago(age))
    expect(take()).toBeUndefined()
    expect(there()).toEqual([expect.stringMatching(/^call\.abc\.77\./)])
  })

  test('removes the marks of calls that were killed long ago, or before a restart, of whatever pod', () => {
    for (const name of [`call.abc.1.${ago(121_000)}`, `call.abc.2.${ago(-60_000)}`, `call.other.3.${ago(500_000)}`])
      mark(name)
    mark(`call.other.4.${ago(1000)}`)
    const end = take()
    expect(end).toBeDefined()
    end?.()
    expect(there()).toEqual([expect.stringMatching(/^call\.other\.4\./)])
  })

  test.each([
    `call.ab.1.${ago(0)}`,
    `call.abc.1.2.${ago(0)}`, // of the container abc.1
    `call.abcd.1.${ago(0)}`,
    'call.abc',
    'call.abc.',
    'call.abc.x.y',
    `call..1.${ago(0)}`,
    `repair.call.abc.1.${ago(0)}`,
    `x call.abc.1.${ago(0)}`,
    'call.abc\n.1.2',
    '\u{1f4a3}',
    '.'.repeat(255),
    `call.${'1.'.repeat(125)}`,
  ])('is not kept from the pod by %j', (name) => {
    mark(name)
    const end = take()
    expect(end).toBeDefined()
    end?.()
  })

  test('is not kept from a pod by a mark that is a directory and cannot be removed', () => {
    mkdirSync(path.join(directory, `call.abc.1.${ago(130_000)}`))
    expect(take()).toBeDefined()
  })

  test('leaves the pod to another repair', () => {
    const end = take('abc', 'f00')
    expect(take('abc', 'bad')).toBeUndefined()
    expect(take('other', 'bad')).toBeDefined()
    end?.()
    expect(take('abc', 'bad')).toBeDefined()
  })

  test.each([
    ['was killed', () => `f00.${ago(REPAIR_MS)}`],
    ['is from before a restart', () => `f00.${ago(-60_000)}`],
    ['says nothing of time', () => 'f00'],
  ])('takes the turn of one that %s, at the second try', (_, target) => {
    lock('abc', target())
    expect(take('abc', 'bad')).toBeUndefined()
    expect(take('abc', 'bad')).toBeDefined()
  })

  test('refuses to work where it cannot keep a call out', () => {
    expect(() => take('c'.repeat(201))).toThrow('the container ID is longer than 200 characters')
    rmSync(directory, { recursive: true })
    writeFileSync(directory, '')
    const says = `${directory}: cannot be made or written, and without it no call of the runtime can be kept out of a pod: `
    expect(() => take()).toThrow(`${says}EEXIST`)
    rmSync(directory)
    // Where nobody can make a file, not even root.
    symlinkSync('/proc/self/fdinfo', directory)
    expect(() => take()).toThrow(`${says}ENOENT`)
  })

  test.each(['', '..', '.x', 'a/b', 'x/../../../etc/passwd', 'a b', 'a\nb', 'ä'])(
    'refuses %j for a container ID, and puts nothing up',
    (container) => {
      mkdirSync(path.join(directory, 'repair.x'))
      expect(() => take(container)).toThrow('must start with a letter or digit')
      leaveTurn(container, 'f00', directory)
      expect(there()).toEqual(['repair.x'])
    },
  )

  test('makes the directory if somebody has removed it, for root alone', () => {
    rmSync(directory, { recursive: true })
    // A call that began before it was there has no mark.
    expect(take()).toBeUndefined()
    expect(there()).toEqual([])
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(take()).toBeDefined()
  })

  test('knows whether it has its turn still, and ends no other', () => {
    const has = () => hasTurn('abc', 'f00', directory)
    expect(has()).toBe(false)
    const end = take()
    expect(has()).toBe(true)
    rmSync(path.join(directory, 'repair.abc'))
    expect(has()).toBe(false)
    lock('abc', `f000.${ago(0)}`)
    expect(has()).toBe(false)
    end?.()
    expect(there()).toEqual(['repair.abc'])
  })

  test('removes the locks of repairs that were killed long ago, of pods that may be gone', () => {
    for (const [container, target] of [
      ['old', `f00.${ago(121_000)}`],
      ['older', `f00.${ago(-60_000)}`],
      ['none', 'f00'],
      ['young', `f00.${ago(21_000)}`],
    ] as const)
      lock(container, target)
    mkdirSync(path.join(directory, 'repair.directory'))
    take()?.()
    expect(there()).toEqual(['repair.directory', 'repair.young'])
  })

  test('is ended by its owner if its process was killed, and by nobody else', () => {
    take('abc', 'f00')
    for (const other of ['f0', 'f000', '']) leaveTurn('abc', other, directory)
    expect(there()).toEqual(['repair.abc'])
    leaveTurn('abc', 'f00', directory)
    expect(there()).toEqual([])
    leaveTurn('abc', 'f00', directory)
  })

  test('and a call: 10,000 marks of calls that were killed cost the one a moment once, and the other nothing', async () => {
    for (let i = 0; i < 10_000; i++) mark(`call.${i.toString(16)}.${i}.${ago(200_000)}`)
    const call = () => timed(() => withTurn('abc', () => undefined, directory))
    expect((await call()).ms).toBeLessThan(100)
    const { ms } = await timed(async () => take()?.())
    expect(ms).toBeLessThan(2000)
    expect(there()).toEqual([])
  })
})

/** Threads with the code of turns.ts, which this test lets go on step by step. */
class Parties {
  readonly #all: { shared: Int32Array; worker: Worker }[]

  constructor(at: string, parts: readonly Party['is'][]) {
    this.#all = parts.map((is, i) => {
      const shared = new Int32Array(new SharedArrayBuffer(8))
      const workerData: Party = { is, directory: at, owner: `${i}`, shared }
      return { shared, worker: new Worker(new URL('./turns-party.ts', import.meta.url), { workerData }) }
    })
  }

  /** Lets each begin, and then the one go on that `schedule` names, until all are done. @returns how each ended */
  run(schedule: Iterable<number>, atEachStep: (atWork: readonly boolean[]) => void): number[] {
    for (const one of this.#all) this.#let(one, State.woken)
    const go = (i: number) => {
      const one = this.#all[i]
      if (!one || Atomics.load(one.shared, 0) !== State.waits) return false
      this.#let(one, State.goes)
      atEachStep(this.#all.map(({ shared }) => Atomics.load(shared, 1) === 1))
      return true
    }
    for (const i of schedule) go(i)
    // Nobody may wait for ever: then this would not end either.
    for (let left = 1000; this.#all.map((_, i) => go(i)).some(Boolean); ) if (left-- === 0) throw new Error('no end')
    return this.#all.map((one) => {
      const outcome = Atomics.load(one.shared, 0)
      Atomics.store(one.shared, 0, State.asleep)
      Atomics.notify(one.shared, 0)
      return outcome
    })
  }

  #let({ shared }: { shared: Int32Array }, state: number): void {
    Atomics.store(shared, 0, state)
    Atomics.notify(shared, 0)
    // The thread may wake us twice for one step.
    while (Atomics.load(shared, 0) === state)
      if (Atomics.wait(shared, 0, state, 10_000) === 'timed-out') throw new Error('a thread does not answer')
  }

  async end(): Promise<void> {
    await Promise.all(this.#all.map(({ worker }) => worker.terminate()))
  }
}

/** All schedules of so many steps of two. */
function* schedules(length: number): Generator<number[]> {
  for (let bits = 0; bits < 2 ** length; bits++) yield Array.from({ length }, (_, i) => (bits >> i) & 1)
}

describe('step by step, whatever the order:', () => {
  test('a call and a repair never work at the same time, and the call always does', async () => {
    const parties = new Parties(directory, ['call', 'repair'])
    const outcomes = new Set<string>()
    let waited = 0
    for (const schedule of schedules(10)) {
      let steps = 0
      const ends = parties.run(schedule, (atWork) => {
        steps++
        expect(atWork, `${schedule}`).not.toEqual([true, true])
      })
      if (steps > 12) waited++
      expect(there()).toEqual([])
      outcomes.add(ends.join())
    }
    await parties.end()
    // The call waits, or goes first.
    expect([...outcomes].sort()).toEqual([`${State.worked},${State.worked}`, `${State.worked},${State.busy}`])
    expect(waited).toBeGreaterThan(100)
  })

  test('of two repairs and two calls only calls work at the same time', async () => {
    const parties = new Parties(directory, ['call', 'call', 'repair', 'repair'])
    let repaired = 0
    const order = fc.array(fc.nat({ max: 3 }), { maxLength: 40 })
    fc.assert(
      fc.property(order, (schedule) => {
        const ends = parties.run(schedule, ([one, other, ...repairs]) => {
          const working = repairs.filter(Boolean).length
          expect(working).toBeLessThan(one || other ? 1 : 2)
        })
        expect(ends.slice(0, 2)).toEqual([State.worked, State.worked])
        for (const end of ends.slice(2)) expect([State.worked, State.busy]).toContain(end)
        if (ends.slice(2).includes(State.worked)) repaired++
        expect(there()).toEqual([])
      }),
      { numRuns: 500 },
    )
    await parties.end()
    expect(repaired).toBeGreaterThan(20)
  })

  test('two repairs that find the lock of one that was killed: neither takes the new lock of the other for it', async () => {
    const parties = new Parties(directory, ['repair', 'repair'])
    for (const schedule of schedules(8)) {
      lock('c0ffee', `f00.${ago(REPAIR_MS)}`)
      const ends = parties.run(schedule, (atWork) => expect(atWork).not.toEqual([true, true]))
      // One may have come after the other was done with it.
      expect(ends).toContain(State.busy)
      expect(there()).toEqual([])
    }
    await parties.end()
  })
})
