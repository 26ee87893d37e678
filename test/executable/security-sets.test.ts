import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { changes, removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { add, fails } from '../support/verbs.ts'
import { temporaryDirectory } from './product.ts'

afterEach(removeNamespaces)

const OVERRIDES = { allow: ['routes'], within: ['10.50.0.0/16'] }

/** The configuration of a pod that asks for this. */
const asking = (pod: CalicoPod, cni: object, more: object = {}) => ({
  setsDir: temporaryDirectory(),
  routes: [],
  prevResult: calicoResult(pod),
  overrides: OVERRIDES,
  args: { cni },
  ...more,
})

describe('a set that a tenant names', () => {
  test('is none by a path: no file outside of the directory is read', async () => {
    const pod = await calicoPod()
    const { before, after } = await changes(pod.netns, async () => {
      for (const set of ['../passwd', '/etc/passwd', '..', '.', '', 'a/b', 'a\u0000', '%2e%2e', 'A', 'a.b', '-']) {
        const { code, msg } = await fails('ADD', pod, asking(pod, { routes: [{ set }] }, { setsDir: '/etc/ssl' }))
        expect({ set, code, msg }).toEqual({ set, code: 7, msg: expect.stringMatching(/ is not the name of a set; /) })
      }
    })
    expect(after).toBe(before)
  })

  test('is in the directory of the configuration, which no tenant can choose', async () => {
    const pod = await calicoPod()
    const cni = { setsDir: '/etc', routes: [{ set: 'passwd' }] }
    for (const overrides of [OVERRIDES, { allow: ['routes', 'setsDir'] }]) {
      const { msg, details } = await fails('ADD', pod, asking(pod, cni, { overrides }))
      expect(`${msg}; ${details}`).not.toContain('root')
      expect(msg).toMatch(/^args\.cni\.setsDir: not in "overrides\.allow"|^overrides\.allow\[1\]: must be /)
    }
  })

  test('may be the largest there is, and be compared with as many prefixes as there may be', async () => {
    const pod = await calicoPod()
    const setsDir = temporaryDirectory()
    const lines = Array.from({ length: 10_000 }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24\n`)
    writeFileSync(path.join(setsDir, 'all'), lines.join(''))
    const within = Array.from({ length: 1_000 }, (_, i) => `172.${16 + (i >> 8)}.${i & 255}.0/24`)
    const started = Date.now()
    const overrides = { allow: ['routes'], within }
    const { code, msg, details } = await fails(
      'ADD',
      pod,
      asking(pod, { routes: [{ set: 'all' }] }, { setsDir, overrides }),
    )
    expect({ code, msg }).toEqual({ code: 120, msg: expect.stringContaining('is outside "overrides.within"') })
    expect(details).toMatch(/; and 9980 more$/)
    // One comparison for each pair takes 16 s.
    expect(Date.now() - started).toBeLessThan(5_000)
  })
})

test('text in a set forges no line and no escape sequence', async () => {
  const pod = await calicoPod()
  const setsDir = temporaryDirectory()
  const evil = '10.0.0.0/8 {"level":"error"}\u001b[2J\u009b31m\u0085\u2028\u0000'
  writeFileSync(path.join(setsDir, 'evil'), `10.50.0.0/16\n${evil}\n10.60.0.0/16 # ${evil}\n`)
  const { code, msg, details = '' } = await fails('ADD', pod, asking(pod, {}, { setsDir, routes: [{ set: 'evil' }] }))
  expect({ code, msg }).toEqual({ code: 7, msg: expect.stringContaining('/evil:2: "10.0.0.0/8 ') })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  expect(msg + details).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
})

test('what is in a set cannot become a second line for ip', async () => {
  const pod = await calicoPod()
  const setsDir = temporaryDirectory()
  for (const text of [
    '10.50.0.0/16 dev lo\n',
    '10.50.0.0/16;route flush all\n',
    '10.50.0.0/16\\\nroute flush\n',
    '$(id)\n',
  ]) {
    writeFileSync(path.join(setsDir, 'evil'), text)
    const { before, after } = await changes(pod.netns, async () => {
      expect(await fails('ADD', pod, asking(pod, {}, { setsDir, routes: [{ set: 'evil' }] }))).toMatchObject({
        code: 7,
      })
    })
    expect(after).toBe(before)
  }
  writeFileSync(path.join(setsDir, 'evil'), '10.50.0.0/16 # dev lo; $(id)\n')
  const { routes } = await add(pod, asking(pod, {}, { setsDir, routes: [{ set: 'evil' }] }))
  expect(routes).toEqual([{ dst: '10.50.0.0/16', gw: '169.254.1.1' }])
})
