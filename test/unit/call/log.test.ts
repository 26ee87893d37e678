import { fs, vol } from 'memfs'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { log } from '../../../src/call/log.ts'

// memfs has no descriptors 1 and 2: what goes to them is caught here, all else goes to the memory file system.
const { stderr } = vi.hoisted(() => ({ stderr: [] as string[] }))
vi.mock('node:fs', () => ({
  ...fs,
  constants: fs.constants,
  writeSync: (fd: number, bytes: Buffer, offset: number) => {
    if (fd !== 2) return fs.writeSync(fd, bytes, offset)
    stderr.push(bytes.subarray(offset).toString())
    return bytes.length - offset
  },
}))

beforeEach(() => {
  vol.reset()
  vol.mkdirSync('/var/log', { recursive: true })
  stderr.length = 0
})

const logFile = '/var/log/x-calico-route.log'
const lines = () =>
  (vol.readFileSync(logFile, 'utf8') as string)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('a log record', () => {
  it('is one JSON object on a line, with the time', () => {
    log({ logLevel: 'info', logFile }, { level: 'info', verb: 'ADD', msg: 'two\nlines' })
    log({ logLevel: 'info', logFile }, { level: 'info', verb: 'DEL' })
    expect(lines()).toEqual([
      { time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), level: 'info', verb: 'ADD', msg: 'two\nlines' },
      { time: expect.any(String), level: 'info', verb: 'DEL' },
    ])
  })

  it.each([
    ['debug', ['debug', 'info', 'warn', 'error'], ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error'], ['warn', 'error']],
    ['warn', ['warn', 'error'], ['warn', 'error']],
    ['error', ['error'], ['error']],
  ] as const)('at logLevel %s goes to the file from %j on, to stderr from %j on', (logLevel, inFile, onStderr) => {
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log({ logLevel, logFile }, { level })
    expect(lines().map((line) => line.level)).toEqual(inFile)
    expect(stderr.map((line) => JSON.parse(line).level)).toEqual(onStderr)
  })

  it('without a log file goes to stderr or nowhere', () => {
    log({ logLevel: 'info' }, { level: 'info' })
    log({ logLevel: 'info' }, { level: 'warn' })
    expect(stderr).toHaveLength(1)
    expect(vol.readdirSync('/var/log')).toEqual([])
  })
})

describe('a log file that cannot be written', () => {
  it.each([
    ['is in no directory', () => vol.rmSync('/var/log', { recursive: true })],
    ['is a directory', () => vol.mkdirSync(logFile)],
    ['is a symbolic link', () => vol.symlinkSync('/etc/passwd', logFile)],
  ])('because it %s is told on stderr, and nothing fails', (_, prepare) => {
    prepare()
    log({ logLevel: 'info', logFile }, { level: 'info' })
    expect(stderr.map((line) => JSON.parse(line))).toEqual([
      {
        time: expect.any(String),
        level: 'warn',
        message: expect.stringMatching(/^logFile: cannot write \/var\/log\/x-calico-route\.log: E[A-Z]+/),
      },
    ])
  })
})
