/** The statistics of one series of measurements. */
export interface Summary {
  readonly min: number
  readonly median: number
  readonly p95: number
}

/** A contender compared with a reference: the median of the ratios of calls made one after the other. */
export interface Ratio {
  readonly median: number
  /** The interval that holds the true median in 95 of 100 cases. */
  readonly low: number
  readonly high: number
}

export function summary(values: readonly number[]): Summary {
  const sorted = ascending(values)
  return { min: at(sorted, 0), median: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) }
}

/**
 * The calls of one round meet the same load, so that their ratio is valid even if the load of the machine changes; a ratio
 * of medians is not. The interval comes from order statistics, and assumes nothing about the distribution.
 */
export function pairedRatio(values: readonly number[], references: readonly number[]): Ratio {
  const ratios = ascending(values.map((value, round) => value / (references[round] ?? Number.NaN)))
  const half = 0.98 * Math.sqrt(ratios.length)
  const middle = (ratios.length - 1) / 2
  return {
    median: quantile(ratios, 0.5),
    low: at(ratios, Math.max(0, Math.floor(middle - half))),
    high: at(ratios, Math.min(ratios.length - 1, Math.ceil(middle + half))),
  }
}

/** The CPU time of a call is only known in whole milliseconds, but in a sum the errors cancel out. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function quantile(sorted: readonly number[], q: number): number {
  const position = q * (sorted.length - 1)
  const [below, above] = [at(sorted, Math.floor(position)), at(sorted, Math.ceil(position))]
  return below + (above - below) * (position - Math.floor(position))
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? Number.NaN
}
