/** How many cases, and which: the same ones in every run, unless told otherwise. */
const TIMES = Number(process.env.XCR_FUZZ_RUNS ?? 1)

/** A failure names it, and XCR_FUZZ_SEED brings it back. */
export const SEED = Number(process.env.XCR_FUZZ_SEED ?? 142)

/** For fc.assert. `XCR_FUZZ_RUNS` is how many times as many cases as usual. */
export const runs = (usual: number): { numRuns: number; seed: number } => ({
  numRuns: Math.ceil(usual * TIMES),
  seed: SEED,
})
