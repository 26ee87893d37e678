import { afterEach, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { directory } from '../support/examples.ts'
import { removeNamespaces } from '../support/netns.ts'
import { PLUGIN } from '../support/runtime.ts'
import { cacheEntry } from './result-cache.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

/** Root as far as its user number goes, with these capabilities and no way to get others. */
const onlyWith = (capability: string, words: readonly string[]) =>
  tool([`--bounding-set=-all,+${capability}`, '--inh-caps=-all', PLUGIN, ...words], { executable: 'setpriv' })

// The help of both says so, and the DaemonSet gives them no more.
test.each([
  ['plan', 0, /^\+ 10\.50\.0\.0\/16 /m],
  ['verify', 1, /^eth0: routes\[0\]: missing: /],
])('%s works with CAP_SYS_ADMIN alone', async (command, exitCode, said) => {
  const pod = await calicoPod()
  const words = [command, '--netns', pod.path, '--ifname', 'eth0', `${directory}/calico-underlay.yaml`]
  expect(await onlyWith('sys_admin', words)).toEqual({
    exitCode,
    stdout: expect.stringMatching(said),
    stderr: '',
  })
  expect(await onlyWith('net_admin', words)).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: expect.stringMatching(`^x-calico-route ${command}: .*CAP_SYS_ADMIN.*\n$`),
  })
})

test('verify takes a namespace that it may not look at for no pod that is gone', async () => {
  // Of a process with more capabilities.
  const file = `/proc/${process.pid}/ns/net`
  using cache = scratch({ one: cacheEntry('abc', file, {}) })
  const { stdout, exitCode } = await onlyWith('sys_admin', ['verify', '--cache', cache.directory])
  expect({ stdout, exitCode }).toEqual({
    stdout: expect.stringMatching(/\nabc .* error .*permission denied.*\n$/),
    exitCode: 2,
  })
})
