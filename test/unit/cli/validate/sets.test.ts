import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { CALICO, list, validate } from '../../../support/validate.ts'

const directory = mkdtempSync(join(tmpdir(), 'xcr-sets-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** A NetworkAttachmentDefinition whose routes are these; its configuration begins in line 7. */
const network = (routes: object[], more: object = {}) =>
  [
    'apiVersion: k8s.cni.cncf.io/v1',
    'kind: NetworkAttachmentDefinition',
    'metadata:',
    '  name: net',
    'spec:',
    '  config: |',
    `    ${list([CALICO, { type: 'x-calico-route', routes, ...more }])}`,
    '',
  ].join('\n')

/** A ConfigMap whose sets are these. */
const configMap = (sets: Record<string, string>, name = 'x-calico-route-sets') =>
  [
    'apiVersion: v1',
    'kind: ConfigMap',
    'metadata:',
    `  name: ${name}`,
    'data:',
    ...Object.entries(sets).flatMap(([key, text]) => [`  ${key}: |`, ...text.split('\n').map((line) => `    ${line}`)]),
    '',
  ].join('\n')

const together = (...documents: string[]) => documents.join('---\n')

/** What is found, with line and column. */
const found = async (text: string, ...words: string[]) => {
  const { lines } = await validate(text, ...words)
  return lines.slice(0, -1).map((line) => line.replace(/^stdin:/, ''))
}

describe('an entry that names a set', () => {
  it('is checked without the prefixes where no set is known, and validate says so', async () => {
    expect(await found(network([{ set: 'underlay' }]))).toEqual([
      '7:111: note: plugins[1].routes[0].set: the prefixes of underlay were not checked; give --sets DIR, or the ConfigMap x-calico-route-sets among the files',
    ])
  })

  it('has whatever else is wrong with it told', async () => {
    expect(await found(network([{ set: 'Underlay', mtu: 'large' }]))).toEqual([
      expect.stringMatching(
        /^7:\d+: error: plugins\[1\]\.routes\[0\]\.set: "Underlay" is not the name of a set; write/,
      ),
      expect.stringMatching(/^7:\d+: error: plugins\[1\]\.routes\[0\]\.mtu: /),
    ])
  })

  it('is fine with a ConfigMap among the documents that has the set', async () => {
    const { status, lines } = await validate(
      together(
        network([{ set: 'underlay' }]),
        configMap({ underlay: '# the datacenter\n10.50.0.0/16\nfd00:10:50::/48' }),
      ),
    )
    expect({ status, lines }).toEqual({
      status: 0,
      lines: ['stdin: ok (1 chain: calico, x-calico-route; 1 other document skipped)'],
    })
  })

  it.each(['x-calico-route-sets-7m2k9h4b5t', 'x-calico-route-sets-prod'])('also where its name is %s', async (name) => {
    expect(
      await found(together(network([{ set: 'underlay' }]), configMap({ underlay: '10.50.0.0/16' }, name))),
    ).toEqual([])
  })

  it('but not with another ConfigMap, whose text may be anything', async () => {
    const other = configMap({ underlay: 'hello' }, 'game-config')
    expect(await found(together(network([{ set: 'underlay' }]), other))).toEqual([
      expect.stringContaining('the prefixes of underlay were not checked'),
    ])
  })

  it('is refused if the ConfigMap lacks the set', async () => {
    expect(await found(together(network([{ set: 'storage' }]), configMap({ underlay: '10.50.0.0/16' })))).toEqual([
      '7:111: error: plugins[1].routes[0].set: ConfigMap x-calico-route-sets has no "storage"; add it under "data"',
    ])
  })

  it('is refused for what contradicts a prefix of the set', async () => {
    const documents = together(
      network([{ set: 'underlay', gw: '10.50.0.1' }]),
      configMap({ underlay: '10.60.0.0/16\n\nfd00:10:50::/48' }),
    )
    expect(await found(documents)).toEqual([
      expect.stringMatching(
        /^7:\d+: error: plugins\[1\]\.routes\[0\]\.gw: .*10\.50\.0\.1 is an IPv4 address, but .*fd00:10:50::\/48.* is IPv6/,
      ),
    ])
  })

  it('counts as routes that are left through Calico', async () => {
    expect(await found(network([]))).toEqual([expect.stringContaining('adds no route')])
    expect(await found(together(network([{ set: 'none' }]), configMap({ none: '# nothing yet' })))).toEqual([
      expect.stringContaining('adds no route'),
    ])
  })

  it('has the note about a VM once for each family, at its own entry', async () => {
    const documents = together(
      network([{ set: 'underlay' }, { dst: '10.70.0.0/16' }], { kubevirt: true }),
      configMap({ underlay: '10.50.0.0/16\n10.60.0.0/16\nfd00:10:50::/48\nfd00:10:60::/48' }),
    )
    expect((await found(documents)).map((line) => line.replace(/^\d+:\d+: (.*?: .*?):.*/, '$1'))).toEqual([
      'note: plugins[1].routes[0]',
      'note: plugins[1].routes[0]',
      'note: plugins[1].routes[1]',
    ])
  })
})

describe('--sets', () => {
  it('takes the sets of a directory, whatever "setsDir" says and a ConfigMap has', async () => {
    writeFileSync(join(directory, 'underlay'), '10.50.0.0/16\n10.60.0.1/16\n')
    const documents = together(
      network([{ set: 'underlay' }], { setsDir: '/nowhere' }),
      configMap({ underlay: '10.50.0.0/16' }),
    )
    expect(await found(documents, '--sets', directory)).toEqual([
      `7:111: error: plugins[1].routes[0].set: ${directory}/underlay:2: "10.60.0.1/16" has host bits set; write 10.60.0.0/16`,
    ])
  })

  it('says which file is missing', async () => {
    expect(await found(network([{ set: 'storage' }]), '--sets', directory)).toEqual([
      expect.stringContaining(`plugins[1].routes[0].set: ${directory}/storage: does not exist yet`),
    ])
  })

  it('must be a directory', async () => {
    await expect(validate(network([]), '--sets', join(directory, 'underlay'))).rejects.toThrow(
      `--sets: ${join(directory, 'underlay')} is not a directory`,
    )
  })
})

describe('the ConfigMap of the sets', () => {
  it('is checked line by line, whether or not a network names its sets', async () => {
    const documents = together(
      network([{ dst: '10.50.0.0/16' }]),
      configMap({ underlay: '10.50.0.0/16\n  10.60.0.0\n0.0.0.0/0', Storage: 'fd00::/48' }),
    )
    expect(await found(documents)).toEqual([
      '16:7: error: data.underlay: "10.60.0.0" has no prefix length; write 10.60.0.0/32 for this one host',
      '17:5: error: data.underlay: 0.0.0.0/0 is the default route, which no set can have; write the prefixes you need',
      expect.stringMatching(/^18:3: error: data\.Storage: "Storage" is not the name of a set; write/),
    ])
  })

  it('is checked in JSON too', async () => {
    const text = JSON.stringify({
      kind: 'List',
      items: [
        { kind: 'ConfigMap', metadata: { name: 'x-calico-route-sets' }, data: { underlay: '10.50.0.0/16\nhosts' } },
        JSON.parse(JSON.stringify({ apiVersion: 'k8s.cni.cncf.io/v1', kind: 'NetworkAttachmentDefinition' })),
      ],
    })
    expect(await found(text)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^1:\d+: error: data\.underlay: "hosts" is not an IP prefix/)]),
    )
  })
})
