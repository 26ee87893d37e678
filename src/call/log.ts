import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { LOG_LEVELS, type LogLevel } from '../config/schema.ts'
import { messageOf } from '../errors.ts'
import { writeAll } from './stdio.ts'

/** What is known of a call when it ends. Written as one line of JSON. */
export interface LogRecord {
  readonly level: LogLevel
  readonly [key: string]: unknown
}

/** Where records go, and the lowest level that is written. */
export interface LogTarget {
  readonly logLevel: LogLevel
  readonly logFile?: string
}

/**
 * Writes a record of the configured level or above to the log file. Warnings, errors, and at level debug everything,
 * also go to stderr, which runtimes show to operators. Never throws: a pod must not fail to start because of a log.
 */
export function log(target: LogTarget, record: LogRecord): void {
  if (LOG_LEVELS.indexOf(record.level) < LOG_LEVELS.indexOf(target.logLevel)) return
  const loud = record.level === 'warn' || record.level === 'error' || target.logLevel === 'debug'
  // An ordinary call has nowhere to write to: do not even format the record.
  if (!loud && target.logFile === undefined) return
  const line = `${JSON.stringify({ time: new Date().toISOString(), ...record })}\n`
  if (loud) toStderr(line)
  if (target.logFile === undefined) return
  try {
    append(target.logFile, line)
  } catch (error) {
    const message = `logFile: cannot write ${target.logFile}: ${messageOf(error)}`
    toStderr(`${JSON.stringify({ time: new Date().toISOString(), level: 'warn', message })}\n`)
  }
}

/** Appends `line` in one write: then the kernel does not mix it with the lines of other processes. */
function append(path: string, line: string): void {
  // We are root: a link, a device or a FIFO here is not what the operator meant, and may be somebody's trap.
  const flags =
    constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const fd = openSync(path, flags, 0o640)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error('not a regular file')
    // A hard link may be somebody's trap too.
    if (stat.nlink > 1) throw new Error('the file has a second name (a hard link)')
    writeAll(fd, line)
  } finally {
    closeSync(fd)
  }
}

function toStderr(line: string): void {
  try {
    writeAll(2, line)
  } catch {
    // Nobody listens.
  }
}
