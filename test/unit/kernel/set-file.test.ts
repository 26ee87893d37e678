import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MAX_SET_BYTES } from '../../../src/config/route-sets.ts'
import { readSet } from '../../../src/kernel/set-file.ts'

let directory: string
let server: Server
beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'xcr-sets-'))
  server = createServer().listen(at('socket'))
  await new Promise((resolve) => server.once('listening', resolve))
})
afterAll(() => {
  server.close()
  rmSync(directory, { recursive: true })
})

const at = (name: string) => path.join(directory, name)
const write = (name: string, text: string | Buffer) => writeFileSync(at(name), text)
const dsts = (name: string) => {
  const read = readSet(directory, name)
  return read && 'prefixes' in read ? read.prefixes.map(({ dst }) => dst) : read
}
const TEXT = '10.50.0.0/16\nfd00:10:50::/48\n'
const HELD = ['10.50.0.0/16', 'fd00:10:50::/48']

describe('the file of a set', () => {
  it('is read, and names itself', () => {
    write('underlay', TEXT)
    expect(readSet(directory, 'underlay')).toEqual({
      file: at('underlay'),
      prefixes: [
        { family: 4, dst: '10.50.0.0/16', line: 1 },
        { family: 6, dst: 'fd00:10:50::/48', line: 2 },
      ],
    })
  })

  it('may be a symbolic link to one, as in the mount of a ConfigMap', () => {
    mkdirSync(at('..2026'))
    write('..2026/linked', TEXT)
    symlinkSync('..2026', at('..data'))
    symlinkSync('..data/linked', at('linked'))
    expect(dsts('linked')).toEqual(HELD)
  })

  it('may be empty, or as large as the limit', () => {
    write('empty', '')
    expect(dsts('empty')).toEqual([])
    write('full', TEXT.padEnd(MAX_SET_BYTES, '#'))
    expect(dsts('full')).toEqual(HELD)
  })

  it('may have bytes that are no text in its comments', () => {
    write('bytes', Buffer.concat([Buffer.from('#'), Buffer.from([0xff, 0, 0xc3]), Buffer.from(`\n${TEXT}`)]))
    expect(dsts('bytes')).toEqual(HELD)
  })

  it.each<[string, () => void, string, boolean]>([
    [
      'missing',
      () => {},
      `does not exist yet; add "missing" to the agent's ConfigMap, or write the file yourself`,
      true,
    ],
    [
      'dangling',
      () => symlinkSync('nowhere', at('dangling')),
      `does not exist yet; add "dangling" to the agent's ConfigMap, or write the file yourself`,
      true,
    ],
    ['dir', () => mkdirSync(at('dir')), 'is not a regular file; write the prefixes into one', false],
    [
      'fifo',
      () => void execFileSync('mkfifo', [at('fifo')]),
      'is not a regular file; write the prefixes into one',
      false,
    ],
    ['zeros', () => symlinkSync('/dev/zero', at('zeros')), 'is not a regular file; write the prefixes into one', false],
    ['socket', () => {}, 'cannot be read: ENXIO', false],
    ['loop', () => symlinkSync('loop', at('loop')), 'cannot be read: ELOOP', false],
    ['broken', () => symlinkSync('/proc/self/mem', at('broken')), 'cannot be read: EIO', false],
    [
      'large',
      () => write('large', TEXT.padEnd(MAX_SET_BYTES + 1, '#')),
      'has 1048577 bytes; the limit is 1048576',
      false,
    ],
    // The kernel says that it has 0 bytes: as a file that grows while it is read.
    [
      'growing',
      () => symlinkSync('/proc/self/status', at('growing')),
      'changed while it was read; write it under another name, then rename it',
      true,
    ],
  ])('is refused: %s', (name, make, problem, later) => {
    make()
    const open = readdirSync('/proc/self/fd').length
    expect(readSet(directory, name)).toEqual({
      problems: [expect.stringMatching(new RegExp(`^${at(name)}: ${problem.replace(/[.?]/g, '\\$&')}`))],
      later,
    })
    expect(readdirSync('/proc/self/fd')).toHaveLength(open)
  })

  it('is refused with its lines', () => {
    write('bad', '10.50.0.0/16\n10.50.0.1/16\n')
    expect(readSet(directory, 'bad')).toEqual({
      problems: [`${at('bad')}:2: "10.50.0.1/16" has host bits set; write 10.50.0.0/16`],
    })
  })

  it.each([
    ['below a file', '/etc/passwd', 'cannot be read: ENOTDIR'],
    ['with a NUL', '/a\u0000b', 'cannot be read: '],
    ['that is too long', `/${'a/'.repeat(2100)}b`, 'cannot be read: ENAMETOOLONG'],
  ])('is refused in a directory %s', (_, where, problem) => {
    expect(readSet(where, 'underlay')).toEqual({
      problems: [expect.stringContaining(`${where}/underlay: ${problem}`)],
      later: false,
    })
  })

  it('is not there yet if its directory is not', () => {
    expect(readSet(at('no-directory'), 'underlay')).toMatchObject({ later: true })
  })
})
