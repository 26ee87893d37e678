import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { changes, configure, dump, removeNamespace, removeNamespaces } from '../support/netns.ts'
import { add, check } from '../support/verbs.ts'
import {
  addedPod,
  expectRight,
  nameOf,
  ROUTE4,
  repair,
  repairInJson,
  SECOND_NIC,
  signsOf,
  spoil,
  TURNS,
} from './repaired-pod.ts'
import { cacheEntry, LIST, OURS } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

const DEFAULT4 = '0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3'

describe('x-calico-route repair of a node', () => {
  test('changes nothing where nothing differs', async () => {
    const { pod, files } = await addedPod('abc0123456789')
    using cache = scratch(files)
    const { before, after } = await changes(pod.netns, async () => {
      const { stdout, stderr, exitCode } = await repair(cache.directory)
      expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
      expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
        ['CONTAINER', 'POD', 'IFNAME', 'STATE', 'DIFFERENCE'],
        ['abc012345678', 'tenant/abc', 'eth0', 'ok'],
        [''],
      ])
    })
    expect(after).toBe(before)
    expect(await repair(cache.directory, '--quiet')).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  })

  test('makes right what differs, and says what that was; CHECK then finds nothing, and the other pods are as they were', async () => {
    const [good, bad] = [await addedPod('aaa'), await addedPod('bbb')]
    await spoil(bad)
    using cache = scratch({ ...good.files, ...bad.files })
    const { before, after } = await changes(good.pod.netns, async () => {
      const { stdout, stderr, exitCode } = await repair(cache.directory)
      expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
      expect(stdout.split('\n')).toEqual([
        expect.stringMatching(/^CONTAINER +POD +IFNAME +STATE +DIFFERENCE$/),
        expect.stringMatching(/^aaa +tenant\/aaa +eth0 +ok$/),
        expect.stringMatching(
          /^bbb +tenant\/bbb +eth0 +repaired +eth0: routes\[0\]: missing: 10\.50\.0\.0\/16 .* \(and 2 more, see -o json\)$/,
        ),
        '',
        'tenant/bbb, changed:',
        expect.stringMatching(/^- 0\.0\.0\.0\/0 via 169\.254\.1\.1 dev eth0 proto 3 +# eth0: defaultRoute$/),
        `+ ${ROUTE4}  # eth0: routes[0]`,
        expect.stringMatching(/^- 10\.77\.0\.0\/16 via 169\.254\.1\.1 dev eth0 proto 142 {2}# eth0/),
        '',
      ])
    })
    expect(after).toBe(before)
    await expectRight(bad)
    expect(await repairInJson(cache.directory)).toMatchObject({ exitCode: 0, states: ['ok', 'ok'] })
    expect(signsOf(bad)).toEqual([])
  })

  test('with --dry-run shows what it would do, and does nothing', async () => {
    const one = await addedPod()
    await spoil(one)
    using cache = scratch(one.files)
    const { before, after } = await changes(one.pod.netns, async () => {
      const { stdout, exitCode } = await repair(cache.directory, '--dry-run')
      expect(exitCode).toBe(1)
      expect(stdout).toContain(
        `\n\ntenant/abc, to be changed:\n- ${DEFAULT4}       # eth0: defaultRoute\n+ ${ROUTE4}  #`,
      )
      const told = await repairInJson(cache.directory, '--dry-run')
      expect(told).toMatchObject({ exitCode: 1, unreadable: [] })
      expect(told.pods).toEqual([
        {
          container: one.container,
          pod: 'tenant/abc',
          netns: one.pod.path,
          attachments: [{ network: LIST.name, ifname: 'eth0' }],
          state: 'differs',
          differences: [
            `eth0: routes[0]: missing: ${ROUTE4}`,
            `eth0: defaultRoute: not removed: ${DEFAULT4}`,
            expect.stringContaining('not removed: 10.77.0.0/16'),
          ],
          changes: [
            `- ${DEFAULT4}  # eth0: defaultRoute`,
            `+ ${ROUTE4}  # eth0: routes[0]`,
            expect.stringMatching(/^- 10\.77\.0\.0\/16 /),
          ],
        },
      ])
    })
    expect(after).toBe(before)
  })

  test('says what it repaired in JSON, too', async () => {
    const one = await addedPod()
    await configure(one.pod.netns, 'route del 10.50.0.0/16')
    using cache = scratch(one.files)
    const { exitCode, pods } = await repairInJson(cache.directory)
    expect(exitCode).toBe(0)
    expect(pods).toMatchObject([
      {
        state: 'repaired',
        differences: [`eth0: routes[0]: missing: ${ROUTE4}`],
        changes: [`+ ${ROUTE4}  # eth0: routes[0]`],
      },
    ])
  })

  test('takes all attachments of a pod together', async () => {
    const { pod, result } = await addedPod()
    const second = { type: 'x-calico-route', defaultRoute: 'keep', routes: [{ dst: '10.90.0.0/16', dev: 'eth0' }] }
    await configure(pod.netns, SECOND_NIC)
    const prevResult = { interfaces: [{ name: 'net1', sandbox: pod.path }], ips: [{ address: '10.9.0.1/24' }] }
    const other = await add({ ...pod, ifname: 'net1' }, { ...second, prevResult })
    const list = { ...LIST, name: 'second', plugins: [{ type: 'kube-ovn' }, second] }
    const config = Buffer.from(JSON.stringify(list)).toString('base64')
    using cache = scratch({
      [nameOf('abc')]: cacheEntry('abc', pod.path, result),
      'second-abc-net1': cacheEntry('abc', pod.path, other, { config, ifName: 'net1', networkName: 'second' }),
    })
    const right = await dump(pod.netns)
    await configure(pod.netns, 'route del 10.50.0.0/16\nroute del 10.90.0.0/16')
    const { exitCode, pods } = await repairInJson(cache.directory)
    expect({ exitCode, pods }).toMatchObject({
      exitCode: 0,
      pods: [{ state: 'repaired', attachments: [{ ifname: 'eth0' }, { ifname: 'net1' }] }],
    })
    expect((await dump(pod.netns)).split('\n').sort()).toEqual(right.split('\n').sort())
  })

  test('makes thousands of routes in one step, within the memory that ip(8) may take', async () => {
    const one = await addedPod()
    const routes = Array.from({ length: 4000 }, (_, i) => ({ dst: `10.${100 + (i >> 8)}.${i & 255}.0/24` }))
    const config = Buffer.from(JSON.stringify({ ...LIST, plugins: [{ ...OURS, routes }] })).toString('base64')
    using cache = scratch({ one: cacheEntry(one.container, one.pod.path, one.result, { config }) })
    const { exitCode, pods } = await repairInJson(cache.directory)
    // The routes of the earlier configuration go.
    expect({ exitCode, pods }).toMatchObject({ exitCode: 0, pods: [{ state: 'repaired' }] })
    expect(pods[0].differences).toHaveLength(101)
    expect(pods[0].differences.at(-1)).toBe('and 3902 more')
    expect(pods[0].changes.at(-1)).toBe('and 3903 more')
    await check(one.pod, { ...OURS, routes, prevResult: one.result })
  })

  test('leaves pods that are gone, and those of which no entry names a namespace', async () => {
    const [gone, unknown] = [await addedPod('gone'), await addedPod('nowhere')]
    removeNamespace(gone.pod.netns)
    using cache = scratch({
      ...gone.files,
      [nameOf('nowhere')]: cacheEntry('nowhere', '', unknown.result, { netns: undefined }),
    })
    const { exitCode, pods } = await repairInJson(cache.directory)
    expect({ exitCode, pods }).toMatchObject({
      exitCode: 0,
      pods: [{ state: 'gone' }, { state: 'unknown', message: 'the cache entries name no netns' }],
    })
    expect((await repair(cache.directory, '--quiet')).stdout).toBe('')
  })

  test('looks for all below --root, where a container has the node', async () => {
    const one = await addedPod()
    await spoil(one)
    using host = scratch()
    const at = (file: string) => path.join(host.directory, file)
    for (const directory of ['var/lib/cni/results', 'run/netns']) mkdirSync(at(directory), { recursive: true })
    const entry = cacheEntry('abc', `/var/run/netns/${one.pod.netns}`, one.result)
    writeFileSync(at(`var/lib/cni/results/${nameOf('abc')}`), entry)
    await execa('mount', ['--rbind', '--make-rslave', '/run/netns', at('run/netns')])
    try {
      const { stdout, exitCode } = await tool(['repair', '--root', host.directory])
      expect({ stdout, exitCode }).toEqual({ stdout: expect.stringMatching(/ repaired /), exitCode: 0 })
      expect(existsSync(at(TURNS))).toBe(true)
    } finally {
      await execa('umount', ['--recursive', at('run/netns')])
    }
    await expectRight(one)
  })

  test('says where it looked when nothing is attached', async () => {
    using cache = scratch()
    const stdout = `no attachment with x-calico-route in ${cache.directory}\n`
    expect(await repair(cache.directory)).toEqual({ exitCode: 0, stdout, stderr: '' })
  })

  test.each([
    ['--cache', '/nope', '/nope: no such file or directory'],
    ['--root', '/etc/passwd', '/etc/passwd: not a directory; give one with --root or --cache'],
  ])('does not take %s %s for a node where all is well', async (option, directory, said) => {
    expect(await tool(['repair', option, directory])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route repair: ${said}\n`,
    })
  })

  test('makes the directory in which calls can see it, but not with --dry-run', async () => {
    using cache = scratch()
    mkdirSync(path.dirname(TURNS), { recursive: true })
    const shell = `cd ${path.dirname(TURNS)}; mount -t tmpfs none .; cd .; "$@" >/dev/null; stat --format '%n %a' *`
    const words = ['repair', '--cache', cache.directory]
    expect((await tool([...words, '--dry-run'], { shell })).stdout).toBe('')
    expect((await tool(words, { shell })).stdout).toBe('turns 700\n')
  })

  test('does nothing at all where it could not keep a call out', async () => {
    const one = await addedPod()
    await spoil(one)
    using cache = scratch(one.files)
    mkdirSync(path.dirname(TURNS), { recursive: true })
    const { before, after } = await changes(one.pod.netns, async () => {
      const { stdout, stderr, exitCode } = await tool(['repair', '--cache', cache.directory], {
        shell: `mount -t tmpfs none ${path.dirname(TURNS)}; echo >${TURNS}; exec "$@"`,
      })
      expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 })
      expect(stderr).toMatch(
        /^x-calico-route repair: \/run\/x-calico-route\/turns: cannot be made or written, and without it no call of the runtime can be kept out of a pod: EEXIST.*\n$/,
      )
    })
    expect(after).toBe(before)
  })
})
