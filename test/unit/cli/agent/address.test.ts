import { describe, expect, test } from 'vitest'
import { parseListenAddress } from '../../../../src/cli/agent/address.ts'

describe('the address of --metrics', () => {
  test.each([
    ['19142', '127.0.0.1', 19142],
    ['0', '127.0.0.1', 0],
    ['0.0.0.0:19142', '0.0.0.0', 19142],
    ['[::]:19142', '::', 19142],
    ['[FD00::0001]:1', 'fd00::1', 1],
    ['[10.50.0.7]:65535', '10.50.0.7', 65535],
  ])('%s is host %s, port %i', (text, host, port) => {
    expect(parseListenAddress('--metrics', text)).toEqual({ host, port })
  })

  test.each([
    '65536',
    ':19142',
    '::1:19142',
    '[]:19142',
    'localhost:19142',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:http',
    '127.1:80',
    '1:2:3',
    '-1',
    '19142 ',
  ])('%j is refused', (text) => {
    expect(() => parseListenAddress('--metrics', text)).toThrow(
      `--metrics: ${JSON.stringify(text)} is not an address and a port; write [ADDRESS:]PORT, such as 127.0.0.1:19142 or [fd00::1]:19142`,
    )
  })
})
