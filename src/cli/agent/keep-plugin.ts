import { Trouble } from '../command.ts'
import { askStatus, askVersion, runsScripts } from '../install/install-ask.ts'
import { fileTrouble, NAME, type PluginPlace, statOf } from '../install/install-file.ts'
import { type HowToInstall, installInto, type Known, ownVersion, type Says } from '../install/install-into.ts'
import { type Installed, identifyInstalled, lookAtInstalled, partsOf } from '../install/installed.ts'
import { removeSuperseded, removeTemporaries } from '../install/left-overs.ts'

/** What is known of the installed plugin. */
export interface PluginState {
  /** It is there, and answered as it answers a runtime. */
  readonly inPlace: boolean
  /** Of the one that is there, which need not be our own. */
  readonly version?: string
  /** How often it was put back. */
  readonly installs: number
  /** Why it is not in place. */
  readonly why?: string
}

/** How to install, and how long an answer counts, in milliseconds. */
export interface HowToKeep extends HowToInstall {
  readonly askEvery: number
}

/** Installs the plugin, and again whenever it is gone or does not work. Another version that works is left alone. */
export class PluginKeeper {
  readonly #where: () => Promise<PluginPlace>
  readonly #options: HowToKeep
  readonly #says: Says
  #known: Known | undefined
  /** The fingerprint of the files that were last found to work. */
  #working = ''
  #askAt = 0
  state: PluginState = { inPlace: false, installs: 0, why: 'not looked at yet' }

  constructor(where: () => Promise<PluginPlace>, options: HowToKeep, says: Says) {
    this.#where = where
    this.#options = options
    this.#says = says
  }

  /** @throws Trouble if the plugin is not in place afterwards */
  async look(): Promise<void> {
    try {
      const place = await this.#where()
      try {
        await this.#keep(place)
        await this.#ask(place)
      } catch (error) {
        throw fileTrouble(place.file, error)
      }
    } catch (error) {
      this.#askAt = 0
      // They may have changed between an install and the look at what it left: then they do not work, and the next look sees why.
      this.#working = ''
      if (error instanceof Trouble) this.state = { ...this.state, inPlace: false, why: error.message }
      throw error
    }
  }

  async #keep(place: PluginPlace): Promise<void> {
    if (this.#known === undefined) return this.#install(place, this.#options.force)
    await removeTemporaries(place)
    await removeSuperseded(place)
    const found = await lookAtInstalled(place)
    const before = await fingerprint(found)
    if (found.stat !== undefined && before === this.#working) return
    const identity = found.stat?.isFile() ? await identifyInstalled(place, found, this.#options.signal) : undefined
    if (identity?.is !== 'ours') {
      // Somebody put another file there meanwhile. The next look sees it.
      if ((await fingerprint(await lookAtInstalled(place))) !== before) return
      // Nobody is there to give --force, and a node whose plugin is something else starts no pods.
      await this.#install(place, true)
      this.state = { ...this.state, installs: this.state.installs + 1 }
      return
    }
    if (found.gate) this.#known = found.gate
    const name = `${NAME} ${identity.version}`
    if (name !== ownVersion() && identity.version !== this.state.version)
      this.#says.out(`${place.file}: now ${name}, left alone\n`)
    this.#worksAs(before, identity.version)
  }

  async #install(place: PluginPlace, force: boolean): Promise<void> {
    const known = this.#known
    this.#known = await installInto(place, { ...this.#options, ...(known && { known }), force }, this.#says)
    this.#worksAs(await fingerprint(await lookAtInstalled(place)), ownVersion().slice(NAME.length + 1))
  }

  #worksAs(files: string, version: string): void {
    this.#working = files
    this.#askAt = 0
    this.state = { ...this.state, version }
  }

  /** Asks the plugin as a runtime does, if its files have changed or the last answer has become old. */
  async #ask(place: PluginPlace): Promise<void> {
    if (performance.now() < this.#askAt) return
    const { signal, status, askEvery } = this.#options
    const { file, hostRoot } = place
    const { gate, executable } = await lookAtInstalled(place)
    // A container that sees only the plugin directory has no shell, and so cannot run a gate that needs one.
    const runs = gate?.selfContained || (await runsScripts(place, signal))
    const asked = { file: runs ? file : executable, hostRoot }
    await askVersion(asked, signal)
    if (status) await askStatus(asked, signal)
    this.#askAt = performance.now() + askEvery
    const { why: _, ...rest } = this.state
    this.state = { ...rest, inPlace: true }
  }
}

async function fingerprint(installed: Installed): Promise<string> {
  return [installed.stat, ...(await Promise.all((await partsOf(installed)).map(statOf)))]
    .map((one) => (one === undefined ? '' : [one.dev, one.ino, one.size, one.mode, one.ctimeMs].join(' ')))
    .join(', ')
}
