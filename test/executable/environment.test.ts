import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { BUILD_RECORD, start, startedOf, temporaryDirectory } from './product.ts'

/**
 * A runtime hands its own environment down to its plugins, and that is an operator's affair. Inside the executable is a
 * whole Node, which would obey some of it.
 */
const VERSION_ANSWER = {
  exitCode: 0,
  stdout: expect.stringMatching(/^\{"cniVersion":"1\.1\.0","supportedVersions":\[.*\]\}\n$/),
  stderr: '',
}

/** A module that leaves a trace when it is run. */
function trap() {
  const directory = temporaryDirectory()
  const trace = path.join(directory, 'was-here')
  const script = path.join(directory, 'trap.cjs')
  const text = `require('node:fs').writeFileSync(${JSON.stringify(trace)}, '')`
  writeFileSync(script, text)
  for (const name of ['fs', 'child_process', 'zod', 'ip-cidr']) {
    mkdirSync(path.join(directory, name))
    writeFileSync(path.join(directory, name, 'index.js'), text)
  }
  return { directory, script, text, sprung: () => existsSync(trace) }
}

describe('the environment of a runtime changes nothing', () => {
  test.each([
    ['NODE_OPTIONS=--garbage'],
    ['NODE_OPTIONS=--inspect-brk'],
    ['NODE_OPTIONS=--max-old-space-size=1'],
    ['NODE_EXTRA_CA_CERTS=/nonexistent'],
    ['NODE_ICU_DATA=/nonexistent'],
    ['NODE_DEBUG_NATIVE=SEA'],
    ['NODE_PENDING_DEPRECATION=1'],
    ['NODE_TEST_CONTEXT=child'],
    ['NODE_UNIQUE_ID=1'],
    ['FORCE_COLOR=3'],
    ['OPENSSL_CONF=/nonexistent'],
    ['TZ=nowhere'],
    ['LC_ALL=nowhere'],
    ['LD_LIBRARY_PATH=/nonexistent'],
    ['LD_BIND_NOW=1'],
    ['UV_THREADPOOL_SIZE=0'],
  ])('%s', async (assignment) => {
    const [name = '', value = ''] = assignment.split(/=(.*)/s)
    expect(await start(PLUGIN, { CNI_COMMAND: 'VERSION', [name]: value })).toEqual(VERSION_ANSWER)
  })

  // Node.js reads it when it starts from source text; in a start-up snapshot it has read that of the build.
  const debugged = startedOf(BUILD_RECORD).kind === 'plain'
  test(`NODE_DEBUG=net${debugged ? ', but that the plain build tells on stderr what Node.js does' : ''}`, async () => {
    const answer = await start(PLUGIN, { CNI_COMMAND: 'VERSION', NODE_DEBUG: 'fs,net,child_process' })
    const told = /^(NET \d+: .*\n)+$/
    expect(answer).toEqual(debugged ? { ...VERSION_ANSWER, stderr: expect.stringMatching(told) } : VERSION_ANSWER)
  })

  test('NODE_OPTIONS and NODE_PATH bring no code in', async () => {
    const { directory, script, sprung } = trap()
    for (const env of [
      { NODE_OPTIONS: `--require=${script}` },
      { NODE_OPTIONS: `--import=${script}` },
      { NODE_PATH: directory },
    ]) {
      expect(await start(PLUGIN, { CNI_COMMAND: 'VERSION', ...env })).toEqual(VERSION_ANSWER)
    }
    expect(sprung()).toBe(false)
  })

  test('a module beside the executable or in the working directory is not loaded', async () => {
    const { directory, sprung } = trap()
    const { exitCode } = await execa(PLUGIN, {
      cwd: directory,
      env: { CNI_COMMAND: 'VERSION' },
      extendEnv: false,
      input: '',
    })
    expect({ exitCode, sprung: sprung() }).toEqual({ exitCode: 0, sprung: false })
  })
})

describe('it is no Node for whoever may start it', () => {
  test.each([['-e'], ['--eval'], ['-p'], ['-pe']])('%s CODE is refused', async (option) => {
    const { text, sprung } = trap()
    const answer = await start(PLUGIN, {}, [option, text])
    expect({ ...answer, sprung: sprung() }).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringContaining(option.startsWith('--') ? option : option.slice(0, 2)),
      sprung: false,
    })
  })

  test.each([['-r'], ['--require'], ['--import'], ['--node-options=--require'], ['--run']])(
    '%s FILE is refused',
    async (option) => {
      const { script, sprung } = trap()
      for (const args of [[option, script], [`${option}=${script}`]]) {
        expect(await start(PLUGIN, {}, args)).toMatchObject({ exitCode: 2, stdout: '' })
      }
      expect(sprung()).toBe(false)
    },
  )

  test('a script as argument or on stdin is not run', async () => {
    const { script, text, sprung } = trap()
    expect(await start(PLUGIN, {}, [script])).toMatchObject({ exitCode: 2, stdout: '' })
    await start(PLUGIN, {}, ['-'], text)
    await start(PLUGIN, {}, [], text)
    expect(sprung()).toBe(false)
  })

  test.each([['--inspect'], ['--inspect-brk=0.0.0.0:0'], ['--inspect-wait']])(
    '%s opens no debugger',
    async (option) => {
      const { exitCode, stderr } = await start(PLUGIN, {}, [option])
      expect(exitCode).toBe(2)
      expect(stderr).not.toContain('Debugger listening')
    },
  )

  test('SIGUSR1, which opens a debugger in any other Node, does nothing', async () => {
    const plugin = execa(PLUGIN, {
      env: { CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'c', CNI_IFNAME: 'eth0' },
      extendEnv: false,
      reject: false,
    })
    const SIGUSR1 = 1n << 9n
    const holds = (mask: string) => {
      const status = readFileSync(`/proc/${plugin.pid}/status`, 'utf8')
      return (BigInt(`0x${new RegExp(`^${mask}:\\s*(\\w+)`, 'm').exec(status)?.[1] ?? 0}`) & SIGUSR1) !== 0n
    }
    await expect.poll(() => holds('SigBlk')).toBe(true)
    expect(holds('SigCgt')).toBe(false)

    plugin.kill('SIGUSR1')
    plugin.stdin?.end()
    const { exitCode, stdout, stderr } = await plugin
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: expect.stringContaining('"code":6') })
    expect(stderr).not.toContain('Debugger listening')
  })
})

test('it says its version, which is package.json’s, and after it which build it is', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const { exitCode, stdout, stderr } = await start(PLUGIN, {}, ['--version'])
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout.replace(/[0-9a-f]{12}/, 'DIGEST')).toBe(`x-calico-route ${version}+DIGEST\n`)
})
