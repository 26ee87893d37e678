import { expect, it } from 'vitest'
import { UNKNOWN_SETS } from '../../../src/config/route-sets.ts'
import { inputsOf } from '../../../src/verbs/inputs.ts'
import { refusal } from '../../support/refusal.ts'
import { setsOf } from '../../support/sets.ts'

const LIST = { cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'calico' }, { type: 'x-calico-route' }] }

it.each([
  ['alone', LIST],
  ['with a mistake beside it', { ...LIST, default_route: 'keep' }],
])('a whole plugin list is refused as that: %s', (_, conf) => {
  expect(refusal(() => inputsOf(conf, UNKNOWN_SETS))).toEqual({
    code: 7,
    message:
      'stdin: a whole plugin list; write its entry of x-calico-route alone, with "cniVersion", "name" and "prevResult"',
  })
})

it('an entry without prevResult is not taken for a list', () => {
  expect(refusal(() => inputsOf({ ...LIST, plugins: null }, UNKNOWN_SETS)).message).toMatch(/^prevResult: missing; /)
})

it('"plugins" in an entry is ignored like any unknown key', () => {
  expect(inputsOf({ ...LIST, prevResult: { cniVersion: '1.0.0', ips: [] } }, UNKNOWN_SETS).config.routes).toEqual([])
})

it('is not waited for a set if prevResult is wrong too', () => {
  const conf = { routes: [{ set: 'new' }] }
  const missing = 'routes[0].set: /var/lib/x-calico-route/sets/new: does not exist yet'
  expect(refusal(() => inputsOf({ ...conf, prevResult: { ips: [] } }, setsOf({})))).toEqual({
    code: 11,
    message: missing,
  })
  expect(refusal(() => inputsOf(conf, setsOf({})))).toEqual({
    code: 7,
    message: expect.stringMatching(/^prevResult: missing; /),
    details: missing,
  })
})

it('nor is what has "plugins" and a wrong prevResult', () => {
  expect(refusal(() => inputsOf({ ...LIST, prevResult: { interfaces: [{}] } }, UNKNOWN_SETS)).message).toMatch(
    /^prevResult\.interf/,
  )
})
