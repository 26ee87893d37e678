import { existsSync } from 'node:fs'
import path from 'node:path'

/** The words that start a program. */
export type Command = readonly string[]

/** The architectures that there is a pinned Node.js for, by Node's names. */
export type Arch = 'x64' | 'arm64'

/** What the executable is built for: this machine, or one of the other architecture, whose programs run here under qemu. */
export interface Platform {
  readonly arch: Arch
  /** Whether it is another than this machine's. */
  readonly foreign: boolean
  /** The words before a program of it, so that it runs here. */
  readonly via: Command
  readonly strip: string
  /** The largest pages that a kernel for it may have, in bytes. */
  readonly page: number
}

/** The names that GNU, qemu and Debian have for them. */
const NAMES: Readonly<Record<Arch, { gnu: string; qemu: string; binutils: string; debian: string }>> = {
  x64: { gnu: 'x86_64-linux-gnu', qemu: 'qemu-x86_64', binutils: 'binutils-x86-64-linux-gnu', debian: 'amd64' },
  arm64: { gnu: 'aarch64-linux-gnu', qemu: 'qemu-aarch64', binutils: 'binutils-aarch64-linux-gnu', debian: 'arm64' },
}
const PAGES: Readonly<Record<Arch, number>> = { x64: 0x1000, arm64: 0x10000 }
/** What Node.js is linked with, beside the C library's own. */
const LIBRARIES = ['libc.so.6', 'libgcc_s.so.1', 'libstdc++.so.6']

/** @throws Error that says what this machine lacks */
export function platformOf(arch: string, machine: string = process.arch): Platform {
  if (!(arch === 'x64' || arch === 'arm64')) throw new Error(`ARCH is ${JSON.stringify(arch)}; write x64 or arm64`)
  if (arch === machine) return { arch, foreign: false, via: [], strip: 'strip', page: PAGES[arch] }
  const { gnu, qemu, binutils, debian } = NAMES[arch]
  const [root, strip] = [`/usr/${gnu}`, `${gnu}-strip`]
  const missing = [
    ...[qemu, strip].filter((program) => whereIs(program) === undefined),
    ...LIBRARIES.map((file) => path.join(root, 'lib', file)).filter((file) => !existsSync(file)),
  ]
  if (missing.length > 0) {
    const libraries = ['libc6', 'libgcc-s1', 'libstdc++6'].map((name) => `${name}-${debian}-cross`)
    throw new Error(
      `ARCH: ${arch} needs ${missing.join(', ')} on this machine; run: apt-get install qemu-user ${binutils} ${libraries.join(' ')}`,
    )
  }
  return { arch, foreign: true, via: [whereIs(qemu) ?? qemu, '-L', root], strip, page: PAGES[arch] }
}

/**
 * The words that start Node's own binary for it. When the snapshot is built, Node.js starts what its first argument names
 * (src/main.ts): qemu passes that on to the kernel, so it has to be a Node.js of this machine.
 */
export function nodeOf({ foreign, via }: Platform, binary: string): Command {
  return foreign ? [...via, '-0', process.execPath, binary] : [binary]
}

/** Looked up once, since what is built runs without our PATH. */
function whereIs(program: string): string | undefined {
  const directories = (process.env.PATH ?? '').split(path.delimiter)
  return directories.map((directory) => path.join(directory, program)).find((file) => existsSync(file))
}
