/**
 * Runs the demonstration, and draws what it prints, when and in which colours, as docs/demo.svg.
 *
 *   make demo-recording
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { execa } from 'execa'
import { type Line, picture } from './demo/picture.ts'

const FILE = path.resolve(import.meta.dirname, '../docs/demo.svg')
const MOST_BYTES = 60_000
const TITLE = 'make demo: where the packets of a pod with two NICs go, before and after x-calico-route'

const lines: Line[] = [{ text: '$ make demo', at: 0 }]
const { NO_COLOR: _, ...env } = process.env
const start = performance.now()
const demo = execa(process.execPath, [path.join(import.meta.dirname, 'demo.ts')], {
  env: { ...env, FORCE_COLOR: '1' },
  extendEnv: false,
  stderr: 'inherit',
})
createInterface({ input: demo.stdout }).on('line', (text) => {
  lines.push({ text, at: (performance.now() - start) / 1000 })
})
await demo
const svg = picture(TITLE, lines, 80)
if (svg.length > MOST_BYTES) throw new Error(`${FILE} would have ${svg.length} bytes; the limit is ${MOST_BYTES}`)
writeFileSync(FILE, svg)
console.log(`${path.relative(process.cwd(), FILE)}: ${svg.length} bytes, ${lines.length} lines`)
