/**
 * Compares the executable with bare Node, the shell script it replaces, a Go plugin and another commit.
 *
 *   make bench [QUICK=1] [ONLY=storms|slots|hostile|node|agent] [BASE=REF] [SVG=FILE] [STORM_SVG=FILE] [PEER=FILE]
 *
 * QUICK  a third of the rounds, about three minutes
 * ONLY   one part: storms (many calls at once in small cgroups), slots (30 calls at once, for each number of slots of the
 *        gate), hostile (one call in a pod that a tenant has filled), node (verify and repair of all attachments of a node) or
 *        agent (what one takes that only looks at 200 pods, and how soon a changed set is in all of them)
 * BASE   a commit to compare with, built from git
 * SVG    where to draw the main results; STORM_SVG: the storms
 * PEER   an executable of the Go plugin route-override. Without it one is built, if Go and the module are available
 *
 * Prints tables and writes .reports/bench.json. Leaves nothing else behind, even when interrupted.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { contenders } from './bench/contenders.ts'
import { machine } from './bench/machine.ts'
import type { Job, Measured } from './bench/measure.ts'
import { picture } from './bench/picture.ts'
import { evaluate } from './bench/report.ts'
import { stormPicture } from './bench/storm-picture.ts'
import { tables } from './bench/tables.ts'

const ROOT = path.dirname(import.meta.dirname)
const REPORT = path.join(ROOT, '.reports', 'bench.json')
const { QUICK, ONLY, BASE, SVG, STORM_SVG, PEER } = process.env

const folder = mkdtempSync(path.join(tmpdir(), 'xcr-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
// The measuring process gets the signal too, cleans up and ends; then we end too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

try {
  await bench()
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}

async function bench(): Promise<void> {
  const remarks: string[] = []
  const say = (text: string) => remarks.push(text)
  // Outside the sandbox, which has no network.
  const made = await contenders({ root: ROOT, base: BASE || undefined, peer: PEER || undefined, say }, folder)
  const measured = await measure({ contenders: made, quick: Boolean(QUICK), ...only() })
  const report = evaluate(measured, await machine(ROOT), remarks)

  mkdirSync(path.dirname(REPORT), { recursive: true })
  writeFileSync(REPORT, `${JSON.stringify(report, undefined, 2)}\n`)
  console.log(tables(report))
  if (SVG) writeFileSync(SVG, picture(report))
  if (STORM_SVG) writeFileSync(STORM_SVG, stormPicture(report))
}

function only(): Pick<Job, 'only'> {
  if (ONLY === undefined || ONLY === '') return {}
  if (ONLY === 'storms' || ONLY === 'slots' || ONLY === 'hostile' || ONLY === 'node' || ONLY === 'agent')
    return { only: ONLY }
  throw new Error(`ONLY: unknown part "${ONLY}"; write storms, slots, hostile, node or agent`)
}

async function measure(job: Job): Promise<Measured> {
  const [jobFile, resultFile] = [path.join(folder, 'job.json'), path.join(folder, 'result.json')]
  writeFileSync(jobFile, JSON.stringify(job))
  const script = path.join(import.meta.dirname, 'bench', 'measure.ts')
  const sandbox = path.join(import.meta.dirname, 'sandbox.sh')
  const { exitCode, signal } = await execa(sandbox, [process.execPath, script, jobFile, resultFile], {
    stdio: 'inherit',
    reject: false,
  })
  if (exitCode !== 0) throw new Error(`the measurements failed (${signal ?? `exit status ${exitCode}`})`)
  return JSON.parse(readFileSync(resultFile, 'utf8')) as Measured
}
