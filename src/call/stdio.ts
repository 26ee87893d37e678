import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { CniError, Code, messageOf } from '../errors.ts'
import { sleep } from '../sleep.ts'

/**
 * Synchronous reads and writes of whole streams: process.stdin and process.stdout cost a plugin that lives for 30 ms a
 * fifth of its life.
 */

/** No network configuration is larger. A prevResult of 10,000 routes has 1 MiB. */
const STDIN_LIMIT = 16 * 1024 * 1024
const PEEK_LIMIT_MS = 100
/** As much as ip(8) has. A runtime has written everything, and closed its end, before we begin to read. */
const READ_LIMIT_MS = 10_000

/**
 * All of stdin, to its end, however long that takes.
 * @throws CniError 5
 */
export function readStdin(): Uint8Array {
  return readingStdin(() => readToEnd(0, undefined))
}

/**
 * All of stdin, if it comes to an end in time: a caller that never closes it must not keep a slot of the gate.
 * @throws CniError 5
 */
export function readStdinInTime(): Uint8Array | Promise<Uint8Array> {
  return readingStdin(() => {
    const stat = fstatSync(0)
    if (stat.isFile()) return readToEnd(0, undefined)
    const until = Date.now() + READ_LIMIT_MS
    if (stat.isSocket()) return readSocket(until)
    const fd = openAgain()
    try {
      return readToEnd(fd, until)
    } finally {
      if (fd !== 0) closeSync(fd)
    }
  })
}

/** What read(2) refuses, in words for who called us. */
function readingStdin<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw unreadable(error)
  }
}

function unreadable(error: unknown): CniError {
  if (error instanceof CniError) return error
  return new CniError(
    Code.ioFailure,
    'stdin: cannot be read; a network configuration must come on it',
    messageOf(error),
    error,
  )
}

function tooLong(): CniError {
  return new CniError(
    Code.ioFailure,
    `stdin: longer than ${STDIN_LIMIT / 1024 / 1024} MiB; no network configuration is`,
  )
}

function tooLate(): CniError {
  return new CniError(
    Code.ioFailure,
    `stdin: no end within ${READ_LIMIT_MS / 1000} s; who calls a plugin closes it behind the network configuration`,
  )
}

/** @param until the time after which it is not waited for. Undefined: for ever */
function readToEnd(fd: number, until: number | undefined): Uint8Array {
  const chunks: Uint8Array[] = []
  let size = 0
  let pause: number = PAUSE_MS.min
  for (;;) {
    const chunk = readChunk(fd)
    if (chunk === 'later') {
      if (until !== undefined && Date.now() > until) throw tooLate()
      sleep(pause)
      pause = Math.min(2 * pause, PAUSE_MS.max)
      continue
    }
    if (chunk.length === 0) return Buffer.concat(chunks)
    pause = PAUSE_MS.min
    chunks.push(chunk)
    size += chunk.length
    if (size > STDIN_LIMIT) throw tooLong()
  }
}

/** Between looks whether there is more: what comes, comes at once. */
const PAUSE_MS = { min: 0.1, max: 10 } as const

/**
 * Stdin once more, to be read without blocking: with a description of its own, since the flag would otherwise be set for all
 * who share this stdin. 0 where that is not allowed, as for a pipe of another user without CAP_DAC_OVERRIDE.
 */
function openAgain(): number {
  try {
    return openSync('/proc/self/fd/0', constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return 0
  }
}

/** A socket has no path to open it again by, and may only be read without blocking through libuv. No runtime gives one. */
function readSocket(until: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd: 0, readable: true, writable: false })
    const chunks: Uint8Array[] = []
    let size = 0
    const end = (settle: () => void) => {
      clearTimeout(timer)
      socket.destroy()
      settle()
    }
    const timer = setTimeout(() => end(() => reject(tooLate())), until - Date.now())
    socket.on('error', (error) => end(() => reject(unreadable(error))))
    socket.on('end', () => end(() => resolve(Buffer.concat(chunks))))
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > STDIN_LIMIT) end(() => reject(tooLong()))
    })
  })
}

/**
 * The JSON document that stdin holds, as far as one comes at once: never waits for the end of a stream that its
 * writer keeps open. Undefined if there is none.
 */
export async function peekStdin(): Promise<unknown> {
  try {
    const stat = fstatSync(0)
    if (stat.isFile()) return JSON.parse(Buffer.from(readStdin()).toString())
    if (stat.isFIFO()) return peekPipe()
    if (stat.isSocket()) return await peekSocket()
  } catch {
    // Closed, or no JSON.
  }
  return undefined
}

function peekPipe(): unknown {
  const fd = openAgain()
  if (fd === 0) return undefined
  try {
    const until = Date.now() + PEEK_LIMIT_MS
    let text = ''
    while (Date.now() < until && text.length < STDIN_LIMIT) {
      const chunk = readChunk(fd)
      if (chunk === 'later') {
        sleep(1)
        continue
      }
      text += chunk.toString()
      const document = parsed(text)
      if (document !== undefined || chunk.length === 0) return document
    }
    return undefined
  } finally {
    closeSync(fd)
  }
}

function peekSocket(): Promise<unknown> {
  return new Promise((resolve) => {
    const socket = new Socket({ fd: 0, readable: true, writable: false })
    let text = ''
    const end = (document: unknown) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(document)
    }
    const timer = setTimeout(end, PEEK_LIMIT_MS, undefined)
    socket.setEncoding('utf8')
    socket.on('error', () => end(undefined))
    socket.on('end', () => end(parsed(text)))
    socket.on('data', (chunk) => {
      text += chunk
      const document = parsed(text)
      if (document !== undefined || text.length > STDIN_LIMIT) end(document)
    })
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // not yet, or never
  }
}

/** Names the process, reads and writes, as a call does, where nothing comes and nobody listens: for the rehearsal. */
export function rehearseStreams(): void {
  const fd = openSync('/dev/null', constants.O_RDWR)
  try {
    nameProcess('rehearsal')
    fstatSync(fd)
    readingStdin(() => readToEnd(fd, Date.now()))
    writeAll(fd, 'x')
  } finally {
    closeSync(fd)
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
 * Names this process as the kernel's log does when it has to end one. Node calls all of its own `MainThread`.
 * Not process.title, which writes over the command line as well.
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
  // SIMDUTF_FORCE_IMPLEMENTATION in the environment can make Node convert all text to nothing: no Result, and no success.
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
