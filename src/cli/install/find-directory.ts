import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { Trouble } from '../command.ts'
import { directoryOnNode, NAME, PLUGIN_DIRECTORY, type PluginPlace, pluginPlaceOf } from './install-file.ts'
import { multusWarning } from './multus.ts'
import { NodeFiles } from './node-files.ts'
import { type Runtime, runtimesOf } from './runtimes.ts'

/** What --to and --from are about. */
export const FOUND_DIRECTORY = `The runtime's plugin directory, as a path on the node. The default is the one that containerd or CRI-O is configured with there: of several runtimes, the one that runs, or that kubelet calls. If none has a configuration, it is ${PLUGIN_DIRECTORY}.`

/** The plugin directory that an option names, else the one that the node's container runtime is configured with. */
export class PluginDirectory {
  readonly #option: '--to' | '--from'
  readonly #given: string | undefined
  readonly #hostRoot: string | undefined
  readonly #say: (line: string) => void
  #found: Found | undefined

  /** @param say takes what was found, once, and what to beware of */
  constructor(
    option: '--to' | '--from',
    given: string | undefined,
    hostRoot: string | undefined,
    say: (line: string) => void,
  ) {
    this.#option = option
    this.#given = given
    this.#hostRoot = hostRoot
    this.#say = say
  }

  /** Where the plugin is or goes. A runtime reads its configuration when it starts, and so do we. @throws Trouble */
  async place(): Promise<PluginPlace> {
    const directory = this.#given ?? (await this.#find()).directory
    return pluginPlaceOf(this.#option, directory, this.#hostRoot)
  }

  /** As `place`, for writing. @throws Trouble also if what was found is mounted read-only in this container */
  async writablePlace(): Promise<PluginPlace> {
    const place = await this.place()
    if (this.#given === undefined && place.hostRoot !== undefined) refuseReadOnly(place)
    return place
  }

  /** Where the node's runtimes look for network configurations. @throws Trouble unless the option was given */
  async configurations(): Promise<readonly string[]> {
    try {
      return (await this.#find()).configurations
    } catch (error) {
      if (this.#given === undefined || !(error instanceof Trouble)) throw error
      this.#say(`${error.message}; so network configurations are looked for only in the usual directories`)
      this.#found = { directory: this.#given, configurations: [] }
      return []
    }
  }

  async #find(): Promise<Found> {
    if (this.#found) return this.#found
    const { root } = await directoryOnNode('--host-root', '/', this.#hostRoot, "mount the node's root directory there")
    try {
      const { lines, ...found } = findOn(new NodeFiles(root ?? '/'))
      if (this.#given === undefined) for (const line of lines) this.#say(line)
      this.#found = found
      return found
    } catch (error) {
      if (!(error instanceof Trouble)) throw error
      throw new Trouble(`${error.message}, or give ${this.#option} DIR; nothing was changed`)
    }
  }
}

interface Found {
  readonly directory: string
  readonly configurations: readonly string[]
}

/** @throws Trouble */
function findOn(files: NodeFiles): Found & { lines: string[] } {
  const runtimes = runtimesOf(files)
  const [runtime, ...others] = runtimes
  const configurations = [...new Set(runtimes.map((one) => one.configurations))]
  if (runtime === undefined) {
    const why = 'the usual plugin directory, since no configuration of containerd or CRI-O was found'
    return { directory: PLUGIN_DIRECTORY, configurations, lines: [`${PLUGIN_DIRECTORY}: ${why}`] }
  }
  const different = others.find((one) => one.plugins.join() !== runtime.plugins.join())
  if (different) throw new Trouble(`${theirsOf(runtime)}, but ${theirsOf(different)}; stop the one that runs no pods`)
  const { directory, why } = choose(files, runtime)
  const hasPlugin = (one: string) => files.exists(path.join(one, NAME))
  const warning = multusWarning(files, runtime.configurations, directory, hasPlugin)
  const line = `${directory}: plugin directory of ${runtime.name}, ${saidBy(runtime)}${why}`
  return { directory, configurations, lines: [line, ...(warning === undefined ? [] : [warning])] }
}

const theirsOf = (runtime: Runtime) =>
  `${runtime.name} looks for plugins in ${runtime.plugins.join(' and ')} (${saidBy(runtime)})`

const saidBy = ({ said }: Runtime) => (said === undefined ? 'its default' : `from ${said}`)

/** libcni calls the first plugin that it finds, so an older one further on would never be called, and one before always. */
function choose(files: NodeFiles, { plugins }: Runtime): { directory: string; why: string } {
  const [first = PLUGIN_DIRECTORY] = plugins
  if (plugins.length <= 1) return { directory: first, why: '' }
  const all = `of ${plugins.join(', ')}`
  const having = plugins.find((one) => files.exists(path.join(one, NAME)))
  if (having !== undefined) return { directory: having, why: `; the first ${all} that has the plugin` }
  const writable = plugins.find((one) => isWritable(files, one))
  if (writable !== undefined) return { directory: writable, why: `; the first ${all} that can be written to` }
  return { directory: first, why: `; the first ${all}` }
}

function isWritable(files: NodeFiles, directory: string): boolean {
  try {
    accessSync(files.here(directory), constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** @see access(2) EROFS */
function refuseReadOnly({ directory, hostRoot = '/' }: PluginPlace): void {
  try {
    accessSync(directory, constants.W_OK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EROFS') return
    const onNode = path.join('/', path.relative(hostRoot, directory))
    throw new Trouble(
      `${directory}: mounted read-only in this container, but the node's runtime looks for plugins in ${onNode}; mount it ` +
        'read-write there, for which docs/platforms.md has components, or give --to DIR; nothing was changed',
    )
  }
}
