import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { configure, netnsPath, removeNamespace, removeNamespaces, routes } from '../support/netns.ts'
import { PLUGIN } from '../support/runtime.ts'
import { check } from '../support/verbs.ts'
import { addedPod, nameOf, putSign, ROUTE4, SECOND_NIC, TURNS } from './repaired-pod.ts'
import { cacheEntry, LIST, OURS } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

describe('x-calico-route repair of one NIC', () => {
  const words = (pod: { path: string }, file: string) => ['repair', '--netns', pod.path, '--ifname', 'eth0', file]

  test('makes right what differs from the file, and says what that was', async () => {
    const one = await addedPod()
    using files = scratch({ 'net.conflist': JSON.stringify(LIST) })
    const all = words(one.pod, files.file('net.conflist'))
    expect(await tool(all)).toEqual({ exitCode: 0, stdout: 'eth0: ok\n', stderr: '' })
    await configure(one.pod.netns, 'route del 10.50.0.0/16')
    const change = `+ ${ROUTE4}  # eth0: routes[0]\n`
    const missing = `eth0: routes[0]: missing: ${ROUTE4}`
    expect(await tool([...all, '--dry-run'])).toEqual({ exitCode: 1, stdout: `${missing}\n${change}`, stderr: '' })
    expect(await tool(all)).toEqual({ exitCode: 0, stdout: `eth0: repaired\n${change}`, stderr: '' })
    await check(one.pod, { ...OURS, prevResult: one.result })
    await configure(one.pod.netns, 'route del 10.50.0.0/16')
    const { stdout } = await tool([...all, '-o', 'json'])
    expect(JSON.parse(stdout)).toEqual({
      netns: one.pod.path,
      ifname: 'eth0',
      state: 'repaired',
      differences: [missing],
      changes: [change.trimEnd()],
    })
    expect(await tool([...all, '--quiet'])).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    removeNamespace(one.pod.netns)
    expect(await tool(all)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('x-calico-route repair: --netns: cannot open the network namespace'),
    })
  })

  test('takes its turn, and counts what else the pod asks for, if the cache has the pod', async () => {
    const { pod, result } = await addedPod()
    using host = scratch({ 'net.conflist': JSON.stringify(LIST) })
    const at = (file: string) => path.join(host.directory, file)
    for (const directory of ['var/lib/cni/results', 'run/netns', TURNS]) mkdirSync(at(directory), { recursive: true })
    // A second attachment whose route is on the first NIC.
    const second = { type: 'x-calico-route', defaultRoute: 'keep', routes: [{ dst: '10.90.0.0/16', dev: 'eth0' }] }
    await configure(pod.netns, SECOND_NIC)
    await configure(pod.netns, 'route add 10.90.0.0/16 via 169.254.1.1 dev eth0 proto 142\nroute del 10.50.0.0/16')
    const config = Buffer.from(JSON.stringify({ ...LIST, plugins: [second] })).toString('base64')
    const put = (name: string, text: string) => writeFileSync(at(`var/lib/cni/results/${name}`), text)
    put(nameOf('abc'), cacheEntry('abc', pod.path, result))
    put('second-abc-net1', cacheEntry('abc', pod.path, { interfaces: [{ name: 'net1' }] }, { config, ifName: 'net1' }))
    await execa('mount', ['--rbind', '--make-rslave', '/run/netns', at('run/netns')])
    try {
      const all = [...words(pod, host.file('net.conflist')), '--root', host.directory]
      putSign('call', 'abc', at(TURNS))
      expect(await tool(all)).toEqual({
        exitCode: 1,
        stdout: 'a call of the runtime or another repair works on the pod\n',
        stderr: '',
      })
      rmSync(at(TURNS), { recursive: true })
      expect(await tool(all)).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^eth0: repaired\n/) })
    } finally {
      await execa('umount', ['--recursive', at('run/netns')])
    }
    const there = (await routes(pod.netns)).join('\n')
    for (const dst of ['10.50.0.0/16', '10.90.0.0/16']) expect(there).toContain(`${dst} via 169.254.1.1`)
  })

  /** A shell in which the node's cache has these entries. */
  const withCache = (directory: string, more = '') =>
    `mount -t tmpfs none /var/lib; mkdir -p /var/lib/cni/results; cp ${directory}/*-eth0 ${directory}/*-net1 /var/lib/cni/results 2>/dev/null || true; ${more} exec "$@"`

  test('counts what else the pod asks for by whatever path it is given', async () => {
    const { pod, result, container } = await addedPod()
    const config = (plugin: object) => Buffer.from(JSON.stringify({ ...LIST, plugins: [plugin] })).toString('base64')
    const second = { type: 'x-calico-route', defaultRoute: 'keep', routes: [{ dst: '10.80.0.0/16', gw: '10.9.0.2' }] }
    // The file names the second NIC, so routes of ours there are this repair's business, too.
    const plugin = { ...OURS, routes: [...OURS.routes, { dst: '10.9.9.0/24', gw: '10.9.0.2', dev: 'net1' }] }
    using files = scratch({
      'net.conflist': JSON.stringify({ ...LIST, plugins: [{ type: 'calico' }, plugin] }),
      [nameOf(container)]: cacheEntry(container, pod.path, result),
      [`second-${container}-net1`]: cacheEntry(
        container,
        pod.path,
        { interfaces: [{ name: 'net1' }] },
        { config: config(second), ifName: 'net1' },
      ),
      other: '',
    })
    await configure(pod.netns, SECOND_NIC)
    await configure(pod.netns, 'route add 10.80.0.0/16 via 10.9.0.2 dev net1 proto 142')
    const other = files.file('other')
    const shell = withCache(files.directory, `mount --bind ${pod.path} ${other};`)
    const answer = await tool(words({ path: other }, files.file('net.conflist')), { shell })
    expect(answer).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^eth0: repaired\n\+ 10\.9\.9\.0/) })
    expect((await routes(pod.netns)).join('\n')).toContain('10.80.0.0/16 via 10.9.0.2 dev net1 proto 142')
  })

  test('takes nothing away where a pod of the cache, which names no namespace, may be this one', async () => {
    const { pod, result, container } = await addedPod()
    using files = scratch({
      'net.conflist': JSON.stringify(LIST),
      [nameOf(container)]: cacheEntry(container, '', { ...(result as object), interfaces: [{ name: 'eth0' }] }),
    })
    await configure(pod.netns, 'route add 10.80.0.0/16 via 169.254.1.1 dev eth0 proto 142\nroute del 10.50.0.0/16')
    const answer = await tool(words(pod, files.file('net.conflist')), { shell: withCache(files.directory) })
    expect(answer).toEqual({ exitCode: 0, stdout: `eth0: repaired\n+ ${ROUTE4}  # eth0: routes[0]\n`, stderr: '' })
    expect((await routes(pod.netns)).join('\n')).toContain('10.80.0.0/16 via 169.254.1.1 dev eth0 proto 142')
  })

  test('counts what the pod itself asked for by cni-args', async () => {
    const { pod, result, container } = await addedPod()
    const plugin = { ...OURS, overrides: { allow: ['routes'], within: ['10.50.0.0/16'] } }
    const asked = { ...plugin, args: { cni: { routes: [{ dst: '10.50.7.0/24' }] } } }
    const list = (one: object) => JSON.stringify({ ...LIST, plugins: [{ type: 'calico' }, one] })
    using files = scratch({
      'net.conflist': list(plugin),
      [nameOf(container)]: cacheEntry(container, pod.path, result, {
        config: Buffer.from(list(asked)).toString('base64'),
      }),
    })
    await configure(pod.netns, 'route add 10.50.7.0/24 via 169.254.1.1 dev eth0 proto 142')
    const answer = await tool(words(pod, files.file('net.conflist')), { shell: withCache(files.directory) })
    expect(answer).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('- 10.50.0.0/16 ') })
    expect((await routes(pod.netns)).join('\n')).toContain('10.50.7.0/24 via 169.254.1.1 dev eth0 proto 142')
  })

  test('never works in the namespace of its own process', async () => {
    const { pod } = await addedPod()
    using files = scratch({ 'net.conflist': JSON.stringify(LIST) })
    const all = [`--net=${pod.path}`, 'env', 'CNI_NETNS_OVERRIDE=1', PLUGIN, ...words(pod, files.file('net.conflist'))]
    expect(await tool(all, { executable: 'nsenter' })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route repair: --netns: ${netnsPath(pod.netns)} is the network namespace of this process itself, not a pod's; find out who wrote that path\n`,
    })
  })

  test.each([
    [['--netns', '/run/netns/x'], /FILE is missing: --netns, --ifname and --name need/],
    [['a.json'], /FILE: needs --netns and --ifname/],
  ])('refuses %s', async (given, expected) => {
    const { stderr, exitCode } = await tool(['repair', ...given])
    expect({ stderr, exitCode }).toEqual({ stderr: expect.stringMatching(expected), exitCode: 2 })
  })
})
