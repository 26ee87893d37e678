import { jsonLine } from '../output.ts'

export type Level = 'info' | 'warn' | 'error'

/** Says something that happened. */
export type Log = (level: Level, msg: string, more?: Readonly<Record<string, unknown>>) => void

/** One line of JSON for each record, in the form of the plugin's own log. */
export function logTo(out: (text: string) => void): Log {
  return (level, msg, more = {}) => {
    try {
      out(jsonLine({ time: new Date().toISOString(), level, msg, ...more }))
    } catch {
      // Nobody listens. The work goes on.
    }
  }
}
