import { describe, expect, test } from 'vitest'
import { start } from '../executable/product.ts'
import { PLUGIN } from '../support/runtime.ts'
import { tool } from './tool.ts'

const ABOUT = `${(await tool(['--version'])).stdout.trim()}: a CNI plugin; a container runtime calls it, after the plugin that makes the NIC.
CNI protocol versions supported: 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0
See x-calico-route --help.
`
const NOT_SET = 'CNI_COMMAND: not set, so nothing was done; write ADD, DEL, CHECK, VERSION, GC or STATUS\n'
const says = (stderr: string) => ({ exitCode: 0, stdout: '', stderr })

describe('without CNI_COMMAND the plugin says what it is', () => {
  test.each([
    ['no stdin', '"$@" </dev/null'],
    ['stdin closed', '"$@" <&-'],
    ['a terminal', 'script -qec "$1 2>&1 >/dev/null | cat >&3" /dev/null 3>&2 </dev/null >/dev/null'],
  ])('and no more, with %s', async (_, shell) => {
    expect(await tool([], { shell })).toEqual(says(ABOUT))
  })

  test('and that it is not set, if there is something on stdin', async () => {
    expect(await tool([], { input: '{"cniVersion": "1.0.0"}' })).toEqual(says(ABOUT + NOT_SET))
    expect(await tool([], { shell: `"$@" <${PLUGIN}` })).toEqual(says(ABOUT + NOT_SET))
  })

  test.each([{ CNI_IFNAME: 'eth0' }, { CNI_COMMAND: '', CNI_NETNS: '' }])(
    'or if other variables are: %o',
    async (env) => {
      const set = Object.entries(env).map(([name, value]) => `${name}=${value}`)
      expect(await tool([], { shell: `exec env ${set.join(' ')} "$@" </dev/null` })).toEqual(says(ABOUT + NOT_SET))
      expect(await start(PLUGIN, env)).toEqual(says(ABOUT + NOT_SET))
    },
  )
})
