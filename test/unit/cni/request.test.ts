import { describe, expect, it } from 'vitest'
import {
  checkEnv,
  decodeText,
  parseDocument,
  parseRequest,
  versionAnswer,
  versionOf,
} from '../../../src/cni/request.ts'
import { refusal } from '../../support/refusal.ts'

const ENV = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/pod',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
}
const CONF = { cniVersion: '1.0.0', name: 'net', type: 'x-calico-route' }
const bytes = (text: string) => new TextEncoder().encode(text)

describe('the environment', () => {
  it.each([
    ['ADD', 'CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME: not set; ADD needs them'],
    ['CHECK', 'CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME: not set; CHECK needs them'],
    ['DEL', 'CNI_CONTAINERID, CNI_IFNAME: not set; DEL needs them'],
    ['GC', 'CNI_PATH: not set; GC needs it'],
  ])('%s: all missing variables are named together', (CNI_COMMAND, message) => {
    expect(refusal(() => checkEnv({ CNI_COMMAND }))).toEqual({ code: 4, message })
  })

  it.each(['STATUS', 'VERSION', 'FOO'])('%s needs none', (CNI_COMMAND) => {
    expect(() => checkEnv({ CNI_COMMAND })).not.toThrow()
  })

  it.each<[Record<string, string>, string]>([
    [
      { CNI_CONTAINERID: '-c' },
      'CNI_CONTAINERID: "-c" must start with a letter or digit and have only letters, digits, "_", "." and "-"',
    ],
    [{ CNI_CONTAINERID: 'a/b' }, 'CNI_CONTAINERID: "a/b" must start'],
    [{ CNI_IFNAME: '..' }, 'CNI_IFNAME: ".." is not an interface name'],
    [{ CNI_IFNAME: 'a:b' }, 'CNI_IFNAME: "a:b" has a slash, colon or white space, which no interface name can have'],
    [{ CNI_IFNAME: 'a b' }, 'CNI_IFNAME: "a b" has'],
    [{ CNI_IFNAME: 'sixteen-bytes-xx' }, 'CNI_IFNAME: "sixteen-bytes-xx" is longer'],
    [{ CNI_IFNAME: 'ééééééééé' }, 'CNI_IFNAME: "ééééééééé" is longer'],
  ])('%j is refused', (more, message) => {
    const error = refusal(() => checkEnv({ ...ENV, ...more }))
    expect(error.code).toBe(4)
    expect(error.message).toContain(message)
  })

  it('answers at an invalid value before it looks for missing ones', () => {
    expect(refusal(() => checkEnv({ CNI_COMMAND: 'ADD', CNI_CONTAINERID: '!' })).message).toContain(
      'CNI_CONTAINERID: "!"',
    )
  })

  it.each(['-x', 'a%d', '$(id)', 'dev', 'eth0.100', 'a@b'])('the interface name %s is legal', (CNI_IFNAME) => {
    expect(() => checkEnv({ ...ENV, CNI_IFNAME })).not.toThrow()
  })
})

describe('stdin', () => {
  it.each<[string, Uint8Array, string]>([
    ['nothing', bytes(''), 'stdin: empty; it must hold a network configuration'],
    ['white space', bytes(' \n'), 'stdin: empty; it must hold a network configuration'],
    ['a byte order mark', bytes('\uFEFF{}'), 'stdin: starts with a byte order mark; remove it'],
    ['Latin-1', Uint8Array.of(0x7b, 0xe9, 0x7d), 'stdin: not UTF-8; write the network configuration in UTF-8'],
    ['two documents', bytes('{}{}'), 'stdin: not exactly one JSON document: '],
    ['half a document', bytes('{"a":'), 'stdin: not exactly one JSON document: '],
    ['a line break in a broken one', bytes('{\n"a": x\n}'), 'stdin: not exactly one JSON document: '],
  ])('%s is refused with code 6, on one line', (_, document, message) => {
    const error = refusal(() => parseDocument(decodeText(document)))
    expect(error.code).toBe(6)
    expect(error.message).toContain(message)
    expect(error.message).not.toContain('\n')
  })
})

describe('a number that a double cannot hold', () => {
  it.each(['9007199254740993', '-123456789012345678901234567890', '0.1234567890123456789', '1e400'])(
    '%s keeps its digits',
    (number) => {
      const document = parseDocument(`{"x":{"y":[${number}]},"n":5}`)
      expect(JSON.stringify(document)).toBe(`{"x":{"y":[${number}]},"n":5}`)
    },
  )

  it('deep inside is no reason to fail', () => {
    expect(() => parseDocument(`{"n": 1.5, "x":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)).not.toThrow()
  })
})

describe('a call', () => {
  it('of ADD becomes a request', () => {
    expect(parseRequest(ENV, CONF)).toEqual({
      verb: 'ADD',
      cniVersion: '1.0.0',
      containerId: 'c1',
      netns: '/run/netns/pod',
      ifname: 'eth0',
      allowOwnNetns: false,
      conf: CONF,
    })
  })

  it.each(['1', 'true', 'TRUE'])('with CNI_NETNS_OVERRIDE=%s may go to our own namespace', (CNI_NETNS_OVERRIDE) => {
    expect(parseRequest({ ...ENV, CNI_NETNS_OVERRIDE }, CONF)).toMatchObject({ allowOwnNetns: true })
  })

  it.each([
    ['[]', 6],
    ['null', 6],
    ['"x"', 6],
    ['{"cniVersion":"1.0.0"}', 7],
    ['{"cniVersion":"1.0.0","name":""}', 7],
    ['{"name":"-x"}', 7],
    ['{"name":5}', 7],
  ])('with the document %s is refused with code %d', (document, code) => {
    expect(refusal(() => parseRequest(ENV, JSON.parse(document))).code).toBe(code)
  })

  it.each(['add', 'FOO', 'toString', '__proto__'])('with the verb %s is refused', (CNI_COMMAND) => {
    expect(refusal(() => parseRequest({ ...ENV, CNI_COMMAND }, CONF))).toEqual({
      code: 4,
      message: `CNI_COMMAND: must be ADD, DEL, CHECK, GC, STATUS or VERSION, is "${CNI_COMMAND}"`,
    })
  })

  it.each<[string, unknown, number]>([
    ['ADD', undefined, 1],
    ['ADD', '', 1],
    ['ADD', '0.2.0', 1],
    ['ADD', '1.2.0', 1],
    ['ADD', 'abc', 1],
    ['ADD', 5, 6],
    ['ADD', null, 1],
    ['CHECK', '0.3.1', 1],
    ['CHECK', '0.10.0', 1],
    ['CHECK', 'abc', 6],
    ['GC', '1.0.0', 1],
    ['STATUS', '1.0.0', 1],
    ['STATUS', 'x', 6],
    ['STATUS', '2.0.0', 1],
  ])('%s with cniVersion %j is refused with code %d', (CNI_COMMAND, cniVersion, code) => {
    expect(refusal(() => parseRequest({ ...ENV, CNI_COMMAND }, { ...CONF, cniVersion })).code).toBe(code)
  })

  it.each([undefined, null, ''])(
    'with cniVersion %j is told which one to write, and of none that nobody wrote',
    (cniVersion) => {
      const of = (CNI_COMMAND: string) => refusal(() => parseRequest({ ...ENV, CNI_COMMAND }, { ...CONF, cniVersion }))
      expect(of('ADD')).toEqual({
        code: 1,
        message: 'cniVersion: missing; write "1.0.0"',
        details: 'x-calico-route supports 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0',
      })
      expect(of('CHECK').details).toBe('cniVersion: missing; write "1.0.0", CHECK exists since 0.4.0')
      expect(of('STATUS').details).toBe('cniVersion: missing; write "1.1.0", STATUS exists since 1.1.0')
    },
  )

  it.each([undefined, null])('with the name %j is told that it is missing', (name) => {
    expect(refusal(() => parseRequest(ENV, { ...CONF, name })).message).toBe('name: missing')
  })

  it('says which verb a version lacks, and which versions there are', () => {
    expect(refusal(() => parseRequest({ ...ENV, CNI_COMMAND: 'CHECK' }, { ...CONF, cniVersion: '0.3.1' }))).toEqual({
      code: 1,
      message: 'config version does not allow CHECK',
      details: 'cniVersion is 0.3.1, CHECK exists since 0.4.0',
    })
    expect(refusal(() => parseRequest(ENV, { ...CONF, cniVersion: '0.2.0' }))).toEqual({
      code: 1,
      message: 'cniVersion: "0.2.0" is not supported',
      details: 'the configuration asks for 0.2.0, x-calico-route supports 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0',
    })
  })

  it.each([[], null, 5, {}, { cniVersion: '9', name: '!' }, { cniVersion: 5 }])(
    'of DEL is let through with the document %j',
    (document) => {
      expect(parseRequest({ ...ENV, CNI_COMMAND: 'DEL' }, document)).toMatchObject({ verb: 'DEL', ifname: 'eth0' })
    },
  )
})

describe('the version an answer is given in', () => {
  it.each([
    ['0.3.1', '0.3.1'],
    ['1.1.0', '1.1.0'],
    ['0.2.0', '1.1.0'],
    [5, '1.1.0'],
    [undefined, '1.1.0'],
  ])('for cniVersion %j is %s', (cniVersion, expected) => {
    expect(versionOf({ cniVersion })).toBe(expected)
    expect(versionAnswer({ cniVersion })).toEqual({
      cniVersion: expected,
      supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    })
  })

  it.each([undefined, null, [], 'x'])('for the document %j is the newest', (document) => {
    expect(versionOf(document)).toBe('1.1.0')
  })
})
