/** conf-examples/logrotate, as the real logrotate(8) takes it, while calls write. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { execa } from 'execa'
import { afterEach, expect, test } from 'vitest'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { configurations, textOf } from '../support/examples.ts'
import { removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'

let directory: string
afterEach(() => {
  removeNamespaces()
  rmSync(directory, { recursive: true, force: true })
})

const EXAMPLE = textOf('logrotate/x-calico-route')
const [{ logFile: LOG_FILE } = { logFile: undefined }] = configurations('all-keys.json')
const CALLS = 150
const AT_ONCE = 5

/** The example for another path, and, so that nothing is thrown away, with more files kept. */
function configure(logFile: string): string[] {
  const text = EXAMPLE.replace(`${LOG_FILE} {`, `${logFile} {`).replace('rotate 7', 'rotate 1000')
  expect(text.match(/^\/.*/gm)).toEqual([`${logFile} {`])
  const [conf, state] = [path.join(directory, 'logrotate.conf'), path.join(directory, 'state')]
  writeFileSync(conf, text, { mode: 0o644 })
  return ['--force', '--state', state, conf]
}

/** Calls whose records have 10 kB, each with a container of its own. */
async function call(pod: CalicoPod, logFile: string): Promise<string[]> {
  const routes = Array.from({ length: 200 }, (_, i) => ({ dst: `10.50.${i}.0/24` }))
  const config = { routes, dryRun: true, logFile, prevResult: calicoResult(pod) }
  const containers = Array.from({ length: CALLS }, (_, i) => `c${i}`)
  const waiting = containers.values()
  const caller = async () => {
    for (const CNI_CONTAINERID of waiting) {
      const { exitCode, stderr } = await run({ ...environment('ADD', pod), CNI_CONTAINERID }, config)
      // That of a dry run is a warning, which goes to stderr as well: there is no other one, such as of the log file.
      expect({ exitCode, lines: stderr.split('\n').length }).toEqual({ exitCode: 0, lines: 2 })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, caller))
  return containers
}

test('the example for logrotate loses and tears no line, while calls write', { timeout: 240_000 }, async () => {
  const pod = await calicoPod()
  directory = mkdtempSync(path.join(tmpdir(), 'xcr-logrotate-'))
  const logs = path.join(directory, 'log')
  mkdirSync(logs)
  const logFile = path.join(logs, 'x-calico-route.log')
  const words = configure(logFile)
  let isOver = false
  const rotating = (async () => {
    while (!isOver) {
      expect(await execa('logrotate', words)).toMatchObject({ stdout: '', stderr: '' })
      await sleep(100)
    }
  })()
  const containers = await call(pod, logFile)
  isOver = true
  await rotating

  const files = readdirSync(logs)
  for (const file of files) expect(file).toMatch(/^x-calico-route\.log(\.1|\.\d+\.gz)?$/)
  expect(files.filter((file) => file.endsWith('.gz')).length).toBeGreaterThan(5)
  for (const file of files) expect(statSync(path.join(logs, file)).mode & 0o777, file).toBe(0o640)
  const lines = files.flatMap((file) => {
    const bytes = readFileSync(path.join(logs, file))
    return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString().split('\n').slice(0, -1)
  })
  expect(lines.map((line) => JSON.parse(line).container).sort()).toEqual(containers.sort())
})
