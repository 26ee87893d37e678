import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { agent } from './agent.ts'
import {
  EXECUTABLE,
  INSTALLED,
  NAME,
  otherBuild,
  pluginDirectory,
  temporaryDirectory,
  VERSION,
} from './plugin-directory.ts'
import { bringing, broughtIn, LACKING, makeOld, makeParts, nodeWith, PLUGINS } from './self-contained.ts'
import { scratch, tool } from './tool.ts'

const parts = '/run/xcr-parts'
beforeAll(() => makeParts(parts))
afterAll(() => rmSync(parts, { recursive: true, force: true }))
afterEach(removeNamespaces)

/** On this machine, as if it were a node that lacks something. */
const layOutIn = (bin: string) =>
  tool(['install', '--to', bin, '--host-root', '/', '--self-contained'], { shell: `${bringing(parts)}; exec "$@"` })
const installed = (file: string, more = '') =>
  `${file}: ${VERSION} installed with a loader, libraries and tools of its own${more}\n`
const NO_SHELL = '/bin/sh: missing, and a gate needs it; so the plugin brings what it needs\n'
const silent = { exitCode: 0, stdout: '', stderr: '' }

describe.each(LACKING)('a node with %s', (layout) => {
  test('gets a plugin with all that it needs, whose ADD, CHECK and DEL work there, and loses it again', async () => {
    const node = await nodeWith(layout, parts)
    const before = filesBut(node.root)
    const { exitCode, stdout, stderr } = await node.call(['install'])
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: installed(node.file) })
    // The first thing that is missing. busybox has a shell.
    if (layout === 'nothing at all') expect(stderr).toBe(NO_SHELL)
    else
      expect(stderr).toMatch(
        /^VERSION: x-calico-route does not answer on this node: .*; so the plugin brings what it needs\n$/,
      )
    expect(await node.call(['install', '--check'])).toEqual({ ...silent, stdout: `${node.file}: ${VERSION} answers\n` })

    const pod = await calicoPod()
    const config = { routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }], prevResult: calicoResult(pod) }
    const added = await run(environment('ADD', pod), config, node.inside)
    expect(added).toEqual({ ...silent, stdout: expect.stringMatching(/^\{.*\}\n$/) })
    const present = await routes(pod.netns)
    expect(present).toContain('10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142')
    expect(present).toContain('fd00:10:50::/64 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024')
    expect(present.filter((route) => route.startsWith('default '))).toEqual([])
    const prevResult = JSON.parse(added.stdout)
    expect(await run(environment('CHECK', pod), { ...config, prevResult }, node.inside)).toEqual(silent)
    expect(await run(environment('DEL', pod), { ...config, prevResult }, node.inside)).toEqual(silent)
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual([])

    expect(filesBut(node.root)).toEqual(before)
    expect((await node.call(['uninstall'])).exitCode).toBe(0)
    expect(readdirSync(node.bin)).toEqual([])
  })
})

/** What is on a node, but for its plugins. */
const filesBut = (root: string) =>
  readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => !file.startsWith(`${PLUGINS.slice(1)}/`))

describe('a plugin that brings what it needs', () => {
  test('has a gate, at which calls wait as at any other', async () => {
    const node = await nodeWith('nothing at all', parts)
    await node.call(['install', '--at-once', '1'])
    using files = scratch({
      conf: JSON.stringify({ cniVersion: '1.1.0', name: 'n', type: NAME, 'cni.dev/valid-attachments': [] }),
    })
    const shell = `mount --rbind /proc ${node.root}/proc; mount -t tmpfs none ${node.root}/run
      slots=${node.root}/run/${NAME}; mkdir -m 700 $slots
      call() { CNI_COMMAND=GC CNI_PATH=${PLUGINS} timeout "$1" chroot ${node.root} ${PLUGINS}/${NAME} <${files.file('conf')}; }
      exec 7>$slots/0; flock 7
      call 1 || echo $?
      exec 7>&-
      call 20 && echo went on`
    const { stdout, stderr } = await execa('unshare', ['--mount', 'sh', '-c', shell])
    expect({ stdout, stderr }).toEqual({ stdout: '124\nwent on', stderr: '' })
  })

  test('reads no library of the node, and starts no tool of it', async () => {
    const { bin, file } = pluginDirectory()
    await layOutIn(bin)
    const pod = await calicoPod()
    const trace = path.join(temporaryDirectory(), 'trace')
    const watched = ['-e', 'trace=openat,open,execve', '-e', 'status=successful', '-o', trace]
    const config = {
      cniVersion: '1.0.0',
      name: 'n',
      type: NAME,
      routes: [{ dst: '10.50.0.0/16' }],
      prevResult: calicoResult(pod),
    }
    await execa('strace', ['-f', '-qq', ...watched, file], {
      env: { ...environment('ADD', pod), PATH: process.env.PATH },
      extendEnv: false,
      input: JSON.stringify(config),
    })
    const files = [...readFileSync(trace, 'utf8').matchAll(/"(\/[^"]*)"/g)].map(([, name = '']) => name)
    const own = path.join(bin, broughtIn(bin)[0] ?? '')
    for (const name of [NAME, 'ip', 'nsenter', 'flock', 'libc.so.6']) expect(files).toContain(path.join(own, name))
    // iproute2 reads names of tables there, where they are, and Node the limits of a cgroup.
    const others = files.filter((name) => !name.startsWith(bin) && !/^\/(proc|sys|run|dev|etc\/iproute2)\//.test(name))
    expect(others).toEqual([])
  })

  test('is what was installed, with two paths written in, and nothing longer', async () => {
    const { bin } = pluginDirectory()
    await layOutIn(bin)
    const own = path.join(bin, broughtIn(bin)[0] ?? '')
    const { stdout } = await execa('readelf', ['--wide', '--dynamic', '--program-headers', path.join(own, NAME)])
    const [loader = ''] = readdirSync(own).filter((name) => name.startsWith('ld-linux'))
    expect(stdout).toContain(`[Requesting program interpreter: ${path.join(own, loader)}]`)
    expect(stdout).not.toContain('(DEBUG)')
    for (const name of readdirSync(own)) {
      const { mode, uid } = lstatSync(path.join(own, name))
      expect({ name, mode, uid }).toEqual({ name, mode: 0o100755, uid: process.geteuid?.() })
    }
  })

  test('stays when it is installed again, and what it has lost comes back', async () => {
    const node = await nodeWith('nothing at all', parts)
    await node.call(['install'])
    expect(await node.call(['install'])).toEqual({
      ...silent,
      stdout: `${node.file}: ${VERSION} is already installed\n`,
    })
    const [own = ''] = broughtIn(node.bin)
    const gate = lstatSync(node.file).ino
    for (const damage of [
      () => rmSync(path.join(node.bin, own, 'ip')),
      () => truncateSync(path.join(node.bin, own, 'libc.so.6'), 1000),
      () => truncateSync(path.join(node.bin, own, NAME), 1000),
    ]) {
      damage()
      expect((await node.call(['install', '--check'])).exitCode).toBe(2)
      expect(await node.call(['install'])).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining(installed(node.file).trim()),
      })
      expect((await node.call(['install', '--check'])).exitCode).toBe(0)
    }
    expect(broughtIn(node.bin)).toEqual([own])
    expect(lstatSync(node.file).ino).not.toBe(gate)
    // Of an install that was killed.
    const leftOver = path.join(node.bin, own, `.${NAME}.0123456789ab.tmp`)
    writeFileSync(leftOver, '')
    await makeOld(leftOver)
    await node.call(['install'])
    expect(existsSync(leftOver)).toBe(false)
  })

  test('gives way to another build, and goes 10 minutes later', async () => {
    const node = await nodeWith('nothing at all', parts)
    await node.call(['install'])
    const [old = ''] = broughtIn(node.bin)
    const other = await otherBuild(temporaryDirectory())
    expect(await node.call(['install'], other)).toMatchObject({
      exitCode: 0,
      stdout: installed(node.file, `, replaces ${VERSION}`),
    })
    expect(broughtIn(node.bin)).toHaveLength(2)
    for (const name of [old, NAME]) await makeOld(path.join(node.bin, name))
    await node.call(['install'], other)
    expect(broughtIn(node.bin)).toHaveLength(1)
    expect(broughtIn(node.bin)).not.toContain(old)
    expect((await node.call(['install', '--check'])).exitCode).toBe(0)
  })

  test('is put back by the agent, whatever of it is gone', async () => {
    const { bin, file } = pluginDirectory()
    const shell = `${bringing(parts)}; exec "$@"`
    const { until } = agent(['--to', bin, '--host-root', '/', '--self-contained', '--interval', '0.5'], { shell })
    await until('ready')
    for (const name of ['ip', 'sh', NAME]) {
      rmSync(path.join(bin, broughtIn(bin)[0] ?? '', name))
      await until('installed with')
      expect(readdirSync(path.join(bin, broughtIn(bin)[0] ?? ''))).toContain(name)
    }
    expect((await tool(['install', '--check', '--to', bin])).stdout).toBe(`${file}: ${VERSION} answers\n`)
  })
})

describe('without need, or without the means,', () => {
  test('a node that has everything gets the usual plugin', async () => {
    const { bin, file } = pluginDirectory()
    const shell = `${bringing(parts)}; exec "$@"`
    expect(await tool(['install', '--to', bin, '--host-root', '/'], { shell })).toEqual({
      ...silent,
      stdout: `${file}: ${VERSION} installed\n`,
    })
    expect(readdirSync(bin)).toEqual(INSTALLED)
  })

  test('one that lacks ip alone gets one that brings it, and when it has ip again, the usual one', async () => {
    const { bin, file } = pluginDirectory()
    const shell = `${bringing(parts)}
      for ip in /usr/sbin/ip /usr/bin/ip /sbin/ip /bin/ip; do ! [ -e "$ip" ] || mount --bind /dev/null "$(realpath "$ip")"; done; exec "$@"`
    const { exitCode, stdout, stderr } = await tool(['install', '--to', bin, '--host-root', '/'], { shell })
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: installed(file) })
    expect(stderr).toMatch(/^STATUS: ADD could not work on this node: ip: .*; so the plugin brings what it needs\n$/)
    expect(readdirSync(bin)).not.toContain(EXECUTABLE)
    expect((await tool(['install', '--to', bin, '--host-root', '/'])).stdout).toBe(
      `${file}: ${VERSION} installed, replaces ${VERSION}\n`,
    )
    expect(readdirSync(bin)).toContain(EXECUTABLE)
  })

  test('one whose disk does not confirm what was written gets nothing more', async () => {
    const { bin } = pluginDirectory()
    const shell = `${bringing(parts)}; exec strace -f -qq -o /dev/null -P ${bin} -e inject=fsync:error=EIO "$@"`
    expect(await tool(['install', '--to', bin, '--host-root', '/'], { shell })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringMatching(/: changed, but the disk did not confirm it \(EIO: .*\n$/),
    })
    expect(readdirSync(bin)).toEqual(INSTALLED)
  })

  test('never means never', async () => {
    const node = await nodeWith('busybox in /bin and nothing else', parts)
    expect(await node.call(['install', '--self-contained=never'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(
        /^x-calico-route install: VERSION: x-calico-route does not answer on this node: .*; nothing was changed\n$/,
      ),
    })
    expect(readdirSync(node.bin)).toEqual([])
  })

  test.each<[what: string, words: string[], shell: string, says: string]>([
    [
      'outside of the image it says where to call it',
      ['--self-contained'],
      'exec "$@"',
      'x-calico-route install: --self-contained: /usr/libexec/x-calico-route is missing, which has the loader, the libraries and the tools; run install in the image of x-calico-route, which has it; nothing was changed\n',
    ],
    [
      'without the node’s root directory, where its path may be another, it asks for that',
      ['--self-contained'],
      `${bringing(parts)}; exec "$@"`,
      "x-calico-route install: --self-contained: needs --host-root, since the plugin has its path on the node written into it; mount the node's root directory and give --host-root; nothing was changed\n",
    ],
    [
      'it cannot be checked',
      ['--check', '--self-contained'],
      'exec "$@"',
      'x-calico-route install: --check: installs nothing; leave out --self-contained\n',
    ],
    [
      'another word is refused',
      ['--self-contained=sometimes'],
      'exec "$@"',
      'x-calico-route install: --self-contained: must be auto, always or never, is "sometimes"\nSee x-calico-route install --help.\n',
    ],
  ])('%s', async (_what, words, shell, says) => {
    const { bin } = pluginDirectory()
    expect(await tool(['install', '--to', bin, ...words], { shell })).toEqual({ exitCode: 2, stdout: '', stderr: says })
    expect(readdirSync(bin)).toEqual([])
  })

  test.each(['with space', 'long'.repeat(30)])(
    'a directory whose path no gate can name is refused: %s',
    async (name) => {
      const bin = path.join(temporaryDirectory(), name)
      mkdirSync(bin)
      const answer = await layOutIn(bin)
      expect(answer).toMatchObject({
        exitCode: 2,
        stderr: `x-calico-route install: ${bin}: its path has a space or is too long for the first line of a script, which has room for 87 characters; give another directory; nothing was changed\n`,
      })
      expect(readdirSync(bin)).toEqual([])
    },
  )

  test('where the disk is too small, the old version stays, and nothing else', async () => {
    const { bin, file } = pluginDirectory()
    const shell = `${bringing(parts)}; mount -t tmpfs -o size=40m,mode=755 none ${bin}
      status=0; "$@" || status=$?; ls -A ${bin}; exit $status`
    expect(await tool(['install', '--to', bin, '--host-root', '/', '--self-contained'], { shell })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route install: ${file}: no space left on the file system; free some (see df); nothing was changed\n`,
    })
  })
})

test('an executable that was laid out so installs no copy of itself, which would end with its loader', async () => {
  const { bin, file } = pluginDirectory()
  await layOutIn(bin)
  const [own = ''] = broughtIn(bin)
  for (const words of [[], ['--no-gate'], ['--host-root', '/', '--self-contained=never']])
    expect(await tool(['install', '--to', bin, ...words], { executable: file })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route install: this executable only works with the loader in ${path.join(bin, own)}, and so does a copy; run install in the image of x-calico-route; nothing was changed\n`,
    })
  expect(readdirSync(bin)).toEqual([own, NAME])
  expect((await tool(['install', '--check', '--to', bin])).stdout).toBe(`${file}: ${VERSION} answers\n`)
})

test('one that a node needs stays where another install sees neither the node nor a shell', async () => {
  const node = await nodeWith('nothing at all', parts)
  await node.call(['install'])
  const before = readFileSync(node.file, 'utf8')
  const shell = `mount --bind /dev/null "$(realpath /bin/sh)"; exec "$@"`
  const other = await otherBuild(temporaryDirectory())
  expect(await tool(['install', '--to', node.bin], { shell, executable: other })).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: `x-calico-route install: ${node.file}: brings what its node lacks, and nothing else can be tried without the node's root directory; mount that and give --host-root; nothing was changed\n`,
  })
  expect(readFileSync(node.file, 'utf8')).toBe(before)
  expect(broughtIn(node.bin)).toHaveLength(1)
})

test('an executable or a directory of which others can change a part is not run', async () => {
  const { bin, file } = pluginDirectory()
  await layOutIn(bin)
  const [own = ''] = broughtIn(bin)
  for (const part of ['', 'ip']) {
    const weak = path.join(bin, own, part)
    await execa('chmod', ['o+w', weak])
    expect((await tool(['install', '--check', '--to', bin])).stderr).toMatch(
      /can be changed by anybody .*so it was not run; chmod go-w /,
    )
    await execa('chmod', ['o-w', weak])
  }
  expect((await tool(['install', '--check', '--to', bin])).stdout).toBe(`${file}: ${VERSION} answers\n`)
})
