/** Who is root in a pod decides how much ip(8) prints. Whatever it is, a call is answered, and DEL succeeds. */
import { afterEach, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { configure, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import { add, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

const FLOODS = {
  'a line of 700 MB': 'exec head -c 700000000 /dev/zero',
  'empty lines without end': "exec yes ''",
  'answers without end': "exec yes '[]'",
}

test.each(Object.entries(FLOODS))('%s: ADD says so, and DEL succeeds with a warning', async (_, script) => {
  const pod = await calicoPod({ families: [4] })
  const config = { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) }
  using host = hostWhereIpIs(script)
  const added = await run(environment('ADD', pod), config, host.via)
  expect(added.exitCode).toBe(1)
  expect(JSON.parse(added.stdout)).toMatchObject({
    code: expect.any(Number),
    msg: expect.stringMatching(/^(?:ip|CNI_IFNAME): /),
  })
  const deleted = await run(environment('DEL', pod), config, host.via)
  expect(deleted).toMatchObject({
    exitCode: 0,
    stdout: '',
    stderr: expect.stringMatching(/(routes not removed|the pod's routes could not be read): ip: /),
  })
})

test('thousands of differences make a message that can be read, and say how many there are', async () => {
  const pod = await calicoPod({ families: [4] })
  const routes = Array.from({ length: 3000 }, (_, i) => ({ dst: `10.${100 + (i >> 8)}.${i & 255}.0/24` }))
  const config = { routes, prevResult: calicoResult(pod) }
  const prevResult = await add(pod, config)
  await configure(pod.netns, 'link set eth0 down\nlink set eth0 up\nroute add 169.254.1.1 dev eth0 scope link')
  const { code, details = '' } = await fails('CHECK', pod, { ...config, prevResult })
  expect(code).toBe(110)
  expect(details).toMatch(/and 29\d\d more$/)
  expect(details.length).toBeLessThan(20_000)
})
