import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { changes, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { add, check, failure } from '../support/verbs.ts'

afterEach(removeNamespaces)

const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]
const ours = async (netns: string) => (await routes(netns)).filter((route) => route.includes('proto 142'))

describe('the namespace that the plugin itself runs in', () => {
  const PATHS = [{ by: 'the path a runtime knows' }, { by: '/proc/self/ns/net' }, { by: '/proc/thread-self/ns/net' }]
  const VERBS = (['ADD', 'DEL'] as const).flatMap((verb) => PATHS.map(({ by }) => ({ verb, by })))

  test.each(VERBS)('is refused with code 8, and nothing is touched: $verb by $by', async ({ verb, by }) => {
    const pod = await calicoPod()
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    if (verb === 'DEL') await add(pod, config)
    const env = { ...environment(verb, pod), ...(by.startsWith('/') ? { CNI_NETNS: by } : {}) }
    const { before, after } = await changes(pod.netns, async () => {
      const { code, msg } = failure(await run(env, config, ['nsenter', `--net=${pod.path}`]))
      expect({ code, msg }).toEqual({ code: 8, msg: expect.stringMatching(/^CNI_NETNS: /) })
    })
    expect(after).toBe(before)
  })

  test.each(['1', 'true', 'TRUE', 'True'])('is taken with CNI_NETNS_OVERRIDE=%s', async (override) => {
    const pod = await calicoPod()
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    const via = ['nsenter', `--net=${pod.path}`]
    const answer = await run({ ...environment('ADD', pod), CNI_NETNS_OVERRIDE: override }, config, via)
    expect(answer).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await ours(pod.netns)).toHaveLength(2)
    await run({ ...environment('DEL', pod), CNI_NETNS_OVERRIDE: override }, config, via)
    expect(await ours(pod.netns)).toEqual([])
  })

  test.each(['', '0', 'false', 'yes', '11'])('is not taken with CNI_NETNS_OVERRIDE=%j', async (override) => {
    const pod = await calicoPod()
    const env = { ...environment('ADD', pod), CNI_NETNS_OVERRIDE: override }
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    expect(failure(await run(env, config, ['nsenter', `--net=${pod.path}`])).code).toBe(8)
  })

  test('may be CHECKed: that changes nothing', async () => {
    const pod = await calicoPod()
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    await add(pod, config)
    const answer = await run(environment('CHECK', pod), config, ['nsenter', `--net=${pod.path}`])
    expect(answer).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  })
})

describe('CNI_NETNS', () => {
  test('may be the namespace of a process', async () => {
    const pod = await calicoPod()
    const process = execa('nsenter', [`--net=${pod.path}`, 'sh', '-c', 'echo here; exec sleep 60'])
    process.catch(() => {})
    await new Promise((resolve) => process.stdout.once('data', resolve))
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    const byProcess = { ...pod, path: `/proc/${process.pid}/ns/net` }
    await add(byProcess, config)
    await check(byProcess, config)
    expect(await ours(pod.netns)).toHaveLength(2)
    process.kill()
  })

  test('may be a path that no shell and no batch of ip could bear', async () => {
    const pod = await calicoPod()
    const directory = mkdtempSync(path.join(tmpdir(), 'xcr-'))
    try {
      const strange = path.join(directory, '-n "a b" #$(reboot)\\\n;é')
      symlinkSync(pod.path, strange)
      await add({ ...pod, path: strange }, { routes: ROUTES, prevResult: calicoResult(pod) })
      expect(await ours(pod.netns)).toHaveLength(2)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('CNI_IFNAME', () => {
  test.each(['-f', '$(id)', ';id', '*', 'via', 'dev', '10.0.0.1', 'Ünïcode', 'fifteen-bytes-x'])(
    'may be any name that the kernel takes: %s',
    async (ifname) => {
      const pod = await calicoPod()
      await execa('ip', ['-n', pod.netns, '-batch', '-'], {
        input: `link set dev eth0 down\nlink set dev eth0 name ${ifname}\nlink set dev ${ifname} up\n`,
      })
      await execa('ip', ['-n', pod.netns, 'route', 'add', '169.254.1.1', 'dev', ifname, 'scope', 'link'])
      await execa('ip', ['-n', pod.netns, 'route', 'add', 'default', 'via', '169.254.1.1', 'dev', ifname])
      const config = { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) }
      const result = await add({ ...pod, ifname }, config)
      expect(await ours(pod.netns)).toEqual([`10.50.0.0/16 via 169.254.1.1 dev ${ifname} proto 142`])
      expect(await add({ ...pod, ifname }, config)).toEqual(result)
    },
  )
})
