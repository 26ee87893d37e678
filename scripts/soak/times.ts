/** Whether calls get slower over the run. A busy machine slows down single calls, so medians are compared. */
import { type Summary, summary } from '../bench/statistics.ts'

export interface Trend {
  readonly calls: number
  readonly first: Summary
  readonly last: Summary
  /** How much longer a call takes at the end than at the beginning, as a share, on a line fitted to the whole run. */
  readonly rise: number
}

const TENTH = 0.1
const BINS = 50

/** @param times the times of all calls of one kind, in the order in which they ended */
export function trend(times: readonly number[]): Trend {
  const tenth = Math.max(1, Math.round(times.length * TENTH))
  const size = Math.max(1, Math.floor(times.length / BINS))
  const medians = Array.from(
    { length: Math.min(BINS, times.length) },
    (_, i) => summary(times.slice(i * size, (i + 1) * size)).median,
  )
  return {
    calls: times.length,
    first: summary(times.slice(0, tenth)),
    last: summary(times.slice(-tenth)),
    rise: (slope(medians) * (medians.length - 1)) / summary(medians).median,
  }
}

/** The Theil–Sen estimator: the median of the slopes between all pairs of points. A quarter of the points may be outliers. */
function slope(values: readonly number[]): number {
  const slopes = values.flatMap((value, i) => values.slice(i + 1).map((other, j) => (other - value) / (j + 1)))
  return slopes.length > 0 ? summary(slopes).median : 0
}
