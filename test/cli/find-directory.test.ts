import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { crio, found, foundOn } from './find-directory.ts'
import { DISTRIBUTIONS, nodeWith, processOf, type Tree, WITHOUT_CRI } from './nodes.ts'
import { NAME, pluginDirectory, script, temporaryDirectory, VERSION } from './plugin-directory.ts'
import { LIST } from './result-cache.ts'
import { staying, tool } from './tool.ts'

/** The node has /bin/sh. */
const withShell = (root: string) =>
  `for each in bin lib lib64; do mkdir -p ${root}/$each; mount --bind /$each ${root}/$each; done; exec "$@"`

const refused = (line: string) => ({
  exitCode: 2,
  stdout: '',
  stderr: `x-calico-route uninstall: ${line}, or give --from DIR; nothing was changed\n`,
})

const CONTAINERD = '/etc/containerd/config.toml'
const containerd = (directory: string, file = CONTAINERD): Tree => ({
  [file]: `version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "${directory}"\n`,
})

describe('the plugin directory is the one that the runtime is configured with', () => {
  test.each(Object.entries(DISTRIBUTIONS))('%s', async (_, { tree, directory, says, configurations }) => {
    const { root, answer } = await foundOn([directory, '/usr/libexec/cni'], tree)
    expect(answer).toEqual(found(root, directory, says))

    await script(path.join(root, directory, NAME), 'echo x-calico-route 0.0.9+abc')
    mkdirSync(path.join(root, configurations), { recursive: true })
    writeFileSync(path.join(root, configurations, '10-calico.conflist'), JSON.stringify(LIST))
    const { stderr } = await tool(['uninstall', '--host-root', root, '--from', directory], {
      shell: withShell(root),
    })
    expect(stderr).toContain(`still in use: ${root}${configurations}/10-calico.conflist names it; `)
  })

  test('and the usual one where nothing is configured', async () => {
    const { root, answer } = await foundOn(['/opt/cni/bin'])
    expect(answer).toEqual({
      ...found(root, '/opt/cni/bin', ''),
      stderr: '/opt/cni/bin: the usual plugin directory, since no configuration of containerd or CRI-O was found\n',
    })
  })

  test('install and agent say it too, and put the plugin there, by what the processes of the node say', async () => {
    const { bin, file } = pluginDirectory()
    const host = temporaryDirectory()
    const at = (name: string) => path.join(path.dirname(bin), name)
    writeFileSync(at('config.toml'), containerd(bin)[CONTAINERD] ?? '')
    writeFileSync(at('evil.toml'), containerd('/evil')[CONTAINERD] ?? '')
    await script(at('containerd'), 'sleep 60')
    const processes = `${at('containerd')} -c ${at('config.toml')} & unshare --pid --fork ${at('containerd')} -c ${at('evil.toml')} &
      until [ "$(cat ${host}/proc/[0-9]*/comm | grep -c containerd)" -eq 2 ]; do sleep 0.1; done`
    const shell = `mount --rbind / ${host}
      exec unshare --pid --fork --kill-child --mount-proc=${host}/proc sh -ec '${processes}; "$@"' sh "$@"`
    const line = `${bin}: plugin directory of containerd, from bin_dir in ${at('config.toml')}`
    expect(await tool(['install', '--host-root', host], { shell })).toEqual({
      exitCode: 0,
      stdout: `${host}${file}: ${VERSION} installed\n`,
      stderr: `${line}\n`,
    })
    expect(existsSync(file)).toBe(true)
    const { until } = staying(['agent', '--host-root', host, '--cache', bin], { shell })
    await until(`"msg":"${line}"`)
    await until('already installed')
  })
})

describe('of several directories it is', () => {
  const NODE = crio('/a', '/b')
  const says = (why: string) => `CRI-O, from plugin_dirs in /etc/crio/crio.conf; the first of /a, /b${why}`

  test('the first that exists', async () => {
    const { root, answer } = await foundOn(['/b'], NODE)
    expect(answer).toEqual(found(root, '/b', says(' that can be written to')))
  })

  test('the one with the plugin, which libcni calls', async () => {
    const { root } = await foundOn(['/a'], NODE, { [`/b/${NAME}`]: '' })
    const { stderr } = await tool(['install', '--check', '--host-root', root])
    expect(stderr).toContain(`/b: plugin directory of ${says(' that has the plugin')}\n`)
  })

  test('the one that is mounted so that it can be written to', async () => {
    const { root } = await foundOn(['/a', '/b'], NODE)
    const shell = `mount --bind ${root}/a ${root}/a; mount -o remount,bind,ro ${root}/a; exec "$@"`
    expect(await tool(['uninstall', '--host-root', root], { shell })).toEqual(
      found(root, '/b', says(' that can be written to')),
    )
  })
})

describe('of several runtimes it is that of the one', () => {
  const BOTH = [containerd('/c'), crio('/o')]
  const DIRECTORIES = ['/c', '/o']
  const OF_CONTAINERD = `containerd, from bin_dir in ${CONTAINERD}`
  const OF_CRIO = 'CRI-O, from plugin_dirs in /etc/crio/crio.conf'

  test('that runs', async () => {
    const one = await foundOn(DIRECTORIES, ...BOTH, processOf('/usr/bin/containerd'))
    expect(one.answer).toEqual(found(one.root, '/c', OF_CONTAINERD))
    const other = await foundOn(DIRECTORIES, ...BOTH, processOf('/usr/bin/crio'))
    expect(other.answer).toEqual(found(other.root, '/o', OF_CRIO))
  })

  test.each([
    ['by an option', processOf('/usr/bin/kubelet --container-runtime-endpoint=unix:///var/run/crio/crio.sock')],
    [
      'by a file',
      {
        '/var/lib/kubelet/config.yaml':
          'kind: KubeletConfiguration\ncontainerRuntimeEndpoint: unix:///run/crio/crio.sock\n',
      },
    ],
    [
      'by kubeadm',
      {
        '/var/lib/kubelet/kubeadm-flags.env':
          'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///var/run/crio/crio.sock --v=2"\n',
      },
    ],
    [
      'by a file that its option names',
      {
        ...processOf('/usr/bin/kubelet --config /k.json'),
        '/k.json': '{"containerRuntimeEndpoint": "unix:///run/crio/crio.sock"}',
      },
    ],
  ] as const)('that kubelet calls, %s', async (_, kubelet: Tree) => {
    for (const running of [{}, { ...processOf('/usr/bin/crio'), ...processOf('/usr/bin/containerd') }]) {
      const { root, answer } = await foundOn(DIRECTORIES, ...BOTH, kubelet, running)
      expect(answer).toEqual(found(root, '/o', OF_CRIO))
    }
  })

  test("that k3s has started, besides one of the system's, if kubelet's configuration says so", async () => {
    const config = '/var/lib/rancher/k3s/agent/etc/containerd/config.toml'
    const { root, answer } = await foundOn(
      ['/k', '/c'],
      containerd('/c'),
      containerd('/k', config),
      processOf(`containerd -c ${config} -a /run/k3s/containerd/containerd.sock`),
      processOf('/usr/bin/containerd'),
      {
        '/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf':
          'containerRuntimeEndpoint: unix:///run/k3s/containerd/containerd.sock\n',
      },
    )
    expect(answer).toEqual(found(root, '/k', `containerd, from bin_dir in ${config}`))
  })

  test('that runs pods: not Docker’s containerd', async () => {
    const { root, answer } = await foundOn(
      ['/o'],
      { '/run/docker/containerd.toml': WITHOUT_CRI },
      crio('/o'),
      processOf('containerd --config /var/run/docker/containerd.toml'),
      processOf('/usr/bin/crio'),
    )
    expect(answer).toEqual(
      refused('/var/run/docker/containerd.toml: no such file, but containerd reads it; correct that'),
    )
    mkdirSync(path.join(root, 'var'))
    symlinkSync('/run', path.join(root, 'var/run'))
    expect(await tool(['uninstall', '--host-root', root])).toEqual(found(root, '/o', OF_CRIO))
  })

  test('that the node itself has started, not one in a pod, nor a user’s', async () => {
    const evil = containerd('/evil', '/evil.toml')
    const { root, answer } = await foundOn(
      ['/c', '/evil'],
      containerd('/c'),
      evil,
      processOf('/usr/bin/containerd'),
      processOf('/usr/bin/containerd -c /evil.toml', { nsPids: 2 }),
      processOf('/usr/bin/containerd -c /evil.toml', { uid: 1001 }),
    )
    expect(answer).toEqual(found(root, '/c', OF_CONTAINERD))
  })

  test('and both are named where nothing tells', async () => {
    const { answer } = await foundOn(DIRECTORIES, ...BOTH)
    expect(answer).toEqual(
      refused(
        `containerd looks for plugins in /c (from bin_dir in ${CONTAINERD}), but CRI-O looks for plugins in /o (from plugin_dirs in /etc/crio/crio.conf); stop the one that runs no pods`,
      ),
    )
  })

  test('and it does not matter which where they agree', async () => {
    const { root, answer } = await foundOn(['/c'], containerd('/c'), crio('/c'))
    expect(answer).toEqual(found(root, '/c', OF_CONTAINERD))
  })
})

describe('a configuration is read', () => {
  test('by the options of the process, and by what it imports', async () => {
    const { root, answer } = await foundOn(
      ['/two'],
      { '/x/main.toml': 'version = 2\nimports = ["parts/*.toml", "/y/*/c*.toml"]\n' },
      containerd('/one', '/x/parts/a.toml'),
      containerd('/three', '/x/parts/b.conf'),
      containerd('/two', '/y/z/cni.toml'),
      processOf('/opt/bin/containerd --log-level=info --config=/x/main.toml'),
    )
    expect(answer).toEqual(found(root, '/two', 'containerd, from bin_dir in /y/z/cni.toml'))
  })

  test('by the options of CRI-O', async () => {
    const { root, answer } = await foundOn(
      ['/two'],
      crio('/one'),
      {
        '/d/sub/99': '[crio.network]\nplugin_dirs = ["/two"]\n',
        '/d/00.conf': '[crio.network]\nplugin_dirs = ["/three"]\n',
      },
      processOf('/usr/bin/crio -d /d'),
    )
    expect(answer).toEqual(found(root, '/two', 'CRI-O, from plugin_dirs in /d/sub/99'))
    const flag = await foundOn(['/flag'], crio('/one'), processOf('/usr/bin/crio --cni-plugin-dir=/flag'))
    expect(flag.answer).toEqual(found(flag.root, '/flag', 'CRI-O, from its option --cni-plugin-dir'))
  })

  test('where its links lead on the node, however they are written', async () => {
    const { root } = await foundOn(['/c'], containerd('/c', '/nix/store/config.toml'))
    mkdirSync(path.join(root, 'etc/containerd'), { recursive: true })
    symlinkSync('/../etc/static', path.join(root, 'etc/containerd/config.toml'))
    symlinkSync('../nix/./store/config.toml', path.join(root, 'etc/static'))
    expect(await tool(['uninstall', '--host-root', root])).toEqual(
      found(root, '/c', `containerd, from bin_dir in ${CONTAINERD}`),
    )
  })

  test("with Debian's containerd, where that is a link to the usual one, for Multus too", async () => {
    const multus = { '/etc/cni/net.d/00-multus.conf': '{"type":"multus-shim"}' }
    const root = nodeWith({ '/opt/cni/bin/': '', '/usr/lib/': '' }, containerd('/usr/lib/cni'), multus)
    symlinkSync('/opt/cni/bin', path.join(root, 'usr/lib/cni'))
    expect(await tool(['uninstall', '--host-root', root])).toEqual({
      ...found(root, '/opt/cni/bin', ''),
      stderr: `/usr/lib/cni: plugin directory of containerd, from bin_dir in ${CONTAINERD}\n`,
    })
  })

  test.each<[what: string, tree: Tree, line: string | RegExp]>([
    [
      'not TOML',
      { [CONTAINERD]: 'version = 2\n[plugins\n' },
      /^x-calico-route uninstall: \/etc\/containerd\/config\.toml:2:\d+: not valid TOML: .+; correct it, or give --from DIR; nothing was changed\n$/,
    ],
    [
      'of another kind',
      { [CONTAINERD]: 'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = 5\n' },
      `${CONTAINERD}: bin_dir is not a string; correct it`,
    ],
    ['a directory', { [`${CONTAINERD}/`]: '' }, `${CONTAINERD}: is a directory; correct that`],
    ['too long', { [CONTAINERD]: '#'.repeat(1024 * 1024 + 1) }, `${CONTAINERD}: longer than 1 MiB; correct that`],
    [
      'missing, but imported',
      { [CONTAINERD]: 'imports = ["/gone.toml"]\n' },
      '/gone.toml: no such file, but containerd reads it; correct that',
    ],
    [
      'missing, but an option’s',
      processOf('containerd -c /gone.toml'),
      '/gone.toml: no such file, but containerd reads it; correct that',
    ],
    [
      'one of too many',
      Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`/etc/crio/crio.conf.d/${i}`, ''])),
      '/etc/crio/crio.conf.d: found 201 files of configuration, the limit is 200; remove some',
    ],
  ])('unless it is %s', async (_, tree, line) => {
    const { answer } = await foundOn(['/opt/cni/bin'], tree)
    expect(answer).toEqual(
      typeof line === 'string' ? refused(line) : { ...refused(''), stderr: expect.stringMatching(line) },
    )
  })

  test('or --from is given: then it says what uninstall does not look into', async () => {
    const { root } = await foundOn(['/opt/cni/bin'], { [CONTAINERD]: 'version = 2\n[plugins\n' })
    await script(path.join(root, 'opt/cni/bin', NAME), 'echo x-calico-route 0.0.9+abc')
    const shell = withShell(root)
    expect(await tool(['uninstall', '--host-root', root, '--from', '/opt/cni/bin'], { shell })).toMatchObject({
      exitCode: 0,
      stdout: `${root}/opt/cni/bin/${NAME}: x-calico-route 0.0.9+abc removed\n`,
      stderr: expect.stringMatching(
        /^\/etc\/containerd\/config\.toml:2:.*; so network configurations are looked for only in the usual directories\n$/,
      ),
    })
  })
})

test('a directory that this container has read-only is refused with what to mount, not with what to write', async () => {
  const { root } = await foundOn(['/var/lib/cni/bin'], crio('/var/lib/cni/bin'))
  const shell = `mount --bind ${root} ${root}; mount -o remount,bind,ro ${root}; exec "$@"`
  expect(await tool(['install', '--host-root', root], { shell })).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: `/var/lib/cni/bin: plugin directory of CRI-O, from plugin_dirs in /etc/crio/crio.conf
x-calico-route install: ${root}/var/lib/cni/bin: mounted read-only in this container, but the node's runtime looks for plugins in /var/lib/cni/bin; mount it read-write there, for which docs/platforms.md has components, or give --to DIR; nothing was changed\n`,
  })
})
