import { readFileSync, writeFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { keysTable, routeTable } from '../src/cli/keys.ts'
import { jsonSchema } from '../src/cli/schema.ts'
import { readConfig } from '../src/config.ts'
import { configurations, EXAMPLES } from './support/examples.ts'

/** With UPDATE_README=1 these tests write the tables that README shows. */
const README = new URL('../README.md', import.meta.url)
const blockOf = (name: string) => new RegExp(`(?<=<!-- ${name}:begin -->\\n).*?(?=<!-- ${name}:end -->)`, 's')

describe.each([
  ['keys', keysTable],
  ['route-keys', routeTable],
])('the table of %s in README', (name, make) => {
  it('is the one made of what the source says of each key', () => {
    const block = blockOf(name)
    if (process.env.UPDATE_README) writeFileSync(README, readFileSync(README, 'utf8').replace(block, make))
    expect(block.exec(readFileSync(README, 'utf8'))?.[0]).toBe(make())
  })
})

describe('the JSON Schema', () => {
  // zod's own reader of JSON Schema, in which nothing of the validator's code is left
  const schema = z.fromJSONSchema(jsonSchema() as z.core.JSONSchema.JSONSchema)
  const bySchema = (conf: object) => schema.safeParse({ type: 'x-calico-route', ...conf }).success
  const byPlugin = (conf: object) => 'config' in readConfig({ ...conf })

  it('describes every key', () => {
    const keys: unknown[] = []
    JSON.stringify(jsonSchema(), (_, value) => {
      if (value?.properties) keys.push(...Object.entries(value.properties))
      return value
    })
    const bare = (keys as [string, { description?: string }][]).filter(
      ([key, one]) => key !== 'type' && !one.description,
    )
    expect(keys.length).toBeGreaterThan(25)
    expect(bare).toEqual([])
  })

  it.each(EXAMPLES.filter((file) => configurations(file).length > 0))('takes what is in %s', (file) => {
    for (const conf of configurations(file)) expect(bySchema(conf), JSON.stringify(conf)).toBe(true)
  })

  it.each<[string, object]>([
    ['an unknown word', { defaultRoute: 'delete' }],
    ['a misspelt key of a route', { routes: [{ dst: '10.50.0.0/16', gateway: '169.254.1.1' }] }],
    ['a route without destination', { routes: [{ gw: '169.254.1.1' }] }],
    ['a destination without length', { routes: [{ dst: '10.50.0.0' }] }],
    ['a destination that is longer than an address', { routes: [{ dst: '10.50.0.0/33' }] }],
    ['a leading zero', { routes: [{ dst: '010.50.0.0/16' }] }],
    ['a fraction', { routes: [{ dst: '10.50.0.0/16', priority: 1.5 }] }],
    ['a metric out of range', { routes: [{ dst: '10.50.0.0/16', priority: 4294967296 }] }],
    ["the kernel's own table", { routes: [{ dst: '10.50.0.0/16', table: 255 }] }],
    ['an MTU as text', { routes: [{ dst: '10.50.0.0/16', mtu: '1400' }] }],
    ['a scope nobody knows', { routes: [{ dst: '10.50.0.0/16', scope: 'near' }] }],
    ['an interface name with a slash', { routes: [{ dst: '10.50.0.0/16', dev: 'a/b' }] }],
    ['an interface name that is too long', { routes: [{ dst: '10.50.0.0/16', dev: 'abcdefghijklmnop' }] }],
    ['a gateway that is no address', { ovnGateway: 'gateway' }],
    ['a misspelt key of the gateway', { ovnGateway: { ip4: '10.0.1.1' } }],
    ['an override of what no pod may choose', { overrides: { allow: ['logFile'] } }],
    ['a log level nobody knows', { logLevel: 'verbose' }],
    ['a log file that is elsewhere', { logFile: 'var/log/x.log' }],
    ['a log file above', { logFile: '/var/log/../x.log' }],
    ['a word for a switch', { kubevirt: 'yes' }],
  ])('refuses %s, as the plugin does', (_, conf) => {
    expect({ bySchema: bySchema(conf), byPlugin: byPlugin(conf) }).toEqual({ bySchema: false, byPlugin: false })
  })

  it.each([
    ['priority', 0, 4294967295],
    ['table', 0, 254],
    ['table', 256, 4294967295],
    ['scope', 0, 255],
    ['mtu', 68, 65520],
    ['advmss', 1, 65495],
  ])('takes %s from %i to %i, as the plugin does', (key, least, most) => {
    const conf = (value: number) => ({ routes: [{ dst: '10.50.0.0/16', [key]: value }] })
    for (const value of [least - 1, least, most, most + 1, least + 0.5]) {
      expect([value, bySchema(conf(value))]).toEqual([value, byPlugin(conf(value))])
    }
    expect(bySchema(conf(least)) && bySchema(conf(most))).toBe(true)
  })

  it('takes whatever the plugin takes', () => {
    const dst = fc.constantFrom(
      '10.50.0.0/16',
      '10.50.0.1/16',
      'fd00:10:50::/48',
      '::/0',
      '0.0.0.0/0',
      '1.2.3.4/32',
      'x',
      '10.0.0.0/08',
    )
    const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('auto', '', '1.2.3', '01.2.3.4'))
    const number = fc.constantFrom(-1, 0, 1, 67, 68, 254, 255, 1400, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 0.5, '7')
    const name = fc.oneof(fc.string({ maxLength: 17 }), fc.constantFrom('eth0', '.', '..', 'a#b'))
    const route = fc.record(
      {
        dst,
        gw: address,
        dev: name,
        src: address,
        priority: number,
        table: number,
        mtu: number,
        advmss: number,
        onlink: fc.boolean(),
        scope: fc.oneof(number, fc.constantFrom('link', 'universe', 'near')),
      },
      { requiredKeys: ['dst'] },
    )
    const conf = fc.record(
      {
        defaultRoute: fc.constantFrom('remove', 'demote', {}, { ipv4: 'keep' }, { ipv5: 'keep' }, 'no'),
        routes: fc.array(route, { maxLength: 2 }),
        ovnGateway: fc.oneof(address, fc.record({ ipv4: address, dev: name, priority: number }, { requiredKeys: [] })),
        logFile: fc.constantFrom('/a', '/a/', 'a', '/a/../b', '/..a', '/', '/a/..', '/a/b..'),
        logLevel: fc.constantFrom('debug', 'loud'),
        kubevirt: fc.oneof(fc.boolean(), fc.constant('true')),
      },
      { requiredKeys: [] },
    )
    let taken = 0
    fc.assert(
      fc.property(conf, (one) => {
        if (!byPlugin(one)) return
        taken += 1
        expect(bySchema(one), JSON.stringify(one)).toBe(true)
      }),
      { numRuns: 2000 },
    )
    expect(taken).toBeGreaterThan(20)
  })
})
