import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { LOG_LEVELS, type LogLevel } from '../config/schema.ts'
import { messageOf } from '../errors.ts'
import { writeAll } from './stdio.ts'

/** What is known of one call when it ends. Written as one JSON object on one line. */
export interface LogRecord {
  readonly level: LogLevel
  readonly [key: string]: unknown
}

/** Where records go, and from which level on. */
export interface LogTarget {
  readonly logLevel: LogLevel
  readonly logFile?: string
}

/**
 * Writes a record to the log file if it is of the configured level, and to stderr, which runtimes show to operators,
 * if it is a warning, an error, or everything is asked for. Never throws: a log that cannot be written is no reason
 * to keep a pod from starting.
 */
export function log(target: LogTarget, record: LogRecord): void {
  if (LOG_LEVELS.indexOf(record.level) < LOG_LEVELS.indexOf(target.logLevel)) return
  const loud = record.level === 'warn' || record.level === 'error' || target.logLevel === 'debug'
  // The ordinary call is silent and has no log file: then nothing is formatted either.
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

/** Appends `line` in one write: the kernel keeps appending writers of one file apart. */
function append(path: string, line: string): void {
  // A link, a device or a FIFO here is not what the operator meant, and may be somebody's trap: we are root.
  const flags =
    constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const fd = openSync(path, flags, 0o640)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error('not a regular file')
    // Of a file that has another name, somebody else may have made this one.
    if (stat.nlink > 1) throw new Error('the file has another name, too (a hard link)')
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
