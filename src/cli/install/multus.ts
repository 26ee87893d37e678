import path from 'node:path'
import { PLUGIN_DIRECTORY } from './install-file.ts'
import type { NodeFiles } from './node-files.ts'

/** The two kinds of Multus: the first is a plugin as any other, the second only asks a daemon, which calls the plugins. */
const THIN = 'multus'
const THICK = 'multus-shim'

interface Multus {
  readonly type: typeof THIN | typeof THICK
  readonly directory: string
  /** What says so. */
  readonly said: string
}

/**
 * What to say if Multus, which calls the plugins of a NetworkAttachmentDefinition, would not call what is in `directory`. Thin
 * Multus looks into its binDir first, and then where the runtime does. The daemon of thick Multus has no CNI_PATH of the
 * runtime, so it looks into its binDir alone.
 * @param hasPlugin whether a directory has the plugin
 * @see https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/pkg/multus/multus.go confAdd
 */
export function multusWarning(
  files: NodeFiles,
  configurations: string,
  directory: string,
  hasPlugin: (directory: string) => boolean,
): string | undefined {
  const multus = multusIn(files, configurations)
  if (multus === undefined || files.areSame(multus.directory, directory)) return undefined
  const finds = `${multus.said}: Multus calls the plugins of NetworkAttachmentDefinitions from ${multus.directory}`
  if (multus.type === THICK)
    return `${finds}, the runtime calls its own from ${directory}; install with --to ${multus.directory} too, or set binDir to ${directory}`
  if (!hasPlugin(multus.directory)) return undefined
  return `${finds} before ${directory}, and the plugin is there too; uninstall it with --from ${multus.directory}, or install with --to ${multus.directory} too`
}

/** The first configuration of Multus, which is the one that runtimes take. */
function multusIn(files: NodeFiles, configurations: string): Multus | undefined {
  for (const name of files.names(configurations)) {
    const file = path.join(configurations, name)
    const found = /\.conf(?:list)?$/.test(name) ? jsonIn(files, file) : undefined
    for (const plugin of [found, ...(Array.isArray(found?.plugins) ? found.plugins : [])]) {
      if (plugin?.type === THIN || plugin?.type === THICK) return multusOf(files, plugin, file)
    }
  }
  return undefined
}

interface Conf {
  readonly type?: unknown
  readonly binDir?: unknown
  readonly plugins?: unknown
}

/** The configuration of the daemon overrides that of the shim. It is in a ConfigMap, but some have it on the node. */
function multusOf(files: NodeFiles, { type, binDir }: Conf, file: string): Multus {
  const daemons = path.join(path.dirname(file), 'multus.d/daemon-config.json')
  const overriding = type === THICK ? jsonIn(files, daemons)?.binDir : undefined
  const of = type === THICK ? THICK : THIN
  if (isPath(overriding)) return { type: of, directory: path.resolve(overriding), said: `binDir in ${daemons}` }
  if (isPath(binDir)) return { type: of, directory: path.resolve(binDir), said: `binDir in ${file}` }
  return { type: of, directory: PLUGIN_DIRECTORY, said: `no binDir in ${file}` }
}

const isPath = (value: unknown): value is string => typeof value === 'string' && value.startsWith('/')

/** Undefined if there is none, or it cannot be read: then runtimes cannot read it either. */
function jsonIn(files: NodeFiles, file: string): (Conf & { plugins?: Conf[] }) | undefined {
  try {
    const found: unknown = JSON.parse(files.text(file) ?? '')
    return typeof found === 'object' && found !== null ? found : undefined
  } catch {
    return undefined
  }
}
