import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Limits } from './cgroup.ts'
import { type Contender, GATED, PEER, PREDECESSOR, PRODUCT } from './contenders.ts'
import type { Pods } from './pods.ts'
import { configuration, destinations, ONE } from './scenarios.ts'
import { type Weathered, weather } from './storm.ts'

/** What the daemon of Multus uses before it runs any plugin. */
export const TAKEN_MIB = 42
export const CALLS = [8, 30, 100] as const
export const MEMORIES = [64, 128, 200, 256, 512] as const
export const MILLI_CPU = 500
/** Enough for all calls: shows how long they take when memory is not short. */
export const PLENTY_MIB = 4096
/** Calls that thrash would do so for minutes. */
const PATIENCE_S = 20
const TAKING_PART = [GATED, PRODUCT, PREDECESSOR, PEER]

/** What one contender did in one storm. */
export interface StormRow extends Weathered {
  readonly contender: string
  readonly verb: 'ADD' | 'DEL'
  readonly calls: number
  readonly memoryMiB: number
  readonly pages: 'warm' | 'cold'
}

export async function measureStorms(
  contenders: readonly Contender[],
  pods: Pods,
  scratch: string,
  quick: boolean,
): Promise<StormRow[]> {
  const rows: StormRow[] = []
  for (const memoryMiB of quick ? [128, 200, PLENTY_MIB] : [...MEMORIES, PLENTY_MIB]) {
    for (const pages of ['warm', 'cold'] as const) {
      if (memoryMiB === PLENTY_MIB && pages === 'cold') continue
      for (const contender of contenders.filter(({ name }) => TAKING_PART.includes(name))) {
        console.error(`bench: storms of ${contender.name} in ${memoryMiB} MiB, ${pages}`)
        rows.push(
          ...(await growing(contender, { limits: { milliCpu: MILLI_CPU, memoryMiB }, pages }, pods, scratch, quick)),
        )
      }
    }
  }
  return rows
}

/** More and more calls at once, until they fail. */
async function growing(
  contender: Contender,
  { limits, pages }: { readonly limits: Limits; readonly pages: 'warm' | 'cold' },
  pods: Pods,
  scratch: string,
  quick: boolean,
): Promise<StormRow[]> {
  const rows: StormRow[] = []
  const input = path.join(scratch, `storm-${contender.dialect}.json`)
  writeFileSync(input, configuration(ONE, contender))
  const routes = destinations(ONE.routes)
  for (const calls of quick ? [30] : CALLS) {
    for (const verb of ['ADD', 'DEL'] as const) {
      await pods.reset(calls, verb === 'ADD' ? 'fresh' : 'done', routes)
      const { command, files: executables = command, name } = contender
      const storm = {
        command,
        executables,
        input,
        verb,
        calls,
        limits,
        takenMiB: TAKEN_MIB,
        pages,
        patienceS: PATIENCE_S,
      }
      const found = await weather(storm, pods)
      rows.push({ ...found, contender: name, verb, calls, memoryMiB: limits.memoryMiB, pages })
      if (found.succeeded < calls / 2) return rows
    }
  }
  return rows
}
