import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { configurations, EXAMPLES } from '../support/examples.ts'
import { removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import type { CniVersion } from '../support/runtime.ts'
import { add, check, del } from '../support/verbs.ts'

const scratch = mkdtempSync(join(tmpdir(), 'xcr-examples-'))
afterEach(removeNamespaces)
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

describe('an example, in a pod that Calico wired', () => {
  it.each(EXAMPLES.flatMap((file) => configurations(file).map((conf) => ({ file, conf }))))(
    '$file gives what it says, passes CHECK and is taken back by DEL',
    async ({ file, conf }) => {
      const pod = await calicoPod()
      const before = await routes(pod.netns)
      const cniVersion = conf.cniVersion as CniVersion
      const prevResult = conf.prevResult ?? calicoResult(pod, { cniVersion })
      // The only thing an example names that is not the pod's: the node's log directory.
      const logFile = conf.logFile === undefined ? {} : { logFile: join(scratch, 'x.log') }
      const config = { ...conf, ...logFile, cniVersion, prevResult }

      const result = await add(pod, config)
      const after = await routes(pod.netns)
      for (const { dst } of conf.routes as { dst: string; table?: number }[]) {
        const table = (conf.routes as { dst: string; table?: number }[]).find((route) => route.dst === dst)?.table
        const seen = table === undefined ? after : await routes(pod.netns, String(table))
        expect(seen, file).toContainEqual(expect.stringMatching(`^${dst} .*proto 142`))
      }
      expect(after.some((route) => route.startsWith('default') && !route.includes(':'))).toBe(false)

      if (cniVersion !== '0.3.0' && cniVersion !== '0.3.1') await check(pod, { ...config, prevResult: result })
      await del(pod, config)
      expect((await routes(pod.netns)).filter((route) => route.includes('proto 142'))).toEqual([])
      expect(before).not.toEqual(after)
    },
  )
})
