import path from 'node:path'
import { Trouble } from '../command.ts'
import { PLUGIN_DIRECTORY } from './install-file.ts'
import { type ConfigFile, stringIn, stringsIn, tableIn } from './toml.ts'

/** What a container runtime is configured with. */
export interface RuntimeConfig {
  /** Where it looks for plugins: libcni takes the first directory that has the plugin. */
  readonly plugins: readonly string[]
  /** What says so, such as `bin_dir in /etc/containerd/config.toml`; undefined if nothing does, and it is the default. */
  readonly said: string | undefined
  /** Where it looks for network configurations. */
  readonly configurations: string
  /** Where it listens, if its configuration says so. */
  readonly socket: string | undefined
}

interface Settings {
  plugins?: { readonly value: readonly string[]; readonly said: string }
  configurations?: string
  socket?: string
}

/** Both containerd's and CRI-O's. */
const DEFAULT_PLUGINS = [PLUGIN_DIRECTORY]
const DEFAULT_CONFIGURATIONS = '/etc/cni/net.d'

function configOf({ plugins, configurations, socket }: Settings): RuntimeConfig {
  return {
    plugins: (plugins?.value ?? DEFAULT_PLUGINS).map((directory) => clean(directory)),
    said: plugins?.said,
    configurations: clean(configurations ?? DEFAULT_CONFIGURATIONS),
    socket,
  }
}

/** Without a slash at its end, which both CRI-O's default and OpenShift's files have. */
const clean = (directory: string) => path.resolve('/', directory)

/** The names that containerd's CRI plugin has had, and how they are disabled. */
const V1 = 'cri'
const V2 = 'io.containerd.grpc.v1.cri'
const V3 = 'io.containerd.cri.v1.runtime'

/**
 * What containerd makes of its configuration and what that imports, in the order in which it loads them.
 * @returns undefined if its CRI plugin is disabled: then kubelet uses another runtime, as where Docker came first
 * @throws Trouble for values of another kind, and where it depends on containerd's version
 * @see https://github.com/containerd/containerd/blob/main/cmd/containerd/server/config/config.go mergeConfig
 */
export function containerdOf(files: readonly ConfigFile[]): RuntimeConfig | undefined {
  const disabled = files.flatMap(({ file, content }) => stringsIn(file, content, 'disabled_plugins') ?? [])
  if ([V1, V2, V3].some((name) => disabled.includes(name))) return undefined
  const sections = files.map(sectionsOf)
  const merged = configOf(Object.assign({}, ...sections.flat(), { socket: socketOf(files) }))
  if (files.some((one) => versionOf(one) >= 3)) return merged
  // Up to 1.7, the CRI section of a later file replaces the whole of an earlier one. From 2.0 on, they are merged by key.
  const last = sections.findLast((found) => found.length > 0) ?? []
  const replaced = configOf(Object.assign({}, ...last))
  if (merged.plugins.join() === replaced.plugins.join()) return merged
  throw new Trouble(
    `${files.map(({ file }) => file).join(', ')}: containerd 1.7 looks for plugins in ${replaced.plugins.join(' and ')}, ` +
      `containerd 2.0 in ${merged.plugins.join(' and ')}, since a later file has a CRI section without cni; ` +
      'write bin_dir into the last file',
  )
}

const versionOf = ({ content }: ConfigFile) => (typeof content.version === 'number' ? content.version : 1)

/** What each CRI section of a file sets, the stronger ones later. Empty if the file has no such section. */
function sectionsOf(found: ConfigFile): Settings[] {
  const version = versionOf(found)
  // containerd 2 migrates each file by its own version. Without one it is 1, whose names may be written in full.
  const names = version >= 3 ? [V3] : version === 2 ? [V2, V3] : [V1, V2, V3]
  return names.flatMap((name) => {
    if (tableIn(found, ['plugins', name]) === undefined) return []
    return [cniOf(found, ['plugins', name, 'cni'])]
  })
}

function cniOf(found: ConfigFile, keys: readonly string[]): Settings {
  const { file } = found
  const cni = tableIn(found, keys)
  const one = stringIn(file, cni, 'bin_dir')
  const several = stringsIn(file, cni, 'bin_dirs') ?? []
  const configurations = stringIn(file, cni, 'conf_dir')
  return {
    ...(several.length > 0 && { plugins: { value: several, said: `bin_dirs in ${file}` } }),
    // With both, containerd takes this one if the other is its default, and else refuses to start.
    ...(one !== undefined && { plugins: { value: [one], said: `bin_dir in ${file}` } }),
    ...(configurations !== undefined && { configurations }),
  }
}

function socketOf(files: readonly ConfigFile[]): string | undefined {
  return files
    .flatMap((found) =>
      [['grpc'], ['plugins', 'io.containerd.server.v1.grpc']].flatMap(
        (keys) => stringIn(found.file, tableIn(found, keys), 'address') ?? [],
      ),
    )
    .at(-1)
}

/** What CRI-O's command line overrides. */
export interface CrioFlags {
  readonly plugins?: readonly string[]
  readonly configurations?: string
}

/**
 * What CRI-O makes of its files, in the order in which it reads them: each value takes the place of an earlier one.
 * @throws Trouble for values of another kind
 * @see https://github.com/cri-o/cri-o/blob/main/pkg/config/config.go UpdateFromDropInFile, NetworkConfig.Validate
 */
export function crioOf(files: readonly ConfigFile[], flags: CrioFlags = {}): RuntimeConfig {
  const settings: Settings = Object.assign({}, ...files.map(crioSettingsOf), {
    ...(flags.plugins && { plugins: { value: flags.plugins, said: 'its option --cni-plugin-dir' } }),
    ...(flags.configurations && { configurations: flags.configurations }),
  })
  const old = files.flatMap((found) => {
    const directory = stringIn(found.file, tableIn(found, ['crio', 'network']), 'plugin_dir')
    return directory === undefined ? [] : [{ directory, said: `plugin_dir in ${found.file}` }]
  })
  const last = old.at(-1)
  if (last === undefined) return configOf(settings)
  // The old name adds a directory, at the end.
  const { value, said } = settings.plugins ?? { value: DEFAULT_PLUGINS, said: 'its default' }
  return configOf({
    ...settings,
    plugins: { value: [...value, last.directory], said: `${said} and ${last.said}` },
  })
}

function crioSettingsOf(found: ConfigFile): Settings {
  const { file } = found
  const network = tableIn(found, ['crio', 'network'])
  const plugins = stringsIn(file, network, 'plugin_dirs')
  const configurations = stringIn(file, network, 'network_dir')
  const socket = stringIn(file, tableIn(found, ['crio', 'api']), 'listen')
  return {
    ...(plugins && plugins.length > 0 && { plugins: { value: plugins, said: `plugin_dirs in ${file}` } }),
    ...(configurations !== undefined && { configurations }),
    ...(socket !== undefined && { socket }),
  }
}
