import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Contender, layOut, PRODUCT } from './contenders.ts'
import type { Pods } from './pods.ts'
import { configuration, destinations, ONE } from './scenarios.ts'
import { type Weathered, weather } from './storm.ts'
import { MEMORIES, TAKEN_MIB } from './storms.ts'

export const AT_ONCE = [1, 2, 3, 4] as const
export const MILLI_CPUS = [100, 500, undefined] as const
const CALLS = 30
/** Calls that thrash would do so for minutes. With a tenth of a processor, 30 calls take a quarter of a minute. */
const PATIENCE_S = { slow: 30, fast: 12 } as const

/** What became of 30 ADDs at a gate with so many slots. */
export interface SlotsRow extends Weathered {
  readonly atOnce: number
  readonly calls: number
  readonly milliCpu?: number
  readonly memoryMiB: number
  readonly pages: 'warm' | 'cold'
}

/** Measures each number of slots, to choose how many a gate should have. */
export async function measureSlots(
  { command: [product = ''] }: Contender,
  pods: Pods,
  scratch: string,
): Promise<SlotsRow[]> {
  const input = path.join(scratch, 'slots.json')
  writeFileSync(input, configuration(ONE, { dialect: PRODUCT }))
  const rows: SlotsRow[] = []
  for (const atOnce of AT_ONCE) {
    // Not in /run: that is memory, which cannot be dropped.
    const folder = path.join(path.dirname(product), `at-once-${atOnce}`)
    mkdirSync(folder)
    const { command, files } = await layOut(product, folder, '--at-once', `${atOnce}`)
    for (const memoryMiB of MEMORIES) {
      for (const milliCpu of MILLI_CPUS) {
        for (const pages of ['warm', 'cold'] as const) {
          console.error(`bench: ${atOnce} slots in ${memoryMiB} MiB, ${milliCpu ?? 'all'} CPU, ${pages}`)
          await pods.reset(CALLS, 'fresh', destinations(ONE.routes))
          const limits = { memoryMiB, ...(milliCpu === undefined ? {} : { milliCpu }) }
          const patienceS = milliCpu === 100 ? PATIENCE_S.slow : PATIENCE_S.fast
          const what = { command, executables: files, input, verb: 'ADD', calls: CALLS } as const
          const found = await weather({ ...what, limits, takenMiB: TAKEN_MIB, pages, patienceS }, pods)
          rows.push({ ...found, ...limits, atOnce, calls: CALLS, pages })
        }
      }
    }
    rmSync(folder, { recursive: true })
  }
  return rows
}
