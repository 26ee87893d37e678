import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { CniError, Code, messageOf } from '../errors.ts'
import { sleep } from '../sleep.ts'

/**
 * Whole streams, read and written synchronously (except a socket): process.stdin and process.stdout would take a fifth
 * of the 30 ms that a call lives.
 */

/** No network configuration is longer. A prevResult of 10,000 routes takes 1 MiB. */
const STDIN_LIMIT = 16 * 1024 * 1024
/** As long as ip(8) may be silent. A runtime has written everything and closed stdin before we begin to read. */
const READ_LIMIT_MS = 10_000
/** How long VERSION, which answers whatever stdin holds, waits for its end. */
const AT_ONCE_LIMIT_MS = 100

/** What was read of stdin. */
interface Read {
  readonly bytes: Uint8Array
  /** False if the time limit came first. */
  readonly ended: boolean
}

const NOTHING: Read = { bytes: new Uint8Array(), ended: false }

/**
 * All of stdin, however long it takes to end.
 * @throws CniError 5
 */
export function readStdin(): Uint8Array {
  try {
    return readToEnd(0).bytes
  } catch (error) {
    throw unreadable(error)
  }
}

/**
 * All of stdin, if it ends in time: a caller that never closes it must not keep a slot of the gate.
 * @throws CniError 5
 */
export async function readStdinInTime(stdin = 0): Promise<Uint8Array> {
  try {
    const { bytes, ended } = await readWithin(stdin, READ_LIMIT_MS, (until) => readToEnd(stdin, until))
    if (ended) return bytes
  } catch (error) {
    throw unreadable(error)
  }
  throw new CniError(
    Code.ioFailure,
    `stdin: timed out after ${READ_LIMIT_MS / 1000} s; the runtime must close it after the network configuration`,
  )
}

/** The JSON document on stdin, if there is one within 100 ms. A terminal or another device is not read. */
export async function readStdinAtOnce(stdin = 0): Promise<unknown> {
  try {
    if (fstatSync(stdin).isCharacterDevice()) return undefined
    const { bytes } = await readWithin(stdin, AT_ONCE_LIMIT_MS, () => NOTHING)
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined // closed, or not JSON
  }
}

/** Whether stdin is a file or a pipe; it is not read. */
export function hasInput(): boolean {
  try {
    return !fstatSync(0).isCharacterDevice()
  } catch {
    return false // closed
  }
}

function unreadable(error: unknown): CniError {
  if (error instanceof CniError) return error
  return new CniError(
    Code.ioFailure,
    'stdin: cannot be read; it must hold a network configuration',
    messageOf(error),
    error,
  )
}

function tooLong(): CniError {
  const limit = `${STDIN_LIMIT / 1024 / 1024} MiB`
  return new CniError(Code.ioFailure, `stdin: longer than ${limit}, the limit for a network configuration`)
}

/** Reads stdin for at most `limit` milliseconds. @param otherwise what to do if it cannot be opened again */
async function readWithin(stdin: number, limit: number, otherwise: (until: number) => Read): Promise<Read> {
  const stat = fstatSync(stdin)
  if (stat.isFile()) return readToEnd(stdin)
  const until = Date.now() + limit
  if (stat.isSocket()) return readSocket(stdin, until)
  const fd = openAgain(stdin)
  if (fd === undefined) return otherwise(until)
  try {
    return readToEnd(fd, until)
  } finally {
    closeSync(fd)
  }
}

/** How long to wait between two attempts to read more. */
const PAUSE_MS = { min: 0.1, max: 10 } as const

function readToEnd(fd: number, until = Number.POSITIVE_INFINITY): Read {
  const chunks: Uint8Array[] = []
  let size = 0
  let pause: number = PAUSE_MS.min
  for (;;) {
    const chunk = readChunk(fd)
    if (chunk === 'later') {
      if (Date.now() > until) return { bytes: Buffer.concat(chunks), ended: false }
      sleep(pause)
      pause = Math.min(2 * pause, PAUSE_MS.max)
      continue
    }
    if (chunk.length === 0) return { bytes: Buffer.concat(chunks), ended: true }
    pause = PAUSE_MS.min
    chunks.push(chunk)
    size += chunk.length
    if (size > STDIN_LIMIT) throw tooLong()
  }
}

function readChunk(fd: number): Buffer | 'later' {
  const buffer = Buffer.allocUnsafe(65536)
  try {
    return buffer.subarray(0, readSync(fd, buffer))
  } catch (error) {
    if (isAgain(error)) return 'later'
    throw error
  }
}

/**
 * Opens stdin once more, to read it without blocking. On the descriptor we were given, the flag would be set for
 * everybody who shares it. Undefined where that is not allowed: a pipe of another user takes CAP_DAC_OVERRIDE.
 */
function openAgain(stdin: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${stdin}`, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
}

/**
 * A socket cannot be opened again, and only libuv reads it without blocking. Node.js gives its children sockets; Go
 * does not.
 */
function readSocket(stdin: number, until: number): Promise<Read> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd: stdin, readable: true, writable: false })
    const chunks: Uint8Array[] = []
    let size = 0
    const end = (settle: () => void) => {
      clearTimeout(timer)
      socket.destroy()
      settle()
    }
    const stop = (ended: boolean) => end(() => resolve({ bytes: Buffer.concat(chunks), ended }))
    // On a slow machine the limit may be over before the first read: what has arrived by then is read all the same.
    const timer = setTimeout(() => setImmediate(stop, false), Math.max(0, until - Date.now()))
    socket.on('error', (error) => end(() => reject(error)))
    socket.on('end', () => stop(true))
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > STDIN_LIMIT) end(() => reject(tooLong()))
    })
  })
}

/** For the rehearsal: names the process, reads and writes as a call does, but on /dev/null. */
export async function rehearseStreams(): Promise<void> {
  const fd = openSync('/dev/null', constants.O_RDWR)
  try {
    nameProcess('rehearsal')
    await readStdinInTime(fd)
    await readStdinAtOnce(fd)
    writeAll(fd, 'x')
  } finally {
    closeSync(fd)
  }
}

/**
 * Names this process, for the kernel's log of killed processes; Node's own name is `MainThread`. process.title would
 * overwrite the command line as well.
 * @see proc_pid_comm(5)
 */
export function nameProcess(name: string): void {
  try {
    const fd = openSync('/proc/self/comm', constants.O_WRONLY)
    writeSync(fd, name)
    closeSync(fd)
  } catch {
    // Only a name.
  }
}

/**
 * Writes all of `text`.
 * @throws the error of write(2), EAGAIN excepted
 */
export function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  // With SIMDUTF_FORCE_IMPLEMENTATION in the environment Node may convert all text to nothing. That must not pass for
  // success.
  if (bytes.length < text.length) throw new Error('text cannot be converted to UTF-8')
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done)
    } catch (error) {
      if (!isAgain(error)) throw error
      sleep(1)
    }
  }
}

// Whoever gave us a descriptor may have made it non-blocking.
function isAgain(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EAGAIN'
}
