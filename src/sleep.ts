/** Blocks the whole process, which has nothing else to do. @param ms milliseconds, fractions allowed */
export function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
