/** Nodes that lack what the plugin needs, as root directories, and the image's parts for them. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { copyFile, utimes } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { NAME, temporaryDirectory } from './plugin-directory.ts'
import { tool } from './tool.ts'

export const PLUGINS = '/opt/cni/bin'
const MAKE_PARTS = fileURLToPath(new URL('../../scripts/image/node-tools.sh', import.meta.url))

/** What the image has for nodes that lack something, made of this machine's files. */
export async function makeParts(directory: string): Promise<void> {
  await execa(MAKE_PARTS, [directory])
}

const BUSYBOX = ['sh', 'ip', 'nsenter', 'flock', 'mkdir', 'readlink']

/** What is in the root directory of a node, apart from its plugin directory. */
const LAYOUTS = {
  'nothing at all': () => {},
  'a C library other than glibc, and busybox, as Alpine has them': (root: string) => {
    const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as 'x64' | 'arm64']
    mkdirSync(path.join(root, 'lib'))
    writeFileSync(path.join(root, `lib/ld-musl-${machine}.so.1`), '')
    for (const directory of ['bin', 'sbin', 'usr/bin', 'usr/sbin'])
      mkdirSync(path.join(root, directory), { recursive: true })
    for (const tool of BUSYBOX) symlinkSync('/bin/busybox', path.join(root, tool === 'ip' ? 'sbin' : 'bin', tool))
    symlinkSync('/bin/busybox', path.join(root, 'usr/bin/flock'))
    return copyFile('/bin/busybox', path.join(root, 'bin/busybox'))
  },
  'busybox in /bin and nothing else': async (root: string) => {
    mkdirSync(path.join(root, 'bin'))
    for (const tool of BUSYBOX) await copyFile('/bin/busybox', path.join(root, 'bin', tool))
  },
} as const

export const LACKING = Object.keys(LAYOUTS) as (keyof typeof LAYOUTS)[]

/** A node that lacks something, and how to do something on it. */
export async function nodeWith(layout: keyof typeof LAYOUTS, parts: string) {
  const root = temporaryDirectory()
  for (const directory of [PLUGINS, 'proc', 'run']) mkdirSync(path.join(root, directory), { recursive: true })
  await LAYOUTS[layout](root)
  const bin = path.join(root, PLUGINS)
  // As the DaemonSet's container has it: the image's parts, and the node below --host-root. With a /run of its own, since uninstall
  // removes from there what the repairs of other tests need.
  const shell = `${bringing(parts)}
    mount --rbind /proc ${root}/proc; mount -t tmpfs none ${root}/run; exec "$@"`
  return {
    root,
    bin,
    file: path.join(bin, NAME),
    call: (words: readonly string[], executable?: string) =>
      tool([...words, words[0] === 'uninstall' ? '--from' : '--to', PLUGINS, '--host-root', root], {
        shell,
        ...(executable && { executable }),
      }),
    /** A command before another one, which starts the plugin on the node. */
    inside: [
      'unshare',
      '--mount',
      'sh',
      '-ec',
      `mount --rbind /proc "$0/proc"; mount --rbind /run "$0/run"; exec chroot "$0" ${PLUGINS}/${NAME}`,
      root,
    ] as const,
  }
}

/** Commands that put the parts where the image has them, in a mount namespace of their own. */
export const bringing = (parts: string) =>
  `mount -t tmpfs -o mode=755 none /usr/libexec; mkdir /usr/libexec/${NAME}; mount --bind ${parts} /usr/libexec/${NAME}`

const DIRECTORY = /^\.x-calico-route-[0-9a-f]{16}\.d$/

/** The directories of plugins that bring what they need. */
export const broughtIn = (bin: string): string[] => readdirSync(bin).filter((name) => DIRECTORY.test(name))

/** As if it had been made 10 minutes ago. */
export const makeOld = (file: string) => utimes(file, 0, Date.now() / 1000 - 601)
