import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { LIST } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

const GOOD = JSON.stringify(LIST)

test('a file that somebody names may be a pipe', async () => {
  using files = scratch({ 'net.json': GOOD })
  const shell = (script: string) => execa('bash', ['-c', script, PLUGIN, files.directory], { reject: false })
  const substituted = await shell('$0 validate <(cat $1/net.json)')
  expect(substituted).toMatchObject({ exitCode: 0, stderr: '', stdout: expect.stringMatching(/^\/dev\/fd\/\d+: ok/) })
  const fifo = await shell('mkfifo $1/fifo; cat $1/net.json >$1/fifo & $0 validate $1/fifo')
  expect(fifo).toMatchObject({ exitCode: 0, stderr: '', stdout: expect.stringMatching(/fifo: ok/) })
})

test('a file that somebody names is not read for ever', async () => {
  expect(await tool(['validate', '/dev/zero'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: '/dev/zero: longer than 16 MiB\n',
  })
})

test('a file that is found in a directory is a regular one, or a link to one, as in a ConfigMap', async () => {
  using files = scratch()
  mkdirSync(files.file('..data'))
  writeFileSync(files.file('..data/net.json'), GOOD)
  symlinkSync('..data/net.json', files.file('net.json'))
  expect(await tool(['validate', files.directory])).toMatchObject({ exitCode: 0, stderr: '' })

  symlinkSync('/dev/zero', files.file('zero.json'))
  await execa('mkfifo', [files.file('fifo.json')])
  const { stdout, stderr, exitCode } = await tool(['validate', files.directory])
  expect({ stdout, exitCode }).toEqual({ stdout: expect.stringContaining('net.json: ok'), exitCode: 2 })
  expect(stderr).toBe(`${files.file('fifo.json')}: is a FIFO\n${files.file('zero.json')}: is a device\n`)
})
