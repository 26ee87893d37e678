import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { changes, configure, removeNamespace, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { PLUGIN } from '../support/runtime.ts'
import { add } from '../support/verbs.ts'
import { cacheEntry, LIST, OURS } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

async function addedPod(): Promise<{ pod: CalicoPod; result: unknown }> {
  const pod = await calicoPod()
  return { pod, result: await add(pod, { ...OURS, prevResult: calicoResult(pod, { release: '3.30' }) }) }
}

describe('x-calico-route verify of a node', () => {
  test('finds every pod as it should be', async () => {
    const { pod, result } = await addedPod()
    using cache = scratch({ one: cacheEntry('abc0123456789', pod.path, result) })
    const { before, after } = await changes(pod.netns, async () => {
      const { stdout, stderr, exitCode } = await tool(['verify', '--cache', cache.directory])
      expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
      expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
        ['CONTAINER', 'POD', 'NETWORK', 'IFNAME', 'STATE', 'DIFFERENCE'],
        ['abc012345678', 'tenant/abc', 'k8s-pod-network', 'eth0', 'ok'],
        [''],
      ])
    })
    expect(after).toBe(before)
    expect(await tool(['verify', '--quiet', '--cache', cache.directory])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: '',
    })
  })

  test('tells the pod that differs, and every difference', async () => {
    const [good, bad] = [await addedPod(), await addedPod()]
    await configure(bad.pod.netns, 'route del 10.50.0.0/16\nroute add default via 169.254.1.1 dev eth0')
    using cache = scratch({
      one: cacheEntry('aaa', good.pod.path, good.result),
      two: cacheEntry('bbb', bad.pod.path, bad.result),
    })
    const quiet = await tool(['verify', '--quiet', '--cache', cache.directory])
    expect(quiet).toMatchObject({ exitCode: 1, stderr: '' })
    expect(quiet.stdout).toMatch(
      /^CONTAINER .*\nbbb .* differs +routes\[0\]: missing: 10\.50\.0\.0\/16 via 169\.254\.1\.1 .*\(and 1 more, see -o json\)\n$/,
    )
    const { stdout, exitCode } = await tool(['verify', '-o', 'json', '--cache', cache.directory])
    expect(exitCode).toBe(1)
    expect(JSON.parse(stdout)).toEqual({
      attachments: [
        { container: 'aaa', pod: 'tenant/aaa', network: LIST.name, ifname: 'eth0', netns: good.pod.path, state: 'ok' },
        {
          container: 'bbb',
          pod: 'tenant/bbb',
          network: LIST.name,
          ifname: 'eth0',
          netns: bad.pod.path,
          state: 'differs',
          differences: [
            'routes[0]: missing: 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
            'defaultRoute: not removed: 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3',
          ],
        },
      ],
      unreadable: [],
    })
  })

  test('takes a pod that is gone for no failure', async () => {
    const { pod, result } = await addedPod()
    removeNamespace(pod.netns)
    using cache = scratch({ one: cacheEntry('abc', pod.path, result) })
    const { stdout, exitCode } = await tool(['verify', '--cache', cache.directory])
    expect({ stdout, exitCode }).toEqual({ stdout: expect.stringMatching(/\nabc .* gone\n$/), exitCode: 0 })
  })

  test.each([
    ['an entry that is cut off', cacheEntry('abc', '/run/netns/x', {}).slice(0, 100), 'not JSON: '],
    ['an empty entry', '', 'not JSON: '],
    ['an entry of another kind', '{"kind": "cniCacheV9"}', 'not a cache entry of kind cniCacheV1'],
    ['an entry without container', cacheEntry('', '/run/netns/x', {}), 'containerId: missing'],
    [
      'an entry whose configuration is none',
      cacheEntry('abc', '/run/netns/x', {}, { config: 'e30x' }),
      'config: not a network configuration',
    ],
  ])('tells of %s in one line', async (_, text, expected) => {
    using cache = scratch({ broken: text })
    const { stdout, stderr, exitCode } = await tool(['verify', '--cache', cache.directory])
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 1 })
    expect(stdout).toMatch(/^[^\n]+\n$/)
    expect(stdout).toContain(`${cache.file('broken')}: cannot be read: ${expected}`)
    expect(stdout).toMatch(/; if its pod is gone, remove it\n$/)
  })

  test('tells of a directory in the place of an entry in one line', async () => {
    using cache = scratch()
    mkdirSync(cache.file('broken'))
    expect(await tool(['verify', '--cache', cache.directory])).toEqual({
      exitCode: 1,
      stdout: `${cache.file('broken')}: cannot be read: is a directory; if its pod is gone, remove it\n`,
      stderr: '',
    })
  })

  test('finds the namespace in another entry of the container, or in a Result, where libcni wrote none', async () => {
    const { pod, result } = await addedPod()
    const entry = (netns?: string, more = result) => cacheEntry('abc', '', more, { netns })
    const state = async (files: Record<string, string>) => {
      using cache = scratch(files)
      const { stdout, exitCode } = await tool(['verify', '-o', 'json', '--cache', cache.directory])
      return [exitCode, ...JSON.parse(stdout).attachments.map((one: { state: string }) => one.state)]
    }
    const multus = { config: Buffer.from('{"type": "multus"}').toString('base64'), networkName: 'multus-cni-network' }
    expect(await state({ one: entry() })).toEqual([0, 'unknown'])
    expect(await state({ one: entry(), two: cacheEntry('abc', pod.path, {}, multus) })).toEqual([0, 'ok'])
    expect(await state({ one: entry(pod.path), two: cacheEntry('abc', '/run/netns/gone', {}, multus) })).toEqual([
      0,
      'ok',
    ])
    const told = { ...(result as object), interfaces: [{ name: 'eth0', sandbox: pod.path }] }
    expect(await state({ one: entry(undefined, told) })).toEqual([0, 'ok'])
  })

  test('looks for all below --root, where a container has the node', async () => {
    const { pod, result } = await addedPod()
    using host = scratch()
    const cache = path.join(host.directory, 'var/lib/cni/results')
    mkdirSync(cache, { recursive: true })
    writeFileSync(path.join(cache, 'one'), cacheEntry('abc', `/var/run/netns/${pod.netns}`, result))
    const words = ['verify', '--quiet', '--root', host.directory]
    const without = await tool(words)
    expect(without).toMatchObject({
      exitCode: 2,
      stdout: expect.stringContaining(`${host.directory}/run/netns: does not exist here`),
    })
    mkdirSync(path.join(host.directory, 'run/netns'), { recursive: true })
    expect((await tool(words)).exitCode).toBe(0) // gone
    // A slave, or what is unmounted here would be unmounted in /run/netns, under the tests that run at the same time.
    await execa('mount', ['--rbind', '--make-rslave', '/run/netns', path.join(host.directory, 'run/netns')])
    try {
      expect(await tool(words)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
      await configure(pod.netns, 'route del 10.50.0.0/16')
      expect((await tool(words)).exitCode).toBe(1)
    } finally {
      await execa('umount', ['--recursive', path.join(host.directory, 'run/netns')])
    }
  })

  test('says where it looked when nothing is attached, by a path as it was typed', async () => {
    using cache = scratch()
    const stdout = `no attachment with x-calico-route in ${cache.directory}\n`
    expect(await tool(['verify', '--cache', cache.directory])).toEqual({ exitCode: 0, stdout, stderr: '' })
    const { stdout: relative } = await tool(['verify', '--cache', '.'], {
      shell: `cd ${cache.directory}; exec "$@"`,
    })
    expect(relative).toBe('no attachment with x-calico-route in .\n')
  })

  test.each([
    ['--cache', '/nope', '/nope: no such file or directory'],
    ['--cache', '/etc/passwd', '/etc/passwd: not a directory; give one with --root or --cache'],
    ['--root', '/nope', '/nope: no such file or directory'],
  ])('does not take %s %s for a node where all is well', async (option, directory, said) => {
    expect(await tool(['verify', option, directory])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route verify: ${said}\n`,
    })
  })

  test('takes the namespace of a process that ended for gone, also below --root', async () => {
    using host = scratch()
    const cache = path.join(host.directory, 'var/lib/cni/results')
    for (const directory of [cache, path.join(host.directory, 'proc')]) mkdirSync(directory, { recursive: true })
    writeFileSync(path.join(cache, 'one'), cacheEntry('abc', '/proc/4194305/ns/net', {}))
    const { stdout, exitCode } = await tool(['verify', '--root', host.directory])
    expect({ stdout, exitCode }).toEqual({ stdout: expect.stringMatching(/\nabc .* gone\n$/), exitCode: 0 })
  })

  test('looks at more pods than it does at once', async () => {
    const { pod, result } = await addedPod()
    using cache = scratch(
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`e${i}`, cacheEntry(`c${i}`, pod.path, result)])),
    )
    const { stdout, exitCode } = await tool(['verify', '--cache', cache.directory])
    expect(exitCode).toBe(0)
    expect(stdout.match(/ ok$/gm)).toHaveLength(20)
  })
})

describe('x-calico-route verify of one pod', () => {
  test('says ok, or each difference', async () => {
    const { pod } = await addedPod()
    using files = scratch({ 'net.conflist': JSON.stringify(LIST) })
    const words = ['verify', '--netns', pod.path, '--ifname', 'eth0', files.file('net.conflist')]
    expect(await tool(words)).toEqual({ exitCode: 0, stdout: 'eth0: ok\n', stderr: '' })
    await configure(pod.netns, 'route del 10.50.0.0/16')
    expect(await tool(words)).toEqual({
      exitCode: 1,
      stdout: 'eth0: routes[0]: missing: 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142\n',
      stderr: '',
    })
    removeNamespace(pod.netns)
    expect(await tool(words)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringContaining(
        `x-calico-route verify: --netns: cannot open the network namespace ${pod.path}; it does not exist: the pod is gone`,
      ),
    })
  })

  test('does not take its own namespace for a pod’s, unless CNI_NETNS_OVERRIDE says so, as with ADD', async () => {
    const { pod } = await addedPod()
    using files = scratch({ 'net.conflist': JSON.stringify(LIST) })
    const words = ['verify', '--netns', pod.path, '--ifname', 'eth0', files.file('net.conflist')]
    const inside = (...env: string[]) =>
      tool([`--net=${pod.path}`, 'env', ...env, PLUGIN, ...words], { executable: 'nsenter' })
    expect(await inside()).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route verify: --netns: ${pod.path} is the network namespace of this process itself, not a pod's; set CNI_NETNS_OVERRIDE=1 to allow it\n`,
    })
    expect(await inside('CNI_NETNS_OVERRIDE=1')).toEqual({ exitCode: 0, stdout: 'eth0: ok\n', stderr: '' })
  })

  test.each([
    [['--netns', '/run/netns/x'], /FILE is missing: --netns, --ifname and --name need/],
    [['a.json'], /FILE: needs --netns and --ifname/],
    [['a.json', 'b.json'], /at most one FILE can be given/],
  ])('refuses %s', async (words, expected) => {
    const { stderr, exitCode } = await tool(['verify', ...words])
    expect({ stderr, exitCode }).toEqual({ stderr: expect.stringMatching(expected), exitCode: 2 })
  })
})
