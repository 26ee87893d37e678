import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { lookAtAttachments, readCachesBy } from '../../../src/cli/look-at-node.ts'
import { startLookers } from '../../../src/cli/lookers.ts'

const STOPPED = { failed: 'it was not looked at any more', stopped: true }
const SILENT = () => () => {}

function cache(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'cache-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  for (const name of ['n-abc-eth0', 'n-def-eth0']) writeFileSync(path.join(directory, name), '{}')
  return directory
}

test('what was being looked at, and what was to be, is no failure of it when the lookers are stopped', async () => {
  const lookers = startLookers(1)
  const outcomes = lookers.ask(
    [{ read: '/a' }, { read: '/b' }],
    () => undefined,
    () => {},
  )
  lookers[Symbol.dispose]()
  expect(await outcomes).toEqual([STOPPED, STOPPED])
})

test('no cache entry is unreadable because the lookers were stopped', async () => {
  const lookers = startLookers(1)
  const read = readCachesBy(lookers, [cache()], SILENT)
  lookers[Symbol.dispose]()
  await expect(read).rejects.toThrow('the result caches have not been read to their end')
})

test('no attachment has a verdict because the lookers were stopped', async () => {
  const lookers = startLookers(1)
  const attachment = { file: '/a', container: 'abc', network: 'n', ifname: 'eth0', sets: [] }
  const verdicts = lookAtAttachments([attachment, attachment], '/', lookers, SILENT)
  lookers[Symbol.dispose]()
  expect(await verdicts).toEqual([])
})
