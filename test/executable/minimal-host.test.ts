import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, PLUGIN, run } from '../support/runtime.ts'

/**
 * Proves that a node needs no Node and nothing else that this machine happens to have: the executable runs with a root
 * directory that holds the files of glibc, libstdc++, libgcc_s, iproute2 and util-linux as Debian packages them, the
 * libraries that `ip` and `nsenter` are linked with, a shell for nobody, and no more. /proc and /run are the machine's, as
 * they are for a plugin on a node, so the kernel and the pod's network namespace are real.
 */
const PACKAGES = ['libc6', 'libstdc++6', 'libgcc-s1', 'iproute2', 'util-linux']
const TOOLS = ['/usr/sbin/ip', '/usr/bin/nsenter']
const INSIDE = '/opt/cni/bin/x-calico-route'

let root: string

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'xcr-minimal-host-'))
  await install(root)
})
afterEach(removeNamespaces)
afterAll(() => rm(root, { recursive: true, force: true }))

/** Starts the plugin inside. The mounts live in a namespace of the call alone, so nothing is left to unmount. */
const inside = () => [
  'unshare',
  '--mount',
  'sh',
  '-ec',
  `mount --rbind /proc "$0/proc"; mount --rbind /run "$0/run"; exec chroot "$0" ${INSIDE}`,
  root,
]

describe('on a host without Node', () => {
  test('nothing of Node is there, and of programs only those of iproute2 and util-linux', async () => {
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    expect(files.filter((file) => /(^|\/)(lib)?node/i.test(file))).toEqual([])
    expect(files.filter((file) => /(^|\/)(bash|dash|sh|perl|python\S*|jq)$/.test(file))).toEqual([])
    for (const tool of TOOLS) expect(files).toContain(tool.slice(1))
  })

  test('VERSION answers', async () => {
    expect(await run({ CNI_COMMAND: 'VERSION' }, '', inside())).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: expect.stringContaining('"supportedVersions":["0.3.0"'),
    })
  })

  test('STATUS finds all that ADD will need', async () => {
    const answer = await run({ CNI_COMMAND: 'STATUS' }, { cniVersion: '1.1.0' }, inside())
    expect(answer).toEqual({ exitCode: 0, stderr: '', stdout: '' })
  })

  test('ADD changes the routes of a real pod, CHECK agrees, DEL takes them back', async () => {
    const pod = await calicoPod()
    const config = {
      routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }],
      prevResult: calicoResult(pod),
    }
    const added = await run(environment('ADD', pod), config, inside())

    expect(added).toEqual({ exitCode: 0, stderr: '', stdout: expect.stringMatching(/^\{.*\}\n$/) })
    const present = await routes(pod.netns)
    expect(present).toContain('10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142')
    expect(present).toContain('fd00:10:50::/64 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024')
    expect(present.filter((route) => route.startsWith('default '))).toEqual([])

    const prevResult = JSON.parse(added.stdout)
    const silent = { exitCode: 0, stderr: '', stdout: '' }
    expect(await run(environment('CHECK', pod), { ...config, prevResult }, inside())).toEqual(silent)
    expect(await run(environment('DEL', pod), { ...config, prevResult }, inside())).toEqual(silent)
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual([])
  })
})

/** Copies what Debian's packages own, and what the two tools are linked with, from this machine. */
async function install(root: string): Promise<void> {
  for (const directory of ['usr', 'proc', 'run', 'tmp', path.dirname(INSIDE).slice(1)]) {
    mkdirSync(path.join(root, directory), { recursive: true })
  }
  // /bin, /lib, ... are links to /usr/bin, /usr/lib, ... on a Debian of today.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    const isLink = existsSync(`/${name}`) && lstatSync(`/${name}`).isSymbolicLink()
    mkdirSync(path.join(root, isLink ? 'usr' : '', name), { recursive: true })
    if (isLink) symlinkSync(readlinkSync(`/${name}`), path.join(root, name))
  }

  const { stdout: owned } = await execa('dpkg', ['-L', ...PACKAGES])
  const { stdout: linked } = await execa('ldd', TOOLS)
  const libraries = [...linked.matchAll(/(\/\S+) \(0x/g)].flatMap(([, file = '']) => withTargets(file))
  const files = [...owned.split('\n'), ...libraries].filter(
    (file) => /^\/(usr\/)?(s?bin|lib|lib64)\//.test(file) && existsSync(file) && !lstatSync(file).isDirectory(),
  )
  const archive = execa('tar', ['-C', '/', '-cf', '-', '-T', '-'], {
    input: [...new Set(files)].map((file) => `.${file}\n`).join(''),
    encoding: 'buffer',
    stdout: 'pipe',
  })
  await archive.pipe('tar', ['-C', root, '--keep-directory-symlink', '--no-same-owner', '-xf', '-'])
  await copyFile(PLUGIN, path.join(root, INSIDE))
}

/** A file and, if it is a symbolic link, what it leads to. */
function withTargets(file: string): string[] {
  return lstatSync(file).isSymbolicLink() ? [file, path.resolve(path.dirname(file), readlinkSync(file))] : [file]
}
