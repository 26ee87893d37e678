import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { CALICO, calicoPod } from '../support/calico.ts'
import { configure, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { add } from '../support/verbs.ts'
import { cacheEntry } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

const TEXT = '# the underlay\n10.50.0.0/16\nfd00:10:50::/64\n'
const V4 = `via ${CALICO[4]} dev eth0 proto 142`
const V6 = `via ${CALICO[6]} dev eth0 proto 142 metric 1024`

/** A pod, and a directory with a network that names a set, which is beside it. */
async function prepared(text = TEXT) {
  const pod = await calicoPod()
  const files = scratch({ underlay: text })
  const ours = { type: 'x-calico-route', setsDir: files.directory, routes: [{ set: 'underlay' }] }
  const conf = { cniVersion: '1.0.0' as const, name: 'net', ...ours, prevResult: calicoResult(pod) }
  const list = { cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'calico' }, ours] }
  writeFileSync(files.file('conf.json'), JSON.stringify(conf))
  return { pod, files, conf, list, at: ['--netns', pod.path, '--ifname', 'eth0', files.file('conf.json')] }
}

describe('plan', () => {
  test('shows each prefix of a set with its line', async () => {
    const { files, at } = await prepared()
    using _ = files
    const { stdout, exitCode } = await tool(['plan', ...at])
    expect(exitCode).toBe(0)
    expect(
      stdout
        .split('\n')
        .filter((line) => line.startsWith('+'))
        .map((line) => line.replace(/ +#/, ' #')),
    ).toEqual([`+ 10.50.0.0/16 ${V4} # routes[0] (underlay:2)`, `+ fd00:10:50::/64 ${V6} # routes[0] (underlay:3)`])
  })

  test('tells of a set that is not there, as the runtime would', async () => {
    const { files, at } = await prepared()
    using _ = files
    rmSync(files.file('underlay'))
    const { stdout, exitCode } = await tool(['plan', ...at])
    expect({ stdout, exitCode }).toEqual({
      exitCode: 1,
      stdout: `plugin type="x-calico-route" failed (add): routes[0].set: ${files.file('underlay')}: does not exist yet; add "underlay" to the agent's ConfigMap, or write the file yourself\nThe pod would be left as it is (code 11).\n`,
    })
  })

  test('of DEL needs no set', async () => {
    const { pod, files, conf, at } = await prepared()
    using _ = files
    await add(pod, conf)
    rmSync(files.file('underlay'))
    const { stdout, exitCode } = await tool(['plan', '--verb', 'DEL', ...at])
    expect({ exitCode, gone: stdout.split('\n').filter((line) => line.startsWith('-')).length }).toEqual({
      exitCode: 0,
      gone: 2,
    })
  })
})

describe('verify', () => {
  test('tells how one pod differs from a set', async () => {
    const { pod, files, conf, at } = await prepared()
    using _ = files
    writeFileSync(files.file('conf.json'), JSON.stringify({ ...conf, prevResult: await add(pod, conf) }))
    expect(await tool(['verify', ...at])).toEqual({ exitCode: 0, stdout: 'eth0: ok\n', stderr: '' })
    await configure(pod.netns, 'route del 10.50.0.0/16')
    expect(await tool(['verify', ...at])).toEqual({
      exitCode: 1,
      stdout: `eth0: routes[0] (underlay:2): missing: 10.50.0.0/16 ${V4}\n`,
      stderr: '',
    })
  })

  test.each<[string, (file: string) => void, object]>([
    ['as it was', () => {}, { state: 'ok' }],
    [
      'another now',
      (file) => writeFileSync(file, `${TEXT}10.60.0.0/16\n`),
      { state: 'differs', differences: [`routes[0] (underlay:4): missing: 10.60.0.0/16 ${V4}`] },
    ],
    ['gone', rmSync, { state: 'error', message: expect.stringContaining('does not exist yet') }],
  ])('looks at all pods of a node, also below another root: the set is %s', async (_, change, expected) => {
    const { pod, files, conf, list } = await prepared()
    using _files = files
    const config = Buffer.from(JSON.stringify(list)).toString('base64')
    const entry = cacheEntry('abc', pod.path, await add(pod, conf), { config })
    // As in the DaemonSet, which has the node's directories at another place.
    const root = files.file('root')
    const below = (file: string) => path.join(root, file)
    for (const dir of ['/cache', '/run/netns', files.directory]) mkdirSync(below(dir), { recursive: true })
    writeFileSync(below('/cache/abc'), entry)
    writeFileSync(below(files.file('underlay')), TEXT)
    rmSync(files.file('underlay'))
    change(below(files.file('underlay')))
    const shell = `mount --rbind /run/netns ${below('/run/netns')}; exec "$@"`
    const { stdout } = await tool(['verify', '-o', 'json', '--root', root, '--cache', '/cache'], { shell })
    const [attachment] = JSON.parse(stdout).attachments
    expect(attachment).toMatchObject(expected)
  })
})
