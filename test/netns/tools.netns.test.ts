import { existsSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { changes, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { hostWhereIpIs, hostWithOnly } from '../support/tools.ts'
import { add, fails, failure, succeeds } from '../support/verbs.ts'

afterAll(removeNamespaces)

const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]

/** An `ip` that passes each line on to the real one, except those that begin so: for these it does `action`. */
const instead = (action: string, of = 'route [adr]') => `
  while IFS= read -r line; do
    case $line in
      ${of.replaceAll(' ', '\\ ')}*) ${action} ;;
      *) echo "$line" ;;
    esac
  done | "$REAL_IP" "$@"`
/** Only the first time, so that what the rollback starts lives. */
const once = (action: string) =>
  `echo "$line"; [ -e $DIRECTORY/once ] || { : > $DIRECTORY/once; sleep 0.2; ${action}; }`
const DIE = 'kill -9 $$; exit'

const BROKEN_TOOLS = [
  { how: 'hangs from the start', ip: 'echo $$ > $DIRECTORY/pid; sleep 14', code: 104, says: /^ip: .*10 s/ },
  { how: 'hangs when it shall change a route', ip: instead('sleep 14; exit'), code: 104, says: /^ip: .*10 s/ },
  {
    how: 'is too old to know -json',
    ip: `echo 'Option "-json" is unknown, try "ip -help".' >&2; exit 255`,
    code: 103,
    says: /^ip: /,
  },
  {
    how: 'answers in words',
    ip: 'while read -r _; do echo default via 169.254.1.1 dev eth0; done',
    code: 103,
    says: /^ip: /,
  },
  { how: 'answers in broken JSON', ip: 'while read -r _; do echo "[{\\"dst\\":"; done', code: 103, says: /^ip: / },
  { how: 'ends at once', ip: 'exit 0', code: 100, says: /^ip: / },
  {
    how: 'may do nothing',
    ip: 'echo "RTNETLINK answers: Operation not permitted" >&2; exit 2',
    code: 100,
    says: /Operation not permitted/,
  },
  { how: 'is killed before its first change', ip: instead(DIE), code: 100, says: /^ip: / },
  { how: 'is killed after its first change', ip: instead(once(DIE)), code: 100, says: /^ip: / },
  { how: 'is killed after it took a default away', ip: instead(once(DIE), 'route del'), code: 100, says: /^ip: / },
  { how: 'does not do what it is told', ip: instead(':'), code: 101, says: /does not show/ },
] as const

describe.concurrent('an ip that', () => {
  test.each(BROKEN_TOOLS)('$how: code $code, and the pod is untouched', async ({ ip, code, says }) => {
    const pod = await calicoPod()
    using host = hostWhereIpIs(ip)
    const { before, after } = await changes(pod.netns, async () => {
      const config = { routes: ROUTES, prevResult: calicoResult(pod) }
      const error = failure(await run(environment('ADD', pod), config, host.via))
      expect({ code: error.code, text: `${error.msg}; ${error.details}` }).toEqual({
        code,
        text: expect.stringMatching(says),
      })
      const pid = existsSync(`${host.directory}/pid`) ? readFileSync(`${host.directory}/pid`, 'utf8').trim() : undefined
      expect(pid !== undefined && existsSync(`/proc/${pid}`)).toBe(false)
    })
    expect(after).toBe(before)
  })

  test('cannot be killed, since it waits for the kernel, is not waited for', async () => {
    const pod = await calicoPod()
    // What such a process keeps open, a child of this one keeps open.
    using host = hostWhereIpIs('sleep 60 & echo $! > $DIRECTORY/pid; wait')
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    expect(await fails('ADD', pod, config, host.via)).toMatchObject({
      code: 104,
      msg: 'ip: timed out after 10 s and cannot be killed',
    })
    const pid = Number(readFileSync(`${host.directory}/pid`, 'utf8'))
    expect(existsSync(`/proc/${pid}`)).toBe(true)
    process.kill(pid)
  })

  test('dies with every change it makes is asked once more, and the pod is as it was', async () => {
    const pod = await calicoPod()
    using host = hostWhereIpIs(instead(`echo "$line"; sleep 0.2; ${DIE}`))
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    const { before, after } = await changes(pod.netns, async () => {
      const { code, details } = failure(await run(environment('ADD', pod), config, host.via))
      expect({ code, details }).toEqual({
        code: 100,
        details: expect.stringContaining("the pod's routes are unchanged"),
      })
    })
    expect(after).toBe(before)
  })

  test('hangs keeps no DEL from succeeding', async () => {
    const pod = await calicoPod()
    const config = { routes: ROUTES, prevResult: calicoResult(pod) }
    await add(pod, config)
    using host = hostWhereIpIs('sleep 14')
    expect(await run(environment('DEL', pod), config, host.via)).toMatchObject({ exitCode: 0, stdout: '' })
  })
})

describe('a host without', () => {
  test.each([
    { tool: 'ip', others: ['nsenter'] },
    { tool: 'nsenter', others: ['ip'] },
  ])('$tool: ADD and CHECK say so with code 103, STATUS with 50, DEL succeeds', async ({ tool, others }) => {
    const pod = await calicoPod()
    using host = hostWithOnly(...others)
    const config = { cniVersion: '1.1.0' as const, routes: ROUTES, prevResult: calicoResult(pod) }
    const { before, after } = await changes(pod.netns, async () => {
      for (const [verb, code] of [
        ['ADD', 103],
        ['CHECK', 103],
        ['STATUS', 50],
      ] as const) {
        const error = failure(await run(environment(verb, pod), config, host.via))
        expect({ verb, ...error }).toMatchObject({ verb, code, msg: expect.stringMatching(new RegExp(`^${tool}: `)) })
      }
      expect(await run(environment('DEL', pod), config, host.via)).toMatchObject({ exitCode: 0, stdout: '' })
    })
    expect(after).toBe(before)
  })

  test('privileges: ADD fails before any change, STATUS says with code 50 what is lacking', async () => {
    const pod = await calicoPod()
    const via = ['setpriv', '--bounding-set=-sys_admin,-net_admin', '--inh-caps=-all']
    const config = { cniVersion: '1.1.0' as const, routes: ROUTES, prevResult: calicoResult(pod) }
    const { before, after } = await changes(pod.netns, async () => {
      expect(failure(await run(environment('ADD', pod), config, via)).code).toBe(100)
      const { code, msg, details } = failure(await run(environment('STATUS', pod), config, via))
      expect({ code, text: `${msg} ${details}` }).toEqual({
        code: 50,
        text: expect.stringMatching(/CAP_(SYS|NET)_ADMIN|not permitted/i),
      })
    })
    expect(after).toBe(before)
  })
})

describe('STATUS', () => {
  test('prints nothing where ADD can do its work', async () => {
    const pod = await calicoPod()
    await succeeds('STATUS', pod, { cniVersion: '1.1.0', routes: ROUTES })
    expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual([])
  })

  test('refuses the configuration that ADD would refuse', async () => {
    const pod = await calicoPod()
    const { code, msg } = await fails('STATUS', pod, { cniVersion: '1.1.0', routes: [{ dst: '10.50.0.1/16' }] })
    expect({ code, msg }).toEqual({ code: 7, msg: expect.stringMatching(/^routes\[0\]\.dst: /) })
  })
})

test('STATUS asks for one route of the node, which may have a million', async () => {
  const pod = await calicoPod()
  using host = hostWhereIpIs('tee $DIRECTORY/questions | "$REAL_IP" "$@"')
  expect(await run(environment('STATUS', pod), { cniVersion: '1.1.0', prevResult: undefined }, host.via)).toMatchObject(
    { exitCode: 0, stdout: '' },
  )
  expect(readFileSync(`${host.directory}/questions`, 'utf8')).toBe('route show table all exact 0.0.0.0/0\n')
})
