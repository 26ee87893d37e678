import { describe, expect, it } from 'vitest'
import { stepsOf } from '../../../support/steps.ts'
import { validate } from '../../../support/validate.ts'
import { WIDE } from '../../../support/wide-documents.ts'

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
