import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa, type Options } from 'execa'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { gatedPlugin, gatedScript, holdSlots, isFree, SLOTS } from '../support/gate.ts'
import { temporaryDirectory } from './product.ts'

// One file, and one test after the other: the slots are the node's, which here is the sandbox.
beforeEach(() => rmSync(SLOTS, { recursive: true, force: true }))

const QUEUING = ['ADD', 'CHECK', 'DEL', 'GC']
/** Long enough for a call that does not wait, on a busy machine too. */
const AT_ONCE_MS = 20_000
/** Long enough to see that a call waits. */
const A_WHILE_MS = 400

/** Starts a call as a runtime does, and kills it with the test. */
function calling(file: string, verb = 'ADD', options: Options = {}) {
  const child = execa(file, [], {
    extendEnv: false,
    input: '',
    reject: false,
    timeout: AT_ONCE_MS,
    killSignal: 'SIGKILL',
    stripFinalNewline: false,
    ...options,
    env: { CNI_COMMAND: verb, ...options.env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Whether the call is still there after a while. */
async function waits(child: ReturnType<typeof calling>): Promise<boolean> {
  return Promise.race([child.then(() => false), sleep(A_WHILE_MS, true)])
}

describe('with every slot taken,', () => {
  test.each(QUEUING)('%s waits, and goes on when a call has ended', async (verb) => {
    using gated = await gatedScript('echo done')
    using slots = await holdSlots()
    const child = calling(gated.gate, verb)
    expect(await waits(child)).toBe(true)
    for (const slot of [0, 1]) slots.free(slot)
    expect(await child).toMatchObject({ exitCode: 0, stdout: 'done\n', stderr: '' })
  })

  test.each(['VERSION', 'STATUS', '', 'add'])('CNI_COMMAND "%s" does not wait', async (verb) => {
    using gated = await gatedScript('echo done')
    using _ = await holdSlots()
    expect(await calling(gated.gate, verb)).toMatchObject({ exitCode: 0, stdout: 'done\n' })
  })

  test('VERSION and STATUS of the plugin itself are answered', async () => {
    using gated = await gatedPlugin()
    using _ = await holdSlots()
    const input = '{"cniVersion":"1.1.0","name":"net","type":"x-calico-route"}'
    expect(await calling(gated.gate, 'VERSION', { input })).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await calling(gated.gate, 'STATUS', { input })).toMatchObject({ exitCode: 0, stdout: '' })
  })

  test('a person does not wait, whatever is in the environment', async () => {
    using gated = await gatedScript('printf "<%s>" "$@"')
    using _ = await holdSlots()
    const words = ['validate', '', 'a b', '*', '-n', '--version', "'", '\n']
    const { stdout } = await execa(gated.gate, words, { env: { CNI_COMMAND: 'ADD' }, timeout: AT_ONCE_MS })
    expect(stdout).toBe(words.map((word) => `<${word}>`).join(''))
  })

  test.each([['--version'], ['-V'], ['version'], ['help', 'plan']])(
    '%s of the plugin itself is answered',
    async (...words) => {
      using gated = await gatedPlugin()
      using _ = await holdSlots()
      const env = { CNI_COMMAND: 'ADD' }
      const { exitCode, stdout } = await execa(gated.gate, words, {
        env,
        input: '',
        reject: false,
        timeout: AT_ONCE_MS,
      })
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^(x-calico-route|Usage:) /) })
    },
  )

  test('a call that no slot comes for in time goes on without', async () => {
    using gated = await gatedScript('echo done', [['-w $((7 + $$ % 6))', '-w 0.05']])
    using _ = await holdSlots()
    expect(await calling(gated.gate)).toMatchObject({ exitCode: 0, stdout: 'done\n', stderr: '' })
  })

  test('a call that waits finds the plugin though it is uninstalled meanwhile', async () => {
    using gated = await gatedPlugin()
    using slots = await holdSlots()
    const child = calling(gated.gate)
    expect(await waits(child)).toBe(true)
    await execa(gated.executable, ['uninstall', '--from', gated.directory, '--force'])
    expect(readdirSync(gated.directory)).toEqual([])
    for (const slot of [0, 1]) slots.free(slot)
    const { exitCode, stdout } = await child
    // The plugin's own word: nothing came on stdin.
    expect({ exitCode, code: JSON.parse(String(stdout)).code }).toEqual({ exitCode: 1, code: 4 })
  })

  test('a call that waits takes half a megabyte', async () => {
    using gated = await gatedScript('echo done')
    using _ = await holdSlots()
    const child = calling(gated.gate)
    expect(await waits(child)).toBe(true)
    const anonymous = (pid: number | string) =>
      Number(/^Anonymous: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1])
    const family = [child.pid as number, ...childrenOf(child.pid as number)]
    expect(family.map(anonymous).reduce((a, b) => a + b)).toBeLessThan(600)
  })
})

test('one that stands open lets everybody through', async () => {
  using gated = await gatedScript('echo done', [['$((2)) -gt', '$((0)) -gt']])
  using _ = await holdSlots()
  expect(await calling(gated.gate)).toMatchObject({ exitCode: 0, stdout: 'done\n', stderr: '' })
})

test('with one slot taken by a call that hangs, all others go on by the other one', async () => {
  using gated = await gatedScript('echo done', [['-w $((7 + $$ % 6))', '-w 0.2']])
  using _ = await holdSlots(1)
  const calls = Array.from({ length: 10 }, () => calling(gated.gate))
  for (const call of calls) expect(await call).toMatchObject({ exitCode: 0, stdout: 'done\n', stderr: '' })
})

describe('a slot', () => {
  test('is held by one call at a time, of however many', async () => {
    using gated = await gatedScript('echo in >>"$LOG"; sleep 0.02; echo out >>"$LOG"')
    const log = path.join(temporaryDirectory(), 'log')
    const calls = Array.from({ length: 24 }, () => calling(gated.gate, 'ADD', { env: { LOG: log } }))
    for (const call of calls) expect(await call).toMatchObject({ exitCode: 0 })
    let inside = 0
    let most = 0
    for (const line of readFileSync(log, 'utf8').trim().split('\n')) {
      inside += line === 'in' ? 1 : -1
      most = Math.max(most, inside)
    }
    expect(inside).toBe(0)
    expect(most).toBe(2)
  })

  test('goes with the process that has it, however that ends, and not before', async () => {
    using gated = await gatedScript('echo $$; exec sleep 600', [['% 2', '% 1']])
    const child = calling(gated.gate)
    const [pid] = await new Promise<string[]>((resolve) =>
      child.stdout?.once('data', (data) => resolve(`${data}`.split('\n'))),
    )
    // The same process all along.
    expect(Number(pid)).toBe(child.pid)
    expect(await isFree(0)).toBe(false)
    child.kill('SIGKILL')
    await child
    expect(await isFree(0)).toBe(true)
  })

  test('is not kept by who was killed while waiting for it, who holds none of the caller’s streams either', async () => {
    using gated = await gatedScript('echo done', [['% 2', '% 1']])
    using slots = await holdSlots(1)
    const child = calling(gated.gate)
    expect(await waits(child)).toBe(true)
    const [flock = 0] = childrenOf(child.pid as number)
    // What every child of this one has, which may be more than three streams.
    const inherited = (await execa('ls', ['/proc/self/fd'])).stdout.split('\n').filter((fd) => Number(fd) > 9)
    const opened = readdirSync(`/proc/${flock}/fd`).filter((fd) => !inherited.includes(fd))
    expect(opened.sort()).toEqual(['8', '9'])
    // A runtime that loses patience: it reads to the end of the streams, which comes at once.
    child.kill('SIGKILL')
    const started = performance.now()
    await child
    expect(performance.now() - started).toBeLessThan(5_000)
    slots.free(0)
    await expect.poll(() => isFree(0), { timeout: AT_ONCE_MS }).toBe(true)
  })

  test('is nobody’s but root’s to open, whatever the umask, and the umask stays the caller’s', async () => {
    using gated = await gatedScript('umask')
    const shell = ['sh', '-c', 'umask 000; exec "$0"', gated.gate]
    const { stdout } = await execa('env', ['CNI_COMMAND=ADD', ...shell])
    expect(stdout).toMatch(/^0?000$/)
    const mode = (file: string) => statSync(file).mode & 0o7777
    const [slot = ''] = readdirSync(SLOTS)
    expect([mode(SLOTS), mode(path.join(SLOTS, slot))]).toEqual([0o700, 0o600])
    const nobody = [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      'flock',
      '--nonblock',
      path.join(SLOTS, slot),
      'true',
    ]
    expect((await execa('setpriv', nobody, { reject: false })).stderr).toContain('Permission denied')
  })
})

describe('a call goes straight through', () => {
  /** As if the tools, or the node, were other ones. */
  const on = (shell: string, gate: string) =>
    execa('unshare', ['--mount', 'sh', '-ec', `${shell}\nexec "$0"`, gate], {
      env: { CNI_COMMAND: 'ADD' },
      timeout: AT_ONCE_MS,
      reject: false,
    })
  const UNSLOTTED = 'echo done; [ ! -e /proc/$$/fd/9 ] || echo open'
  const straight = { exitCode: 0, stdout: 'done', stderr: '' }
  const flockIs = (script: string) => {
    const file = path.join(temporaryDirectory(), 'flock')
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
    return `mount --bind ${file} /usr/bin/flock`
  }

  test.each([
    ['there is no flock', () => 'mount --bind /dev/null /usr/bin/flock'],
    ['flock is another one, which knows no -w', () => flockIs('[ "$1" != -w ] || { echo usage >&2; exit 64; }')],
    ['flock cannot be run', () => flockIs('echo "$0: cannot run"; echo broken >&2; exit 127')],
    ['flock has no lock to give', () => flockIs('echo "flock: No locks available" >&2; exit 71')],
    ['flock is killed', () => flockIs('kill -9 $$')],
    ['/run is read-only', () => 'mount --bind /run /run; mount -o remount,bind,ro /run'],
    ['/run is full', () => 'mount -t tmpfs -o nr_inodes=1 none /run'],
    ['there is no /dev/null', () => 'mount -t tmpfs none /dev'],
  ])('where %s', async (_, shell) => {
    const home = temporaryDirectory()
    using gated = await gatedScript('echo done')
    // Not below /run, which is another one here.
    await execa('cp', ['-a', gated.directory, home])
    expect(await on(shell(), path.join(home, 'bin', 'x-calico-route'))).toMatchObject(straight)
  })

  test.each<[string, () => void]>([
    ['is somebody else’s', () => mkdirSync(SLOTS) ?? execa('chown', ['65534', SLOTS])],
    ['is a link', () => symlinkSync(temporaryDirectory(), SLOTS)],
    ['is a file', () => writeFileSync(SLOTS, '')],
  ])('where the directory of the slots %s', async (_, make) => {
    await make()
    using gated = await gatedScript(UNSLOTTED)
    expect(await calling(gated.gate)).toMatchObject({ ...straight, stdout: 'done\n' })
    if (lstatSync(SLOTS).isDirectory()) expect(readdirSync(SLOTS)).toEqual([])
  })

  test.each([
    ['a FIFO', 'mkfifo'],
    ['a directory', 'mkdir'],
    ['a link', 'ln -s /etc/passwd'],
    ['somebody else’s', 'install -o 65534 /dev/null'],
  ])('where a slot is %s', async (_, command) => {
    mkdirSync(SLOTS, { mode: 0o700 })
    for (const slot of [0, 1]) await execa('sh', ['-c', `${command} ${SLOTS}/${slot}`])
    using gated = await gatedScript(UNSLOTTED)
    expect(await calling(gated.gate)).toMatchObject({ ...straight, stdout: 'done\n' })
  })
})

describe('the gate changes nothing', () => {
  const SHELLS = [['dash'], ['bash', '--posix'], ['busybox', 'sh']]

  test.each(SHELLS)('of environment, stdin, exit status and process, run by %s', async (...shell) => {
    using gated = await gatedScript('env; cat; exit 77')
    const env = {
      CNI_COMMAND: 'ADD',
      CNI_ARGS: 'a=b;c=d e',
      PATH: '/bin',
      IFS: 'x',
      HOME: '/nonexistent',
      ENV: '/dev/stderr',
      X: "'\n*",
    }
    const { stdout, stderr, exitCode } = await execa(shell[0] as string, [...shell.slice(1), gated.gate], {
      env,
      extendEnv: false,
      input: 'stdin\n',
      reject: false,
    })
    expect({ exitCode, stderr }).toEqual({ exitCode: 77, stderr: '' })
    for (const [name, value] of Object.entries(env)) {
      // A shell has an IFS of its own, which it takes from nobody.
      if (name !== 'IFS') expect(`\n${stdout}\n`).toContain(`\n${name}=${value}\n`)
    }
    expect(stdout).toMatch(/stdin$/)
    const added = [...stdout.matchAll(/^(\w+)=/gm)].map(([, name]) => name).filter((name) => name && !(name in env))
    // What shells make of themselves; the plugin looks at nothing but CNI_*.
    expect(added.filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name as string))).toEqual([])
  })

  test.each(SHELLS)('for a call that waits, run by %s', async (...shell) => {
    using gated = await gatedScript('cat')
    using slots = await holdSlots()
    const child = execa(shell[0] as string, [...shell.slice(1), gated.gate], {
      env: { CNI_COMMAND: 'DEL' },
      input: 'stdin\n',
      timeout: AT_ONCE_MS,
    })
    expect(await Promise.race([child.then(() => 'went'), sleep(A_WHILE_MS, 'waits')])).toBe('waits')
    for (const slot of [0, 1]) slots.free(slot)
    expect((await child).stdout).toBe('stdin')
  })

  test.each(['SIGTERM', 'SIGINT', 'SIGUSR2'] as const)('of %s', async (signal) => {
    using gated = await gatedScript(`trap 'echo got; exit 5' TERM INT USR2; echo ready; while :; do sleep 0.01; done`)
    const child = calling(gated.gate)
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    child.kill(signal)
    expect(await child).toMatchObject({ exitCode: 5, stdout: 'ready\ngot\n' })
  })

  test('and PATH chooses none of its tools', async () => {
    const trap = temporaryDirectory()
    for (const tool of ['flock', 'mkdir', 'readlink', 'sh', 'x-calico-route'])
      writeFileSync(path.join(trap, tool), `#!/bin/sh\necho ${tool} >>${trap}/log\n`, { mode: 0o755 })
    using gated = await gatedScript('echo done')
    const link = path.join(trap, 'link')
    symlinkSync(gated.gate, link)
    for (const file of [gated.gate, link]) {
      const answer = await calling(file, 'ADD', { env: { PATH: trap }, cwd: trap })
      expect(answer).toMatchObject({ exitCode: 0, stdout: 'done\n', stderr: '' })
    }
    expect(existsSync(path.join(trap, 'log'))).toBe(false)
  })

  test('in its own directory, called by its bare name', async () => {
    using gated = await gatedScript('echo done')
    const { stdout } = await execa('sh', ['x-calico-route'], { cwd: gated.directory, env: { CNI_COMMAND: 'ADD' } })
    expect(stdout).toBe('done')
  })

  test.each([
    ['missing', (file: string) => rmSync(file)],
    ['empty', (file: string) => writeFileSync(file, '')],
  ])('says as a plugin does that its executable is %s, and to a person in words', async (_, damage) => {
    using gated = await gatedScript('')
    damage(gated.executable)
    for (const verb of ['ADD', 'VERSION']) {
      const { exitCode, stdout, stderr } = await calling(gated.gate, verb)
      const msg = `x-calico-route: ${path.basename(gated.executable)} is missing beside it on this node; install the plugin again`
      expect({ exitCode, stderr, ...JSON.parse(String(stdout)) }).toEqual({
        exitCode: 1,
        stderr: '',
        cniVersion: '1.0.0',
        code: 103,
        msg,
      })
    }
    const person = await execa(gated.gate, ['--version'], { reject: false })
    expect(person).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('is missing; install') })
  })
})

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}
