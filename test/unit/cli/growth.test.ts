import { Session } from 'node:inspector/promises'
import { describe, expect, it } from 'vitest'
import { validate } from '../../support/validate.ts'
import { WIDE } from '../../support/wide-documents.ts'

/** Counts what V8 executes of our code and of that of packages: each run of a function, a branch, the body of a loop. */
const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

async function stepsOf(work: () => unknown): Promise<number> {
  await session.post('Profiler.takePreciseCoverage')
  await work()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  const ranges = result
    .filter(({ url }) => !url.startsWith('node:'))
    .flatMap(({ functions }) => functions.flatMap((one) => one.ranges))
  return ranges.reduce((sum, { count }) => sum + count, 0)
}

async function validating(text: string, ...words: string[]): Promise<string> {
  const { lines } = await validate(text, ...words)
  return lines.join('\n')
}

const [NARROW, WIDER] = [250, 1_000]

describe('validate, of many', () => {
  it.each(Object.entries(WIDE))('%s, does no more for each, and does not say more', async (_, wide) => {
    // What is made at the first use counts for none of the two.
    await validating(wide(40))
    const narrow = await stepsOf(() => validating(wide(NARROW)))
    const wider = await stepsOf(() => validating(wide(WIDER)))
    expect(narrow).toBeGreaterThan(NARROW)
    // Searching by halves takes two steps more in the wider one. What looks at each for each comes to 10 and more.
    expect(wider / narrow).toBeLessThan((1.15 * WIDER) / NARROW)
    expect((await validating(wide(WIDER))).length).toBeLessThan(120_000)
    const [file] = JSON.parse(await validating(wide(WIDER), '-o', 'json')).files
    expect(file.problems.length).toBeLessThanOrEqual(100)
    expect(file.notShown).toBeGreaterThanOrEqual(0)
  })
})
