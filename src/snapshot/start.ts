import { queryObjects, setFlagsFromString, startupSnapshot } from 'node:v8'
import { rehearse } from './rehearsal.ts'

/**
 * Runs `main` at once; or, while the start-up snapshot is built, arranges for it to run in every process that starts
 * from it.
 * @see https://nodejs.org/api/v8.html#startup-snapshot-api
 */
export function start(main: () => Promise<void>, node: string): void {
  if (!startupSnapshot.isBuildingSnapshot()) {
    void main()
    return
  }
  startupSnapshot.setDeserializeMainFunction(main)
  forgetCompiled()
  void rehearse(node)
}

/**
 * Makes V8 drop the bytecode of all functions. From here on, what is used is compiled again and kept: so the snapshot
 * holds the bytecode that a call needs, and not the rest of Node's, which every process would have to read.
 */
function forgetCompiled(): void {
  setFlagsFromString('--stress-flush-code')
  // This query finds nothing, but collects garbage first. Twice: V8 flushes bytecode only once it is old.
  class Nothing {}
  queryObjects(Nothing)
  queryObjects(Nothing)
  setFlagsFromString('--no-stress-flush-code')
  setFlagsFromString('--no-flush-bytecode')
}
