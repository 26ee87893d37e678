import { hrtime } from 'node:process'

/** Milliseconds on a clock that never jumps, unlike the time of day. performance.now() would load a module for it. */
export function clock(): number {
  const [seconds, nanoseconds] = hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
