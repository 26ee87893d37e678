import { hrtime } from 'node:process'

/** Milliseconds by a clock that goes on evenly: the time of day may jump. performance.now() would load a module for it. */
export function clock(): number {
  const [seconds, nanoseconds] = hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
