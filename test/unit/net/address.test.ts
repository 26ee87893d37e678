import fc from 'fast-check'
import IPCIDR from 'ip-cidr'
import { describe, expect, it } from 'vitest'
import { parseAddress, parsePrefix } from '../../../src/net/address.ts'

describe('a prefix', () => {
  it.each([
    ['10.50.0.0/16', 4, '10.50.0.0', 16, '10.50.0.0/16'],
    ['10.199.3.153/26', 4, '10.199.3.153', 26, '10.199.3.128/26'],
    ['0.0.0.0/0', 4, '0.0.0.0', 0, '0.0.0.0/0'],
    ['FD00:0010:0:0::/48', 6, 'fd00:10::', 48, 'fd00:10::/48'],
    ['2001:db8:0:0:1:0:0:1/128', 6, '2001:db8::1:0:0:1', 128, '2001:db8::1:0:0:1/128'],
    ['::/0', 6, '::', 0, '::/0'],
  ])('%s is taken apart, in the form the kernel prints', (text, family, address, length, network) => {
    expect(parsePrefix(text)).toEqual({ family, address, length, network })
  })

  it.each([
    '',
    '10.50.0.0',
    '10.50.0.0/',
    '10.50.0.0/33',
    '10.50.0.0/016',
    '010.50.0.0/16',
    '10.50.0/16',
    '10.50.0.0/16/16',
    ' 10.50.0.0/16',
    '10.50.0.0/-1',
    '0x0a.0.0.0/8',
    'fd00::/129',
    'fd00::/048',
    'fd00::%eth0/64',
    'fd00::1::/64',
    'fd00::/48/3',
    '/16',
    'default',
    '10.50.0.0/16;reboot',
    '10.50.0.\x11/16',
    'fd00::?/64',
    '10.50.0.0/16\nroute del default',
    '::ffff:10.0.0.1/128',
  ])('%j is none', (text) => {
    expect(parsePrefix(text)).toBeUndefined()
  })
})

describe('an address', () => {
  it.each([
    ['169.254.1.1', 4, '169.254.1.1'],
    ['FE80::ECEE:EEFF:FEEE:EEEE', 6, 'fe80::ecee:eeff:feee:eeee'],
  ])('%s is read', (text, family, address) => {
    expect(parseAddress(text)).toEqual({ family, address })
  })

  it.each(['', '10.0.0.1/32', '10.0.0', '010.0.0.1', '1', 'fe80::1%eth0', 'eth0', '10.0.0.1 dev lo'])(
    '%j is none',
    (text) => {
      expect(parseAddress(text)).toBeUndefined()
    },
  )
})

describe('held against ip-cidr', () => {
  const length = (most: number) => fc.integer({ min: 0, max: most })
  const prefixes = fc.oneof(
    fc.tuple(fc.ipV4(), length(32)),
    // ip-cidr has no IPv4 in IPv6 notation for a prefix, and neither have we.
    fc.tuple(
      fc.ipV6().filter((address) => !address.includes('.')),
      length(128),
    ),
    fc.tuple(
      fc.array(fc.constantFrom('0', 'ffff', '1'), { minLength: 8, maxLength: 8 }).map((words) => words.join(':')),
      length(128),
    ),
  )

  it('every prefix is read alike', () => {
    fc.assert(
      fc.property(prefixes, ([address, bits]) => {
        const theirs = new IPCIDR(`${address}/${bits}`)
        expect(parsePrefix(`${address}/${bits}`)).toEqual({
          family: address.includes(':') ? 6 : 4,
          address: theirs.address.correctForm(),
          length: bits,
          network: `${theirs.addressStart.correctForm()}/${bits}`,
        })
      }),
      { numRuns: 1000 },
    )
  })

  it('nothing that it refuses is taken', () => {
    const near = fc.string({ unit: fc.constantFrom('0', '1', '25', 'f', ':', '::', '.', '/', ' ', 'g'), maxLength: 24 })
    fc.assert(
      fc.property(near, (text) => {
        if (parsePrefix(text)) expect(IPCIDR.isValidCIDR(text)).toBe(true)
        if (parseAddress(text)) expect(IPCIDR.isValidAddress(text)).toBe(true)
      }),
      { numRuns: 5000 },
    )
  })
})
