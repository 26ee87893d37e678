/**
 * A container image that needs no registry: Debian's static busybox in a docker-archive, which `ctr images import` and
 * `podman load` both read. @see https://github.com/moby/moby/blob/master/image/spec/v1.2.md
 */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import type { TestNode } from './node.ts'

export const IMAGE = 'docker.io/local/busybox:1'

const ARCHITECTURE: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }

/** Puts the image on a node, under one name or several. @returns the archive's path there */
export async function writeImage(
  node: TestNode,
  { names = [IMAGE], command = ['/bin/sleep', '1000'] }: { names?: string[]; command?: string[] } = {},
): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), 'xcr-image-'))
  try {
    mkdirSync(join(work, 'root'))
    for (const directory of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp']) mkdirSync(join(work, 'root', directory))
    await execa('cp', ['/bin/busybox', join(work, 'root/bin/busybox')])
    for (const applet of ['sh', 'ip', 'ping', 'sleep', 'timeout', 'wget'])
      await execa('ln', ['-s', 'busybox', join(work, 'root/bin', applet)])
    const tar = (name: string, directory: string, ...files: string[]) =>
      execa('tar', ['-cf', join(work, name), '-C', join(work, directory), '--owner=0', '--group=0', ...files])
    await tar('layer.tar', 'root', '.')
    const layer = createHash('sha256')
      .update(readFileSync(join(work, 'layer.tar')))
      .digest('hex')
    const config = {
      architecture: ARCHITECTURE[process.arch],
      os: 'linux',
      config: { Env: ['PATH=/bin'], Cmd: command },
      rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
    }
    writeFileSync(join(work, 'config.json'), JSON.stringify(config))
    const manifest = [{ Config: 'config.json', RepoTags: names, Layers: ['layer.tar'] }]
    writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest))
    await tar('image.tar', '.', 'manifest.json', 'config.json', 'layer.tar')
    writeFileSync(node.path('/run/image.tar'), readFileSync(join(work, 'image.tar')))
    return '/run/image.tar'
  } finally {
    rmSync(work, { recursive: true })
  }
}
