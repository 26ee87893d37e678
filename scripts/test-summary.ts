/**
 * Adds up the reports of vitest in .reports/, one per tier, and ends with one line: N passed, N failed.
 *
 *   node scripts/test-summary.ts FAILED-STEPS TIER…
 *
 * A skipped or unwritten test proves nothing, nor does a tier without a report: each counts as failed. FAILED-STEPS is the
 * number of other steps that failed.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'

type Report = {
  testResults: {
    name: string
    status: string
    message: string
    assertionResults: { fullName: string; status: string }[]
  }[]
}

const [failedSteps = '0', ...tiers] = process.argv.slice(2)
let passed = 0
const failed: string[] = []

for (const tier of tiers) {
  for (const { name, status, assertionResults } of read(tier)) {
    const bad = assertionResults.filter((test) => test.status !== 'passed')
    passed += assertionResults.length - bad.length
    failed.push(...bad.map((test) => `${tier}: ${test.status}: ${test.fullName}`))
    // A file that cannot be loaded has no tests, and with a failing hook all tests may still pass.
    if (assertionResults.length === 0 || (status !== 'passed' && bad.length === 0)) {
      failed.push(`${tier}: ${status}: ${path.relative('.', name)}`)
    }
  }
}

for (const line of failed) console.log(line)
const failures = failed.length + Number(failedSteps)
console.log(`${passed} passed, ${failures} failed`)
process.exitCode = failures === 0 && passed > 0 ? 0 : 1

function read(tier: string): Report['testResults'] {
  const file = path.join(import.meta.dirname, '..', '.reports', `${tier}.json`)
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as Report).testResults
  } catch {
    failed.push(`${tier}: not run`)
    return []
  }
}
