/**
 * A ConfigMap as kubelet mounts it: each version is a directory of its own, and one link leads to the newest.
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go
 */
import { mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export class ConfigMap {
  readonly directory: string
  #version = 0

  constructor(directory: string, data: Readonly<Record<string, string>>) {
    this.directory = directory
    mkdirSync(directory)
    this.write(data)
  }

  /** All files change in one step. */
  write(data: Readonly<Record<string, string>>): void {
    this.#version += 1
    const version = `..2026_11_21_00_00_00.${this.#version}`
    mkdirSync(this.#file(version))
    for (const [name, text] of Object.entries(data)) writeFileSync(path.join(this.#file(version), name), text)
    const before = this.#version > 1 ? readlinkSync(this.#file('..data')) : undefined
    symlinkSync(version, this.#file('..data_tmp'))
    renameSync(this.#file('..data_tmp'), this.#file('..data'))
    const names = readdirSync(this.directory).filter((name) => !name.startsWith('..'))
    for (const name of Object.keys(data)) if (!names.includes(name)) symlinkSync(`..data/${name}`, this.#file(name))
    for (const name of names) if (!(name in data)) rmSync(this.#file(name))
    if (before !== undefined) rmSync(this.#file(before), { recursive: true })
  }

  #file(name: string): string {
    return path.join(this.directory, name)
  }
}
