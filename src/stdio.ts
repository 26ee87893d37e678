import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { CniError, Code, messageOf } from './errors.ts'
import { sleep } from './sleep.ts'

/**
 * Synchronous reads and writes of whole streams: process.stdin and process.stdout cost a plugin that lives for 30 ms a
 * fifth of its life.
 */

/** No network configuration is larger. A prevResult of 10,000 routes has 1 MiB. */
const STDIN_LIMIT = 16 * 1024 * 1024
const PEEK_LIMIT_MS = 100

/**
 * All of stdin, to its end.
 * @throws CniError 5
 */
export function readStdin(fd = 0): Uint8Array {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for (;;) {
      const chunk = readChunk(fd)
      if (chunk === 'later') {
        sleep(1)
      } else if (chunk.length === 0) {
        return Buffer.concat(chunks)
      } else {
        chunks.push(chunk)
        size += chunk.length
      }
      if (size > STDIN_LIMIT) break
    }
  } catch (error) {
    throw new CniError(
      Code.ioFailure,
      'stdin: cannot be read; a network configuration must come on it',
      messageOf(error),
      error,
    )
  }
  throw new CniError(Code.ioFailure, `stdin: longer than ${STDIN_LIMIT / 1024 / 1024} MiB; no network configuration is`)
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
  // A description of its own: the flag would otherwise be set for all who share this stdin.
  const fd = openSync('/proc/self/fd/0', constants.O_RDONLY | constants.O_NONBLOCK)
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

/** A socket has no path to open it again by, and may only be read without blocking through libuv. */
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

/** Reads and writes as a call does, where nothing comes and nobody listens: for the rehearsal. */
export function rehearseStreams(): void {
  const fd = openSync('/dev/null', constants.O_RDWR)
  try {
    readStdin(fd)
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
