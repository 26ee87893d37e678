/** Blocks, as a process with nothing else to do may. @param ms milliseconds, or parts of one */
export function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
