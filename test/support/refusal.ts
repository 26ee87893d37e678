import { CniError } from '../../src/errors.ts'

/** The CniError that `run` throws, as a plain object. Anything else it throws is thrown on; nothing thrown is an error. */
export function refusal(run: () => unknown): { code: number; message: string; details?: string } {
  try {
    run()
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    const { code, message, details } = error
    return { code, message, ...(details === undefined ? {} : { details }) }
  }
  throw new Error('was accepted')
}
