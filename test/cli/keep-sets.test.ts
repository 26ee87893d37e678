import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { expect, onTestFinished, test } from 'vitest'
import { SetKeeper } from '../../src/cli/agent/keep-sets.ts'
import { ConfigMap } from './config-map.ts'
import { temporaryDirectory } from './plugin-directory.ts'

/** A keeper in a container, where the node's root directory is mounted below its own. It has copied two sets. */
async function keeping() {
  const directory = temporaryDirectory()
  const at = (name: string) => path.join(directory, name)
  mkdirSync(at('host/node'), { recursive: true })
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=755', 'tmpfs', at('host/node')])
  onTestFinished(async () => void (await execa('umount', ['-l', at('host/node')])))
  const map = new ConfigMap(at('map'), { one: '10.1.0.0/16', two: '10.2.0.0/16' })
  const said: string[] = []
  const keeper = new SetKeeper(
    { from: at('map'), to: '/node/sets', hostRoot: at('host'), allowShrink: false, interval: 60_000 },
    { log: (_, msg) => void said.push(msg), named: async () => new Map(), changed: () => {} },
  )
  await keeper.look()
  const state = () => keeper.state.sets.map(({ name, prefixes, problem }) => [name, prefixes, problem])
  expect(state()).toEqual([
    ['one', 1, undefined],
    ['two', 1, undefined],
  ])
  return { at, map, keeper, said, state }
}

const MANY = Array.from({ length: 6000 }, (_, i) => `10.1.${i >> 8}.${i & 255}/32\n`).join('')
const FULL = expect.stringContaining('sets/one: no space left on the file system')

test('below --host-root, a set that does not fit has a problem, and the others none; the last good one counts', async () => {
  const { at, map, keeper, said, state } = await keeping()
  map.write({ one: `10.1.0.0/16\n${MANY}`, two: '10.2.0.0/16\n10.3.0.0/16' })
  await expect(keeper.look()).rejects.toThrow('no space left')
  expect(state()).toEqual([
    ['one', 1, FULL],
    ['two', 2, undefined],
  ])
  await execa('mount', ['-o', 'remount,size=1m', at('host/node')])
  // Until the next try nothing is known to be better.
  await expect(keeper.look()).rejects.toThrow('no space left')
  expect(state()[0]).toEqual(['one', 1, FULL])
  await expect
    .poll(() => keeper.look().then(state, () => []), { timeout: 10_000, interval: 500 })
    .toEqual([
      ['one', 6001, undefined],
      ['two', 2, undefined],
    ])
  expect(said).toContain('set is as in the directory it comes from again')
})

test('below --host-root, what is where no set can be written counts as long as it is there', async () => {
  const { at, map, keeper, state } = await keeping()
  const problem = expect.stringContaining('can be changed by anybody')
  await execa('chmod', ['777', at('host/node')])
  rmSync(at('host/node/sets/two'))
  map.write({ one: '10.1.0.0/16', two: '10.2.0.0/16', three: '10.3.0.0/16' })
  await expect(keeper.look()).rejects.toThrow('can be changed by anybody')
  expect(state()).toEqual([
    ['one', 1, problem],
    ['two', undefined, problem],
  ])
})
