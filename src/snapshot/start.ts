import { queryObjects, setFlagsFromString, startupSnapshot } from 'node:v8'
import { rehearse } from './rehearsal.ts'

/**
 * Runs `main`: at once; or, while the executable's start-up snapshot is built, whenever a process starts from it.
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
 * Lets V8 forget the bytecode of all functions: what is used from here on is compiled again, and kept. So the snapshot
 * holds the bytecode of what a call needs, and none of the rest of Node, which each process would have to read.
 */
function forgetCompiled(): void {
  setFlagsFromString('--stress-flush-code')
  // Looks for objects of a class that nobody made, in a heap that it has collected first. Twice: what is old is flushed.
  class Nothing {}
  queryObjects(Nothing)
  queryObjects(Nothing)
  setFlagsFromString('--no-stress-flush-code')
  setFlagsFromString('--no-flush-bytecode')
}
