import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseExposition } from '../support/exposition.ts'
import { agent, listening, page, severalLooks } from './agent.ts'
import { ConfigMap } from './config-map.ts'
import { temporaryDirectory } from './plugin-directory.ts'
import { cacheEntry } from './result-cache.ts'

/** A node with nothing of ours yet, and a ConfigMap for it. */
function place(data: Readonly<Record<string, string>>) {
  const directory = temporaryDirectory()
  const at = (name: string) => path.join(directory, name)
  for (const name of ['bin', 'cache', 'node']) mkdirSync(at(name))
  const sets = at('node/sets')
  const words = ['--to', at('bin'), '--cache', at('cache'), '--sets-from', at('map'), '--sets-to', sets]
  /** A set on the node, without the line that says whose it is. */
  const copied = (name: string) => readFileSync(path.join(sets, name), 'utf8').replace(/^.*\n/, '')
  return { at, sets, copied, map: new ConfigMap(at('map'), data), words: [...words, '--interval', '1'] }
}

/** An attachment that names a set. Its pod is gone, unless nobody knows its namespace. */
const naming = (set: string, container = 'abc', netns = '/run/netns/gone') =>
  cacheEntry(
    container,
    netns,
    {},
    {
      config: Buffer.from(
        JSON.stringify({ cniVersion: '1.0.0', name: 'n', plugins: [{ type: 'x-calico-route', routes: [{ set }] }] }),
      ).toString('base64'),
    },
  )

const UNDERLAY = '10.50.0.0/16\nfd00:10:50::/48\n'

describe('the sets of a ConfigMap', () => {
  test('are copied, followed, and kept as they are there', async () => {
    const { at, sets, copied, map, words } = place({ underlay: UNDERLAY, storage: '10.60.0.0/16\n' })
    const { until, since, end } = agent(words)
    expect(await until('set copied')).toMatchObject({ level: 'info', set: 'storage', prefixes: 1 })
    expect(await until('set copied')).toMatchObject({ set: 'underlay', prefixes: 2 })
    await until(/^ready$/)
    expect(readFileSync(path.join(sets, 'underlay'), 'utf8')).toMatch(
      `# Made by x-calico-route agent of ${at('map')}/underlay. Edit that (in Kubernetes: the ConfigMap mounted there), not this copy. sha256:`,
    )
    expect(copied('underlay')).toBe(UNDERLAY)
    expect(statSync(path.join(sets, 'underlay'))).toMatchObject({ mode: 0o100644, uid: 0 })
    expect(readdirSync(sets)).toEqual(['storage', 'underlay'])

    map.write({ underlay: `${UNDERLAY}10.70.0.0/16\n`, storage: '10.60.0.0/16\n' })
    const started = performance.now()
    expect(await until('set copied')).toMatchObject({ set: 'underlay', prefixes: 3 })
    expect(performance.now() - started).toBeLessThan(3000)

    // somebody on the node
    rmSync(path.join(sets, 'storage'))
    expect(await until('set copied')).toMatchObject({ set: 'storage' })
    // What is written while it notes its own copy is found a minute later.
    await severalLooks()
    writeFileSync(path.join(sets, 'storage'), readFileSync(path.join(sets, 'storage'), 'utf8').replace('60', '66'))
    expect(await until('set copied')).toMatchObject({ set: 'storage' })
    expect(copied('storage')).toBe('10.60.0.0/16\n')

    map.write({ underlay: UNDERLAY })
    expect(await until('set removed')).toMatchObject({ set: 'storage' })
    expect(copied('underlay')).toBe(UNDERLAY)
    await severalLooks()
    expect(since()).toEqual([])
    await end()
    expect(readdirSync(sets)).toEqual(['underlay'])
  })

  test('never come half: who reads sees one version or the other', async () => {
    const version = (net: number) =>
      Array.from({ length: 9000 }, (_, i) => `10.${net}.${i >> 8}.${i & 255}/32\n`).join('')
    const versions = [version(1), version(2)]
    const { copied, map, words } = place({ underlay: versions[0] ?? '' })
    const { until, end } = agent([...words, '--allow-shrink'])
    await until(/^ready$/)
    const seen = new Set<number>()
    let [isOver, reads] = [false, 0]
    const reading = (async () => {
      for (; !isOver; reads += 1) {
        const index = versions.indexOf(copied('underlay'))
        expect(index).not.toBe(-1)
        seen.add(index)
        await sleep(1)
      }
    })()
    for (const text of [versions[1], versions[0], versions[1]]) {
      map.write({ underlay: text ?? '' })
      await until('set copied')
    }
    isOver = true
    await reading
    expect([...seen].sort()).toEqual([0, 1])
    expect(reads).toBeGreaterThan(100)
    await end()
  })

  test('change together: a version that is gone while it is read is not mixed with the next', async () => {
    const both = (n: number) => ({ one: `10.${n}.0.0/16\n`, two: `10.${n}.0.0/16\n` })
    const { copied, map, words } = place(both(1))
    const { until, all, end } = agent([...words, '--allow-shrink'])
    await until(/^ready$/)
    for (let n = 2; n < 200; n += 1) {
      map.write(both(n))
      await sleep(15)
    }
    await expect.poll(() => [copied('one'), copied('two')], { timeout: 10_000 }).toEqual(Object.values(both(199)))
    const told = all().filter(({ msg }) => msg === 'set copied')
    expect(told.map(({ set }) => set)).toEqual(told.map((_, index) => (index % 2 === 0 ? 'one' : 'two')))
    await end()
  })

  test('that are wrong are told once, and the last good version stays', async () => {
    const { at, copied, map, words } = place({ underlay: UNDERLAY })
    const { until, since, end } = agent([...words, '--sets-within', '10.0.0.0/8,fd00::/8', '--metrics', '0'])
    const url = await listening({ until })
    await until(/^ready$/)
    const wrong = [
      ['10.50.0.1/16\n', ':1: "10.50.0.1/16" has host bits set; write 10.50.0.0/16'],
      [`${UNDERLAY}0.0.0.0/0\n`, ':3: 0.0.0.0/0 is the default route, which no set can have'],
      [`${UNDERLAY}192.0.2.0/24\n`, ':3: 192.0.2.0/24 is outside --sets-within'],
      ['# all gone\n', ': would become empty; give --allow-shrink if that is right'],
    ] as const
    for (const [text, says] of wrong) {
      map.write({ underlay: text })
      const { msg, level } = await until(`${at('map')}/underlay${says}`)
      expect({ msg, level }).toEqual({ msg: expect.stringMatching(/; the last good version stays$/), level: 'error' })
      expect(copied('underlay')).toBe(UNDERLAY)
    }
    await severalLooks()
    expect(since()).toEqual([])
    expect(await page(`${url}/readyz`)).toEqual({ status: 200, text: 'ok\n' })
    expect((await page(`${url}/metrics`)).text).toContain('x_calico_route_sets_refused 1\n')
    map.write({ underlay: UNDERLAY })
    await until('set is as in the directory it comes from again')
    await end()

    map.write({ underlay: '10.50.0.0/16\n', new: 'wrong' })
    const second = agent(words)
    await second.until('is not an IP prefix')
    // No pod waits for the new set.
    await second.until(/^ready$/)
    writeFileSync(at('cache/n-abc-eth0'), naming('new', 'abc', ''))
    await second.until(/^not ready: set new: the node has no good version of it$/)
    map.write({ underlay: '# none\n' })
    await second.until('would become empty')
    await second.until(/^ready$/)
    await second.end()
    const third = agent([...words, '--allow-shrink'])
    expect(await third.until('set copied')).toMatchObject({ set: 'underlay', prefixes: 0 })
  })

  test('that are gone stay while an attachment of the node names them, or may', async () => {
    const { at, sets, map, words } = place({ underlay: UNDERLAY, storage: '10.60.0.0/16\n' })
    writeFileSync(at('cache/n-abc-eth0'), naming('underlay', 'abc', ''))
    mkdirSync('/run/netns', { recursive: true })
    writeFileSync(at('cache/n-gone-eth0'), naming('storage', 'gone'))
    writeFileSync(at('cache/n-def-eth0'), '')
    const { until, since } = agent(words)
    await until(/^ready$/)
    map.write({})
    await until('storage: is not in')
    expect((await until('underlay: is not in')).msg).toMatch(/, but not all cache entries .* can be read, so it stays$/)
    rmSync(at('cache/n-def-eth0'))
    // Nobody needs what only the entry of a pod names that is gone.
    expect(await until('set removed')).toMatchObject({ set: 'storage' })
    expect((await until('underlay: is not in')).msg).toMatch(
      /, but attachments of this node name it, such as eth0 of tenant\/abc \(.*\/n-abc-eth0\), so it stays$/,
    )
    expect(readdirSync(sets)).toEqual(['underlay'])
    await severalLooks()
    expect(since()).toEqual([])
    rmSync(at('cache/n-abc-eth0'))
    expect(await until('set removed')).toMatchObject({ set: 'underlay' })
    expect(readdirSync(sets)).toEqual([])
  })

  test('do not take the place of a file that the agent has not made', async () => {
    const { sets, map, words } = place({ underlay: UNDERLAY })
    mkdirSync(sets)
    writeFileSync(path.join(sets, 'underlay'), '10.1.0.0/16\n')
    writeFileSync(path.join(sets, 'other'), '10.2.0.0/16\n')
    const { until } = agent(words)
    await until(
      `${sets}/underlay: was not made by the agent, so it is not replaced; remove it, or the set of that name`,
    )
    await until(/^ready$/)
    map.write({})
    await severalLooks()
    expect(readFileSync(path.join(sets, 'underlay'), 'utf8')).toBe('10.1.0.0/16\n')
    expect(readdirSync(sets)).toEqual(['other', 'underlay'])
  })

  test('are not written where others than root could change them', async () => {
    const { at, sets, words } = place({ underlay: UNDERLAY })
    await execa('chmod', ['777', at('node')])
    const { until } = agent(words)
    await until(
      `--sets-to: ${at('node')} can be changed by anybody (mode 0777), who could then choose what root runs; `,
    )
    await until(/^not ready: the sets have not been read yet$/)
    await execa('chmod', ['755', at('node')])
    await until(/^ready$/)
    expect(readdirSync(sets)).toEqual(['underlay'])
  })
})

describe('a plain directory of sets', () => {
  test('is copied once its files have stopped changing', async () => {
    const { at, copied, words } = place({})
    rmSync(at('map'), { recursive: true })
    mkdirSync(at('map'))
    writeFileSync(at('map/underlay'), UNDERLAY)
    writeFileSync(at('map/.hidden'), 'x')
    const { until, all } = agent(words)
    await until(/^ready$/)
    // An editor that truncates the file and writes it bit by bit.
    for (let i = 0; i < 40; i += 1) {
      writeFileSync(at('map/underlay'), i % 2 ? '10.' : '')
      await sleep(50)
    }
    writeFileSync(at('map/underlay'), `${UNDERLAY}10.70.0.0/16\n`)
    expect(await until('set copied')).toMatchObject({ prefixes: 3 })
    expect(copied('underlay')).toBe(`${UNDERLAY}10.70.0.0/16\n`)
    expect(all().filter(({ level }) => level === 'error')).toEqual([])
  })
})

describe('what the agent survives', () => {
  /** A file system with room for a few pages. */
  async function tiny(directory: string): Promise<void> {
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory])
    onTestFinished(async () => void (await execa('umount', ['-l', directory])))
  }
  const troublesOf = async (url: string) => {
    const metric = parseExposition((await page(`${url}/metrics`)).text).find(({ name }) =>
      name.endsWith('troubles_total'),
    )
    return metric?.samples.find(({ labels }) => labels.part === 'sets')?.value ?? Number.NaN
  }
  const isReady = async (url: string) => expect(await page(`${url}/readyz`)).toEqual({ status: 200, text: 'ok\n' })
  const MANY = Array.from({ length: 6000 }, (_, i) => `10.1.${i >> 8}.${i & 255}/32\n`).join('')

  test('a disk that is full: said once, counted, and the set comes when there is room', async () => {
    const { at, sets, copied, map, words } = place({ underlay: UNDERLAY })
    await tiny(at('node'))
    const { until, since } = agent([...words, '--metrics', '0'])
    const url = await listening({ until })
    await until(/^ready$/)
    map.write({ underlay: `${UNDERLAY}${MANY}` })
    await until(`${sets}/underlay: no space left on the file system; free some (see df); nothing was changed`)
    expect(copied('underlay')).toBe(UNDERLAY)
    await expect.poll(() => troublesOf(url), { timeout: 20_000 }).toBeGreaterThan(1)
    await isReady(url)
    expect(readdirSync(sets)).toEqual(['underlay'])
    expect(since()).toEqual([])
    await execa('mount', ['-o', 'remount,size=1m', at('node')])
    expect(await until('set copied')).toMatchObject({ prefixes: 6002 })
  })

  test('a file system that is read-only', async () => {
    const { at, sets, copied, map, words } = place({ underlay: UNDERLAY })
    await tiny(at('node'))
    const { until } = agent([...words, '--metrics', '0'])
    const url = await listening({ until })
    await until(/^ready$/)
    await execa('mount', ['-o', 'remount,ro', at('node')])
    const more = `${UNDERLAY}10.51.0.0/16\n`
    map.write({ underlay: more })
    await until(
      `${sets}/underlay: the file system is read-only; mount it read-write, or give a writable directory; nothing was changed`,
    )
    await isReady(url)
    await expect.poll(() => troublesOf(url), { timeout: 10_000 }).toBeGreaterThan(0)
    expect(copied('underlay')).toBe(UNDERLAY)
    await execa('mount', ['-o', 'remount,rw', at('node')])
    await until('set copied')
    expect(copied('underlay')).toBe(more)
  })

  test('directories that vanish: what the sets come from, where they go, and the caches', async () => {
    const { at, sets, copied, words } = place({ underlay: UNDERLAY })
    const { until } = agent([...words, '--metrics', '0'])
    const url = await listening({ until })
    await until(/^ready$/)
    renameSync(at('map'), at('away'))
    await until(`${at('map')}: no such file or directory`)
    await isReady(url)
    expect(copied('underlay')).toBe(UNDERLAY)
    renameSync(at('away'), at('map'))
    await severalLooks()
    rmSync(at('node'), { recursive: true })
    rmSync(at('cache'), { recursive: true })
    await expect.poll(() => existsSync(path.join(sets, 'underlay')), { timeout: 10_000 }).toBe(true)
    expect(copied('underlay')).toBe(UNDERLAY)
    await isReady(url)
  })

  test('a cache entry of no bytes, as after a loss of power', async () => {
    const { at, words } = place({})
    writeFileSync(at('cache/n-abc-eth0'), '')
    const { until, all } = agent([...words, '--metrics', '0'])
    const url = await listening({ until })
    const told = (said: string) => all().filter(({ msg }) => msg.startsWith(said))
    const says = `${at('cache/n-abc-eth0')}: cannot be read: not JSON: `
    await expect
      .poll(() => [told('ready'), told(says)].map(({ length }) => length), { timeout: 30_000 })
      .toEqual([1, 1])
    expect(told(says)).toMatchObject([
      { level: 'error', msg: expect.stringMatching(/; if its pod is gone, remove it$/) },
    ])
    const before = all().length
    await severalLooks()
    expect(all().slice(before)).toEqual([])
    await isReady(url)
    expect((await page(`${url}/metrics`)).text).toContain('x_calico_route_unreadable_cache_entries 1\n')
  })
})
