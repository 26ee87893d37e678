import * as fs from 'node:fs'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { readSets, versionOf } from '../../../../src/cli/agent/set-files.ts'
import { ConfigMap } from '../../../cli/config-map.ts'

/** What happens the next time that a file is read. */
let onRead: () => void = () => {}

vi.mock('node:fs', async (importOriginal) => {
  const original = await importOriginal<typeof fs>()
  const readSync = (...args: Parameters<typeof original.readSync>) => {
    const act = onRead
    onRead = () => {}
    act()
    return original.readSync(...args)
  }
  return { ...original, readSync }
})

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'xcr-sets-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const VERSIONS = [
  { one: '10.1.0.0/16\n', two: '10.1.0.0/16\n' },
  { one: '10.2.0.0/16\n', two: '10.2.0.0/16\n' },
] as const
const filesOf = (data: Readonly<Record<string, string>>) =>
  Object.entries(data).map(([name, text]) => ({ name, read: { text } }))

describe('a ConfigMap', () => {
  test('is read through its link, all files of one version', () => {
    const map = new ConfigMap(path.join(directory, 'map'), VERSIONS[0])
    const first = readSets(map.directory, 'follow')
    expect(first.files).toEqual(filesOf(VERSIONS[0]))
    expect(versionOf(map.directory)).toEqual({ version: first.version, whole: true })
    map.write(VERSIONS[1])
    const second = readSets(map.directory, 'follow')
    expect(second.files).toEqual(filesOf(VERSIONS[1]))
    expect(second.version).not.toBe(first.version)
  })

  test('that changes while it is read is not taken for anything', () => {
    const map = new ConfigMap(path.join(directory, 'map'), VERSIONS[0])
    onRead = () => map.write(VERSIONS[1])
    expect(() => readSets(map.directory, 'follow')).toThrow(`${map.directory}: changed while it was read`)
    expect(readSets(map.directory, 'follow').files).toEqual(filesOf(VERSIONS[1]))
  })
})

describe('a plain directory', () => {
  const plain = () => {
    const sets = path.join(directory, 'sets')
    mkdirSync(sets)
    for (const [name, text] of Object.entries(VERSIONS[0])) writeFileSync(path.join(sets, name), text)
    return sets
  }

  test('is another version when a file of it comes, goes or changes', () => {
    const sets = plain()
    const seen = new Set([versionOf(sets).version])
    const changes = [
      () => writeFileSync(path.join(sets, 'one'), '10.3.0.0/16\n'),
      () => writeFileSync(path.join(sets, 'three'), ''),
      () => rmSync(path.join(sets, 'two')),
    ]
    for (const change of changes) {
      change()
      const { version, whole } = versionOf(sets)
      expect(whole).toBe(false)
      expect(seen).not.toContain(version)
      seen.add(version)
    }
    writeFileSync(path.join(sets, '.hidden'), '')
    expect(seen).toContain(versionOf(sets).version)
  })

  test('that changes while it is read is not taken for anything', () => {
    const sets = plain()
    onRead = () => writeFileSync(path.join(sets, 'two'), '10.2.0.0/16\n')
    expect(() => readSets(sets, 'follow')).toThrow('changed while it was read')
  })

  test('has files that cannot be read, each with its reason', () => {
    const sets = plain()
    mkdirSync(path.join(sets, 'three'))
    fs.symlinkSync('nowhere', path.join(sets, 'four'))
    fs.symlinkSync('one', path.join(sets, 'five'))
    writeFileSync(path.join(sets, 'six'), Buffer.alloc(1024 * 1024 + 1))
    const read = (links: 'follow' | 'refuse') =>
      Object.fromEntries(readSets(sets, links).files.map(({ name, read }) => [name, 'text' in read ? read.text : read]))
    expect(read('follow')).toMatchObject({
      three: { unreadable: 'is a directory' },
      four: { unreadable: 'no such file or directory' },
      five: '10.1.0.0/16\n',
      six: { unreadable: 'longer than 1 MiB' },
    })
    expect(read('refuse')).toMatchObject({ five: { unreadable: 'is a symbolic link, which is not followed' } })
  })

  test('of a thousand files and more holds no sets', () => {
    const sets = plain()
    for (let i = 0; i < 999; i += 1) writeFileSync(path.join(sets, `set-${i}`), '')
    expect(() => versionOf(sets)).toThrow(`${sets}: has 1001 files; the limit is 1000`)
  })

  test('that is not there is told as such', () => {
    expect(() => versionOf('/no/such/sets')).toThrow('/no/such/sets: no such file or directory')
  })
})
