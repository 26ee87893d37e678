import { describe, expect, test } from 'vitest'
import { containerdOf, crioOf } from '../../../../src/cli/install/runtime-config.ts'
import { parseToml } from '../../../../src/cli/install/toml.ts'

/** Files named a, b, c, in the order in which they are loaded. */
const files = (texts: readonly string[]) => texts.map((text, index) => parseToml('abc'[index] ?? '', text))

const cri = (version: 1 | 2 | 3, cni: string) => {
  const name = { 1: 'cri', 2: '"io.containerd.grpc.v1.cri"', 3: "'io.containerd.cri.v1.runtime'" }[version]
  const head = version === 1 ? '' : `version = ${version}\n`
  return `${head}[plugins.${name}]\nenable_selinux = true\n${cni && `[plugins.${name}.cni]\n${cni}`}`
}

const DEFAULT = { plugins: ['/opt/cni/bin'], said: undefined, configurations: '/etc/cni/net.d' }

describe('containerd looks for plugins', () => {
  test.each<[what: string, texts: string[], plugins: string[], said: string | undefined]>([
    ['in its default without a file', [], ['/opt/cni/bin'], undefined],
    ['in its default with an empty one', [''], ['/opt/cni/bin'], undefined],
    ['in its default without cni', [cri(2, '')], ['/opt/cni/bin'], undefined],
    ['where version 1 says', [cri(1, 'bin_dir = "/one"')], ['/one'], 'bin_dir in a'],
    ['where version 2 says', [cri(2, 'bin_dir = "/one/"')], ['/one'], 'bin_dir in a'],
    ['where version 3 says', [cri(3, 'bin_dir = "/one"')], ['/one'], 'bin_dir in a'],
    ['where 2.1 says', [cri(3, 'bin_dir = ""\nbin_dirs = ["/one", "/two"]')], ['/one', '/two'], 'bin_dirs in a'],
    [
      'where 2.1 says, if both are set',
      [cri(3, 'bin_dir = "/x"\nbin_dirs = ["/opt/cni/bin"]')],
      ['/x'],
      'bin_dir in a',
    ],
    [
      'where an empty value says nothing',
      [cri(2, 'bin_dir = ""'), cri(2, 'bin_dir = ""')],
      ['/opt/cni/bin'],
      undefined,
    ],
    [
      'where a full name says in a file without version',
      [cri(2, 'bin_dir = "/one"').slice(12)],
      ['/one'],
      'bin_dir in a',
    ],
    [
      'not where the old name says in version 3',
      [`version = 3\n${cri(1, 'bin_dir = "/one"')}`],
      ['/opt/cni/bin'],
      undefined,
    ],
    [
      'not where the oldest name says in version 2',
      [`version = 2\n${cri(1, 'bin_dir = "/one"')}`],
      ['/opt/cni/bin'],
      undefined,
    ],
    ['where the last file says', [cri(2, 'bin_dir = "/one"'), cri(2, 'bin_dir = "/two"')], ['/two'], 'bin_dir in b'],
    ['where a file before others says', [cri(2, 'bin_dir = "/one"'), 'version = 2'], ['/one'], 'bin_dir in a'],
    ['where the earlier says, in version 3', [cri(3, 'bin_dir = "/one"'), cri(3, '')], ['/one'], 'bin_dir in a'],
    ['by key, in version 3', [cri(3, 'bin_dir = "/one"'), cri(3, 'conf_dir = "/x"')], ['/one'], 'bin_dir in a'],
    [
      'where a list of a later file says, alone',
      [cri(3, 'bin_dirs = ["/one"]'), cri(3, 'bin_dirs = ["/two"]')],
      ['/two'],
      'bin_dirs in b',
    ],
    [
      'where an older version says later',
      [cri(3, 'bin_dirs = ["/one"]'), cri(2, 'bin_dir = "/two"')],
      ['/two'],
      'bin_dir in b',
    ],
    [
      'where an older version says earlier',
      [cri(2, 'bin_dir = "/one"'), cri(3, 'bin_dirs = ["/two"]')],
      ['/two'],
      'bin_dirs in b',
    ],
  ])('%s', (_, texts, plugins, said) => {
    expect(containerdOf(files(texts))).toMatchObject({ plugins, said })
  })

  test('where its versions agree, and says so where they do not', () => {
    const [named, without] = [cri(2, 'bin_dir = "/one"'), cri(2, '')]
    expect(containerdOf(files([named, without, named]))).toMatchObject({ plugins: ['/one'], said: 'bin_dir in c' })
    expect(() => containerdOf(files([named, without]))).toThrow(
      'a, b: containerd 1.7 looks for plugins in /opt/cni/bin, containerd 2.0 in /one, since a later file has a CRI section without cni; write bin_dir into the last file',
    )
  })

  test.each(['cri', 'io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.runtime'])(
    'nowhere where %s is disabled',
    (name) => {
      expect(containerdOf(files([cri(2, 'bin_dir = "/one"'), `disabled_plugins = ["${name}"]`]))).toBeUndefined()
      expect(containerdOf(files(['disabled_plugins = ["io.containerd.internal.v1.opt"]']))).toEqual({
        ...DEFAULT,
        socket: undefined,
      })
    },
  )

  test.each([
    [`version = 2\nplugins = 5`, 'a: plugins is not a table; correct it'],
    [
      `version = 2\n[plugins]\n"io.containerd.grpc.v1.cri" = []`,
      'a: plugins.io.containerd.grpc.v1.cri is not a table; correct it',
    ],
    [cri(2, 'bin_dir = 5'), 'a: bin_dir is not a string; correct it'],
    [cri(3, 'bin_dirs = "/one"'), 'a: bin_dirs is not a list of strings; correct it'],
    [cri(3, 'bin_dirs = ["/one", 5]'), 'a: bin_dirs is not a list of strings; correct it'],
    ['disabled_plugins = "cri"', 'a: disabled_plugins is not a list of strings; correct it'],
  ])('but not where a value is of another kind: %j', (text, message) => {
    expect(() => containerdOf(files([text]))).toThrow(message)
  })
})

test('containerd has its network configurations and its socket where the last file says', () => {
  const texts = [`${cri(3, 'conf_dir = "/a/"')}\n[grpc]\naddress = "/a.sock"`, cri(3, 'conf_dir = "/b"')]
  expect(containerdOf(files(texts))).toMatchObject({ configurations: '/b', socket: '/a.sock' })
  const [server] = files([`version = 4\n[plugins.'io.containerd.server.v1.grpc']\naddress = "/c.sock"`])
  expect(containerdOf(server ? [server] : [])).toMatchObject({ socket: '/c.sock' })
})

describe('CRI-O looks for plugins', () => {
  const network = (text: string) => `[crio.network]\n${text}`

  test.each<[what: string, texts: string[], plugins: string[], said: string | undefined]>([
    ['in its default', ['[crio]'], ['/opt/cni/bin'], undefined],
    [
      'in the list of the last file',
      [network('plugin_dirs = ["/a"]'), network('plugin_dirs = ["/b/", "/c"]')],
      ['/b', '/c'],
      'plugin_dirs in b',
    ],
    ['in its default, where a list is empty', [network('plugin_dirs = []')], ['/opt/cni/bin'], undefined],
    [
      'in the list of an earlier file',
      [network('plugin_dirs = ["/a"]'), network('network_dir = "/n"')],
      ['/a'],
      'plugin_dirs in a',
    ],
    [
      'by the old name, after the default',
      [network('plugin_dir = "/old"')],
      ['/opt/cni/bin', '/old'],
      'its default and plugin_dir in a',
    ],
    [
      'by the old name, after the list',
      [network('plugin_dir = "/old"'), network('plugin_dirs = ["/a"]')],
      ['/a', '/old'],
      'plugin_dirs in b and plugin_dir in a',
    ],
  ])('%s', (_, texts, plugins, said) => {
    expect(crioOf(files(texts))).toMatchObject({ plugins, said })
  })

  test('where its command line says, whatever its files do', () => {
    const flags = { plugins: ['/f', '/g'], configurations: '/n' }
    expect(crioOf(files([network('plugin_dirs = ["/a"]\nnetwork_dir = "/m"')]), flags)).toEqual({
      plugins: ['/f', '/g'],
      said: 'its option --cni-plugin-dir',
      configurations: '/n',
      socket: undefined,
    })
  })

  test('and has network configurations where the last file says', () => {
    const texts = [network('network_dir = "/a"'), `${network('network_dir = "/b/"')}\n[crio.api]\nlisten = "/s"`]
    expect(crioOf(files(texts))).toMatchObject({ configurations: '/b', socket: '/s' })
    expect(crioOf(files([]))).toEqual({ ...DEFAULT, socket: undefined })
  })
})

test('a file that is not TOML is refused with its line, and what a number cannot hold is not its fault', () => {
  expect(() => parseToml('/etc/x.toml', 'version = 2\n[plugins\n')).toThrow(
    /^\/etc\/x\.toml:2:\d+: not valid TOML: .+; correct it$/,
  )
  expect(() => parseToml('/etc/x.toml', '[a]\n[a]\n')).toThrow(/^\/etc\/x\.toml:2:\d+: not valid TOML: .+; correct it$/)
  expect(parseToml('x', 'limit = 9223372036854775807').content).toEqual({ limit: 9223372036854775807n })
})
