import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { configurations, directory, EXAMPLES } from '../support/examples.ts'
import { scratch, tool } from './tool.ts'

describe('x-calico-route validate', () => {
  test.each(EXAMPLES.filter((file) => configurations(file).length > 0))('finds %s in order', async (file) => {
    const { stdout, stderr, exitCode } = await tool(['validate', '--strict', `${directory}/${file}`])
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
    expect(stdout).toMatch(/: ok \(.*x-calico-route.*\)\n$/)
  })

  test('reads a directory, and passes over what is no network configuration', async () => {
    const { stdout, stderr, exitCode } = await tool(['validate', directory])
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
    expect(stdout.match(/: ok /g)).toHaveLength(EXAMPLES.length - stdout.split('skipped: no network').length + 1)
    expect(stdout).toContain('virtual-machine.yaml: ok (1 pod checked against its networks)\n')
    expect(stdout).toContain('vpc.yaml: skipped: no network configuration found\n')
  })

  test.each([directory, 'kind'])('warns of nothing in %s as a whole', async (place) => {
    const { stdout, exitCode } = await tool(['validate', '--strict', place])
    expect({ exitCode, warned: stdout.match(/.*: (?:error|warning): .*/g) }).toEqual({ exitCode: 0, warned: null })
  })

  test('takes all files for those of one cluster, and pods among them for no mistake', async () => {
    const pod = (more: string) =>
      `kind: Pod\nmetadata:\n  namespace: tenant\n  annotations:\n    v1.multus-cni.io/default-network: calico-underlay\n${more}`
    using files = scratch({
      'good.yaml': pod(''),
      'bad.yaml': pod('    k8s.v1.cni.cncf.io/networks: vpc-net, kube-system/calico-per-pod\n'),
    })
    const networks = ['calico-underlay.yaml', 'calico-per-pod.yaml', 'kube-ovn-vpc.yaml'].map(
      (file) => `${directory}/${file}`,
    )
    const good = await tool(['validate', files.file('good.yaml'), ...networks])
    expect(good).toMatchObject({ exitCode: 0, stderr: '' })
    expect(good.stdout).toContain(`${files.file('good.yaml')}: ok (1 pod checked against its networks)\n`)
    const bad = await tool(['validate', files.directory, ...networks])
    expect(bad).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining(
        `${files.file('bad.yaml')}:6:34: error: metadata.annotations.k8s.v1.cni.cncf.io/networks: a pod can have only one Calico NIC: `,
      ),
    })
    const alone = await tool(['validate', files.file('good.yaml')])
    expect(alone).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('no network configuration found, only Pod'),
    })
  })

  test('skips a file without networks if another has some', async () => {
    const file = (name: string) => `${directory}/${name}`
    using files = scratch({ 'vpc.yaml': readFileSync(file('vpc.yaml')) })
    for (const word of [file('vpc.yaml'), files.directory]) {
      const together = await tool(['validate', file('network-policy.yaml'), word, file('kube-ovn-vpc.yaml')])
      expect(together).toMatchObject({ exitCode: 0, stderr: '' })
      expect(together.stdout.match(/: skipped: no network configuration found\n/g)).toHaveLength(2)
    }
    const alone = await tool(['validate', file('network-policy.yaml'), file('vpc.yaml')])
    expect(alone.exitCode).toBe(1)
    expect(alone.stdout.match(/: error: no network configuration found, only /g)).toHaveLength(2)
  })

  test('says how many pods it found something in', async () => {
    using files = scratch({
      'pods.yaml': ['a', 'b']
        .map((name) => `kind: Pod\nmetadata:\n  name: ${name}\n  annotations: {k8s.v1.cni.cncf.io/networks: "["}\n`)
        .join('---\n'),
    })
    const { stdout, exitCode } = await tool(['validate', files.file('pods.yaml'), `${directory}/kube-ovn-vpc.yaml`])
    expect(exitCode).toBe(1)
    expect(stdout).toContain(`${files.file('pods.yaml')}: 2 errors (2 pods checked against their networks)\n`)
  })

  test('tells of a virtual machine in one file what it makes of the network in another', async () => {
    using files = scratch({
      'net.yaml': readFileSync(`${directory}/calico-underlay.yaml`, 'utf8'),
      'vm.yaml': readFileSync(`${directory}/virtual-machine.yaml`, 'utf8').replace(
        'kube-system/calico-vm',
        'kube-system/calico-underlay',
      ),
    })
    const notes = async (...names: string[]) =>
      (await tool(['validate', ...names.map(files.file)])).stdout.match(/note: plugins\[1\]\.routes\[\d\]/g) ?? []
    expect(await notes('net.yaml')).toHaveLength(0)
    expect(await notes('net.yaml', 'vm.yaml')).toHaveLength(4)
    expect(await notes('vm.yaml', 'net.yaml')).toHaveLength(4)
    expect(await notes('')).toHaveLength(4)
  })

  test('reads a template in one line, without a word of Node.js', async () => {
    using files = scratch({
      'a.yaml':
        'kind: NetworkAttachmentDefinition\nmetadata:\n  name: {{ .Release.Name }}\n{{- if .Values.a }}\nspec: {}\n{{- end }}\n',
    })
    const file = files.file('a.yaml')
    const said =
      'a Helm or Go template, which can only be checked after rendering; run: helm template CHART | x-calico-route validate -'
    expect(await tool(['validate', file])).toEqual({
      exitCode: 1,
      stdout: `${file}:3:9: error: ${said} [XCR013]\n${file}: 1 error\n`,
      stderr: '',
    })
    expect(await tool(['plan', '--netns', '/proc/self/ns/net', '--ifname', 'lo', file])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `x-calico-route plan: ${file}:3:9: ${said}\n`,
    })
  })

  test.each(['text', 'github'])(
    'prints no name of a file as a command to the log of a pipeline, in %s',
    async (form) => {
      using files = scratch({ '::stop-commands::a.json': '{"plugins": []}' })
      symlinkSync('nowhere', files.file('::stop-commands::b.json'))
      symlinkSync('nowhere', files.file('c\n::stop-commands::c.json'))
      const words = ['validate', ...(form === 'text' ? [] : ['-o', form]), '.']
      const { stdout, stderr, exitCode } = await tool(words, { shell: `cd ${files.directory}; exec "$@"` })
      expect(exitCode).toBe(2)
      expect(stdout).toMatch(form === 'text' ? /^\.\/::stop-commands::a\.json:1:/ : /^::error file=%3A%3Astop-commands/)
      expect(`${stdout}${stderr}`).not.toMatch(/^\s*::stop/m)
    },
  )

  test('names files as a pipeline finds them, relative to where it runs', async () => {
    const config = '{"cniVersion": "1.0.0", "name": "a", "plugins": [{"type": "tuning"}, {"type": "x-calico-route"}]}'
    using files = scratch({ 'a b.json': config })
    const from = async (place: string, word: string) => {
      const shell = `cd ${place}; exec "$@"`
      const [sarif, github] = await Promise.all(
        ['sarif', 'github'].map((form) => tool(['validate', '-o', form, word], { shell })),
      )
      expect([sarif?.exitCode, github?.exitCode]).toEqual([1, 1])
      const [result] = JSON.parse(sarif?.stdout ?? '').runs[0].results
      expect(result.ruleId).toBe('XCR103')
      return [result.locations[0].physicalLocation.artifactLocation.uri, github?.stdout.split(',line=')[0]]
    }
    const path = files.file('a b.json')
    expect(await from(files.directory, './a b.json')).toEqual(['a%20b.json', '::error file=a b.json'])
    expect(await from(files.directory, path)).toEqual(['a%20b.json', `::error file=${path}`])
    expect(await from('/proc', path)).toEqual([`file://${path.replace(' ', '%20')}`, `::error file=${path}`])
  })

  test('silences by a comment what lies between files', async () => {
    const [networks, pod] = [
      `${directory}/calico-underlay.yaml`,
      'kind: Pod\nmetadata:\n  annotations:\n    k8s.v1.cni.cncf.io/networks: kube-system/x\n',
    ]
    using files = scratch({
      'loud.yaml': pod,
      'quiet.yaml': `# x-calico-route: ignore XCR502\n${pod}`,
    })
    const loud = await tool(['validate', '--strict', files.file('loud.yaml'), networks])
    expect(loud).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(/loud\.yaml:4:34: warning: .* \[XCR502\]\n/),
    })
    const quiet = await tool(['validate', '--strict', files.file('quiet.yaml'), networks])
    expect(quiet).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('quiet.yaml: ok (1 pod checked against its networks; 1 silenced)\n'),
    })
  })

  test('reads stdin when no file is named', async () => {
    expect(await tool(['validate'], { input: '{}' })).toEqual({
      exitCode: 1,
      stdout: expect.stringContaining('stdin: error: no network configuration'),
      stderr: '',
    })
  })

  test('says in one line what it cannot read, and reads the rest', async () => {
    using files = scratch({ 'b.json': '{"cniVersion": "1.0.0", "name": "a", "plugins": [{"type": "calico"}]}' })
    const { stdout, stderr, exitCode } = await tool(['validate', files.file('a.json'), files.file('b.json')])
    expect({ stderr, exitCode }).toEqual({
      stderr: `${files.file('a.json')}: no such file or directory\n`,
      exitCode: 2,
    })
    expect(stdout).toBe(`${files.file('b.json')}: ok (1 chain: calico without x-calico-route)\n`)
  })

  test.each([
    ['a directory without configurations', { 'notes.txt': 'x' }, '', / no file in this directory ends in /],
    [
      'a directory of other things',
      { 'pod.yaml': 'kind: Pod' },
      '',
      / no file in this directory has a network configuration/,
    ],
  ])('%s is trouble', async (_, contents, word, expected) => {
    using files = scratch(contents)
    const { stderr, exitCode } = await tool(['validate', files.file(word)])
    expect({ stderr, exitCode }).toEqual({ stderr: expect.stringMatching(expected), exitCode: 2 })
    expect(stderr.split('\n')).toHaveLength(2)
  })

  test('a file of bytes is a problem of that file', async () => {
    using files = scratch({ 'a.conf': randomBytes(200) })
    const { stdout, exitCode } = await tool(['validate', files.file('a.conf')])
    expect({ stdout, exitCode }).toEqual({
      stdout: expect.stringContaining('a.conf: error: not UTF-8 text'),
      exitCode: 1,
    })
  })

  test.each([
    ['of a user who may not', 'permission denied; run this as root, or change its mode'],
    ['that is a link to itself', 'its symbolic links form a loop'],
  ])('a file %s is trouble of one line', async (what, said) => {
    using files = scratch({ 'secret.yaml': 'kind: Pod' })
    symlinkSync('loop.yaml', files.file('loop.yaml'))
    const file = files.file(what.includes('link') ? 'loop.yaml' : 'secret.yaml')
    const shell = `chmod 0 ${files.file('secret.yaml')}; exec setpriv --bounding-set=-all --inh-caps=-all "$@"`
    expect(await tool(['validate', file], { shell })).toEqual({ exitCode: 2, stdout: '', stderr: `${file}: ${said}\n` })
  })

  test('a directory by the name of a file in a directory is trouble, not a crash', async () => {
    using files = scratch({ 'a.json': '{"type": "calico", "cniVersion": "1.0.0", "name": "a"}' })
    mkdirSync(files.file('b.json'))
    const { stdout, stderr, exitCode } = await tool(['validate', files.directory])
    expect({ stdout, stderr, exitCode }).toEqual({
      stdout: expect.stringContaining('a.json: ok'),
      stderr: `${files.file('b.json')}: is a directory\n`,
      exitCode: 2,
    })
  })

  test.each([
    [['-o', 'xml'], /-o: must be text, json, sarif or github, is "xml"/],
    [['--nope'], /--nope: is not an option of this command/],
  ])('refuses %s', async (words, expected) => {
    const { stderr, exitCode } = await tool(['validate', ...words])
    expect({ stderr, exitCode }).toEqual({ stderr: expect.stringMatching(expected), exitCode: 2 })
  })
})

test('x-calico-route schema prints a JSON Schema', async () => {
  const { stdout, exitCode } = await tool(['schema'])
  expect(exitCode).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    required: ['type'],
  })
})
