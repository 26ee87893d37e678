import { describe, expect, test } from 'vitest'
import { crio, found, foundOn } from './find-directory.ts'
import type { Tree } from './nodes.ts'
import { NAME } from './plugin-directory.ts'

describe('Multus, which calls the plugins of NetworkAttachmentDefinitions,', () => {
  const FILE = '/etc/cni/net.d/00-multus.conf'
  const OF_CRIO = 'CRI-O, from plugin_dirs in /etc/crio/crio.conf'
  const multus = (type: string, more: object = {}) => JSON.stringify({ name: 'multus-cni-network', type, ...more })
  const calls = (said: string, from: string) =>
    `${said}: Multus calls the plugins of NetworkAttachmentDefinitions from ${from}`
  const thick = (said: string, from: string) =>
    `${calls(said, from)}, the runtime calls its own from /o; install with --to ${from} too, or set binDir to /o`

  test.each<[what: string, tree: Tree, line: string | undefined]>([
    ['is not there', { [FILE.replace('multus', 'calico')]: multus('calico') }, undefined],
    ['is thin, and looks where the runtime does as well', { [FILE]: multus('multus', { binDir: '/m' }) }, undefined],
    [
      'is thin, and finds another copy first',
      { [FILE]: multus('multus', { binDir: '/m' }), [`/m/${NAME}`]: '' },
      `${calls(`binDir in ${FILE}`, '/m')} before /o, and the plugin is there too; uninstall it with --from /m, or install with --to /m too`,
    ],
    [
      'is thin, in a list, and finds another copy in its default',
      {
        '/etc/cni/net.d/00-multus.conflist': JSON.stringify({ plugins: [{ type: 'multus' }] }),
        [`/opt/cni/bin/${NAME}`]: '',
      },
      `${calls('no binDir in /etc/cni/net.d/00-multus.conflist', '/opt/cni/bin')} before /o, and the plugin is there too; uninstall it with --from /opt/cni/bin, or install with --to /opt/cni/bin too`,
    ],
    ['is thick, and looks in the same directory', { [FILE]: multus('multus-shim', { binDir: '/o/' }) }, undefined],
    [
      'is thick, and looks in another',
      { [FILE]: multus('multus-shim', { binDir: '/m' }) },
      thick(`binDir in ${FILE}`, '/m'),
    ],
    [
      'is thick, and looks in its default',
      { [FILE]: multus('multus-shim') },
      thick(`no binDir in ${FILE}`, '/opt/cni/bin'),
    ],
    [
      'is thick, and its daemon looks in another',
      {
        [FILE]: multus('multus-shim', { binDir: '/o' }),
        '/etc/cni/net.d/multus.d/daemon-config.json': '{"binDir": "/d"}',
      },
      thick('binDir in /etc/cni/net.d/multus.d/daemon-config.json', '/d'),
    ],
    ['has no valid JSON', { [FILE]: '{' }, undefined],
  ])('%s', async (_, tree, line) => {
    const { root, answer } = await foundOn(['/o'], crio('/o'), tree)
    expect(answer).toEqual(found(root, '/o', OF_CRIO, ...(line === undefined ? [] : [line])))
  })
})
