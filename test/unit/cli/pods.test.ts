import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Attachment, type Cache, podsOf, readCaches } from '../../../src/cli/result-cache.ts'
import { cacheEntry, LIST } from '../../cli/result-cache.ts'
import { stepsOf } from '../../support/steps.ts'

const attachment = (container: string, ifname: string, netns?: string): Attachment => ({
  file: `/cache/net-${container}-${ifname}`,
  container,
  network: 'net',
  ifname,
  sets: [],
  ...(netns === undefined ? {} : { netns }),
})

const cache = (attachments: Attachment[], ...unreadable: string[]): Cache => ({
  attachments,
  unreadable: unreadable.map((file) => ({ file, message: 'not JSON' })),
  directories: ['/cache', '/other'],
})

describe('the pods of the caches', () => {
  test('have all attachments of their container, wherever these are', () => {
    const [a0, b0, a1] = [attachment('a', 'eth0', '/run/netns/a'), attachment('b', 'eth0'), attachment('a', 'net1')]
    expect(podsOf(cache([a0, b0, a1]))).toEqual([
      { container: 'a', netns: '/run/netns/a', attachments: [a0, a1], caches: ['/cache', '/other'], unreadable: [] },
      { container: 'b', attachments: [b0], caches: ['/cache', '/other'], unreadable: [] },
    ])
  })

  test.each([
    ['/c/net-pod-eth0', 'pod'],
    ['/c/a-b-c-pod-eth0', 'pod'],
    ['/c/net-pod-a-b-c', 'pod'],
    ['/other/x-with-hyphens-net1', 'with-hyphens'],
    ['/c/net-pod-sixteen-letters-', undefined], // no interface has such a name
    ['/c/net-xpod-eth0', undefined],
    ['/c/net-podx-eth0', undefined],
    ['/c/pod-eth0', undefined],
    ['/c/net-pod', undefined],
    ['/pod-eth0/net', undefined],
    ['/c/net-unheard-of-eth0', undefined],
  ])('own %s, which cannot be read, if it is theirs by its name', (file, expected) => {
    const pods = podsOf(cache([attachment('pod', 'eth0'), attachment('with-hyphens', 'eth0')], file))
    expect(pods.filter(({ unreadable }) => unreadable.length > 0).map(({ container }) => container)).toEqual(
      expected === undefined ? [] : [expected],
    )
  })

  test('know whether another container has the same network namespace, by either name of its directory', () => {
    const pods = podsOf(
      cache([
        attachment('a', 'eth0', '/var/run/netns/x'),
        attachment('a', 'net1', '/run/netns/x'),
        attachment('b', 'eth0', '/run/netns/x'),
        attachment('c', 'eth0', '/run/netns/y'),
        attachment('d', 'eth0'),
        attachment('e', 'eth0'),
      ]),
    )
    expect(pods.map(({ rival }) => rival)).toEqual(['b', 'a', undefined, undefined, undefined])
  })

  test('are found by looking at each entry a few times, however many cannot be read, whatever their names', async () => {
    const steps = (count: number) => {
      const attachments = Array.from({ length: count }, (_, i) => attachment(`c${i}`, 'eth0', `/run/netns/${i}`))
      const files = Array.from({ length: 20 * count }, (_, i) => `/c/${'-'.repeat(200)}${i}`)
      return stepsOf(async () => expect(podsOf(cache(attachments, ...files))).toHaveLength(count))
    }
    await steps(10)
    const [few, many] = [await steps(50), await steps(400)]
    // Each with each comes to 64.
    expect(many / few).toBeLessThan(16)
  })
})

describe('the sets of an attachment', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'xcr-sets-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const setsOf = (...plugins: object[]) => {
    const config = Buffer.from(JSON.stringify({ ...LIST, plugins })).toString('base64')
    writeFileSync(path.join(directory, 'one'), cacheEntry('abc', '/run/netns/x', {}, { config }))
    return readCaches([directory]).attachments[0]?.sets
  }
  const type = 'x-calico-route'

  test('are those that its entries name, or its pod, each once', () => {
    expect(setsOf({ type })).toEqual([])
    const routes = [{ set: 'underlay' }, { dst: '10.0.0.0/8' }, { set: 'storage', mtu: 9000 }, { set: 'underlay' }]
    expect(setsOf({ type, routes })).toEqual(['underlay', 'storage'])
    expect(setsOf({ type, routes, args: { cni: { routes: [{ set: 'of-the-pod' }] } } })).toEqual([
      'underlay',
      'storage',
      'of-the-pod',
    ])
    expect(
      setsOf({ type: 'other', routes }, { type, routes: [{ set: 'a' }] }, { type, routes: [{ set: 'b' }] }),
    ).toEqual(['a', 'b'])
  })

  test.each([
    { routes: 'underlay' },
    { routes: { set: 'underlay' } },
    { routes: [null, 7, 'x', ['y'], { set: null }, { set: 7 }, { set: ['z'] }, { set: {} }] },
    {
      routes: [{ set: '' }, { set: 'A' }, { set: '../passwd' }, { set: '-a' }, { set: 'a-' }, { set: 'a'.repeat(64) }],
    },
    { args: [], routes: null },
    { args: { cni: 'x' } },
    { args: { cni: { routes: { set: 'x' } } } },
  ])('are none in %j', (keys) => {
    expect(setsOf({ type, ...keys })).toEqual([])
  })
})
