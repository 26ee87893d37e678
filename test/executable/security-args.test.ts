import { afterEach, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { changes, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { add, del, fails } from '../support/verbs.ts'

afterEach(removeNamespaces)

// As many keys as an annotation holds; were they of one hash, reading them would take seconds.
const MANY = Object.fromEntries(Array.from({ length: 18_000 }, (_, i) => [`k${String(i).padStart(7, '0')}`, 0]))

test('cni-args longer than 16 KiB are refused with code 120, whatever overrides say, and keep no pod from going', async () => {
  const pod = await calicoPod()
  const config = { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) }
  const args = { cni: MANY }
  const { before, after } = await changes(pod.netns, async () => {
    for (const overrides of [undefined, { allow: ['routes'], within: ['0.0.0.0/0'] }]) {
      const { code, msg } = await fails('ADD', pod, { ...config, args, overrides })
      expect({ code, msg }).toEqual({
        code: 120,
        msg: expect.stringMatching(/^args: has \d+ characters; at most 16384 are read; shorten the cni-args/),
      })
    }
    expect(await fails('CHECK', pod, { ...config, args })).toMatchObject({ code: 120 })
  })
  expect(after).toBe(before)
  await add(pod, config)
  await del(pod, { ...config, args })
  expect((await changes(pod.netns, async () => {})).after).not.toContain('142')
})
