import { describe, expect, it, vi } from 'vitest'
import { run } from '../../src/cli/main.ts'
import { SET_NAME } from '../../src/config/schema.ts'
import { chartText, DEFAULTS, helmBuilt, notesOf, objectsOf, refusalOf } from '../support/chart.ts'
import { type DaemonSet, manifest, monitored, onPlatform, uninstaller } from '../support/daemonset.ts'
import { problems } from '../support/k8s-schema.ts'
import { type Part, textOf } from '../support/manifests.ts'

// What the build puts into the bundle of commands.
vi.hoisted(() => Object.assign(globalThis, { __VERSION__: '0.0.0' }))

/** As conf-examples/daemonset/kustomization.yaml sets the image. */
function withImage<T>(object: T): T {
  const [{ name, newName, newTag } = {}] = manifest<{ images: Record<string, string>[] }>('kustomization.yaml').images
  return JSON.parse(JSON.stringify(object).replaceAll(`"image":"${name}"`, `"image":"${newName}:${newTag}"`))
}

const BASE = manifest<{ resources: string[] }>('kustomization.yaml').resources.map((file) => manifest<Part>(file))
const nameOf = ({ kind, metadata }: Part) => `${kind} ${(metadata as Part).name}`
const sorted = (objects: Part[]) => objects.toSorted((one, other) => nameOf(one).localeCompare(nameOf(other)))
const base = (daemonSet: object, ...more: Part[]) =>
  sorted(withImage([...BASE.filter(({ kind }) => kind !== 'DaemonSet'), daemonSet as Part, ...more]))

const daemonSetOf = (values: object) =>
  objectsOf(values).find(({ kind }) => kind === 'DaemonSet') as unknown as DaemonSet
const podOf = (values: object) => daemonSetOf(values).spec.template.spec
const argsOf = (values: object) => podOf(values).containers[0]?.args ?? []
const added = (values: object) => argsOf(values).filter((one) => !argsOf({}).includes(one))

/** Keys of what is given whole: those below are not the chart's. */
const WHOLE = ['affinity', 'updateStrategy', 'install', 'agent']

/** `image.tag`, with its default. */
function leaves(values: Part, before = ''): [string, unknown][] {
  return Object.entries(values).flatMap(([key, value]): [string, unknown][] => {
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
    return isMap && !WHOLE.includes(key) ? leaves(value as Part, `${before}${key}.`) : [[`${before}${key}`, value]]
  })
}

describe.skipIf(!helmBuilt)('what helm makes of the chart', () => {
  it('is what conf-examples/daemonset has', () => {
    expect(sorted(objectsOf({}))).toEqual(base(manifest<DaemonSet>('daemonset.yaml')))
  })

  it('with monitoring is what conf-examples/monitoring makes of that', () => {
    const others = ['podmonitor', 'prometheusrule', 'dashboard'].map((file) =>
      manifest<Part>(`../monitoring/${file}.yaml`),
    )
    expect(sorted(objectsOf({ monitoring: { enabled: true } }))).toEqual(base(monitored, ...others))
  })

  it.each([['k3s'], ['openshift', 'rolebinding.yaml'], ['gke', 'resourcequota.yaml']])(
    'for %s is what the component of conf-examples/platforms makes of that',
    (platform, ...files) => {
      const others = files.map((file) => manifest<Part>(`../platforms/${platform}/${file}`))
      expect(sorted(objectsOf({ platform }))).toEqual(base(onPlatform(platform), ...others))
    },
  )

  it('for RKE2 is the same as for any other, and with a type for SELinux what the component of that makes', () => {
    expect(objectsOf({ platform: 'rke2' })).toEqual(objectsOf({}))
    expect(podOf({ seLinuxType: 'spc_t' })).toEqual(withImage(onPlatform('selinux').spec.template.spec))
  })

  it('with `uninstall` is what conf-examples/uninstall has, on every platform', () => {
    const daemonSet = manifest<DaemonSet>('daemonset.yaml')
    const updateStrategy = { rollingUpdate: { maxUnavailable: '100%' } }
    const template = { ...daemonSet.spec.template, spec: uninstaller }
    const expected = { ...daemonSet, spec: { ...daemonSet.spec, updateStrategy, template } }
    expect(sorted(objectsOf({ uninstall: true }))).toEqual(base(expected))
    const k3s = JSON.stringify(withImage(uninstaller)).replaceAll('/opt/cni/bin', '/var/lib/rancher/k3s/data/cni')
    expect(podOf({ uninstall: true, platform: 'k3s' })).toEqual(JSON.parse(k3s))
  })
})

describe.skipIf(!helmBuilt)('a value', () => {
  it('of the image says where it is, and who may have it', () => {
    const images = (image: object) => {
      const { initContainers = [], containers } = podOf({ image })
      return [...new Set([...initContainers, ...containers].map((one) => one.image))]
    }
    expect(images({ repository: 'registry.example:5000/a/b', tag: '1.0' })).toEqual(['registry.example:5000/a/b:1.0'])
    const digest = `sha256:${'0'.repeat(64)}`
    expect(images({ repository: 'a', tag: '1', digest })).toEqual([`a@${digest}`])
    const pod = podOf({ image: { pullPolicy: 'Always', pullSecrets: ['one', 'two'] } })
    expect(pod).toMatchObject({ imagePullSecrets: [{ name: 'one' }, { name: 'two' }] })
    for (const one of [...(pod.initContainers ?? []), ...pod.containers]) expect(one.imagePullPolicy).toBe('Always')
  })

  it('of the plugin directory is stronger than the platform', () => {
    const pod = podOf({ platform: 'openshift', pluginDir: '/usr/lib/cni' })
    expect(pod.volumes.find(({ name }) => name === 'plugins')?.hostPath?.path).toBe('/usr/lib/cni')
    expect(JSON.stringify(pod)).not.toContain('/var/lib/cni/bin')
    for (const { args } of [...(pod.initContainers ?? []), ...pod.containers])
      expect(args).toContain('--to=/usr/lib/cni')
  })

  it.each<[object, string[]]>([
    [{ setsWithin: ['10.0.0.0/8', 'fd00::/8'] }, ['--sets-within=10.0.0.0/8,fd00::/8']],
    [{ repair: true }, ['--repair']],
    [{ extraArgs: ['--interval=30', '--allow-shrink'] }, ['--interval=30', '--allow-shrink']],
    [{ gate: { atOnce: 4 } }, ['--at-once=4']],
    [{ gate: { noGate: true } }, ['--no-gate']],
    [{ metrics: { port: 9000 } }, ['--metrics=127.0.0.1:9000']],
    [{ metrics: { port: 9000 }, monitoring: { enabled: true } }, ['--metrics=[$(HOST_IP)]:9000']],
  ])('%j is an option of the agent', async (values, options) => {
    expect(added(values)).toEqual(options)
    let help = ''
    await run(['agent', '--help'], {
      out: (text) => {
        help += text
      },
      err: () => undefined,
      input: () => '',
      colors: false,
      progress: false,
    })
    for (const option of options) expect(help).toContain(option.replace(/=.*/, ''))
  })

  it.each([{ atOnce: 4 }, { noGate: true }])('gate %j is one of install as well', (gate) => {
    const [option] = added({ gate })
    expect(podOf({ gate }).initContainers?.[0]?.args).toContain(option)
  })

  it('of the port is the probe’s as well, and Prometheus’', () => {
    const [agent] = podOf({ metrics: { port: 9000 }, monitoring: { enabled: true } }).containers
    expect(agent?.readinessProbe?.httpGet).toEqual({ path: '/readyz', port: 9000 })
    expect(agent?.ports).toEqual([{ name: 'metrics', containerPort: 9000, protocol: 'TCP' }])
  })

  it('of the sets makes the ConfigMap that the agent copies', () => {
    const sets = { underlay: ['10.50.0.0/16', 'fd00:10:50::/48'], null: ['10.60.0.0/16'] }
    const [configMap] = objectsOf({ sets }).filter(({ kind }) => kind === 'ConfigMap')
    const { configMap: mounted } = podOf({}).volumes.find(({ name }) => name === 'sets') ?? {}
    expect(configMap).toMatchObject({ metadata: { name: mounted?.name, namespace: 'x-calico-route' } })
    expect(configMap?.data).toEqual({ underlay: '10.50.0.0/16\nfd00:10:50::/48\n', null: '10.60.0.0/16\n' })
  })

  it('of monitoring leaves an object out, and labels the others', () => {
    const kinds = (monitoring: object) =>
      objectsOf({ monitoring: { enabled: true, ...monitoring } })
        .map(({ kind }) => kind)
        .filter((kind) => !BASE.some((one) => one.kind === kind))
        .sort()
    expect(kinds({ podMonitor: false })).toEqual(['ConfigMap', 'PrometheusRule'])
    expect(kinds({ prometheusRule: false })).toEqual(['ConfigMap', 'PodMonitor'])
    expect(kinds({ dashboard: false })).toEqual(['PodMonitor', 'PrometheusRule'])
    const labels = { release: 'kube-prometheus-stack' }
    for (const object of objectsOf({ monitoring: { enabled: true, labels } }))
      if (!BASE.some(({ kind }) => kind === object.kind)) expect(object).toMatchObject({ metadata: { labels } })
  })

  it('of the namespace is where everything is, and where the alerts look', () => {
    const values = { namespace: { name: 'elsewhere' }, monitoring: { enabled: true }, sets: { one: ['10.0.0.0/8'] } }
    for (const platform of ['openshift', 'gke']) {
      const [first, ...others] = objectsOf({ ...values, platform })
      expect(first).toMatchObject({ kind: 'Namespace', metadata: { name: 'elsewhere' } })
      expect(others.map(({ metadata }) => (metadata as Part).namespace)).toEqual(others.map(() => 'elsewhere'))
      expect(JSON.stringify(others)).not.toMatch(
        /"namespace":"x-calico-route"|-n x-calico-route |job=\\"x-calico-route/,
      )
      expect(JSON.stringify(others)).toContain('up{job=\\"elsewhere/x-calico-route\\"}')
    }
    const without = objectsOf({ namespace: { create: false } }).map(({ kind }) => kind)
    expect(without.sort()).toEqual(['DaemonSet', 'ServiceAccount'])
  })

  it.each<[string, unknown]>([
    ['priorityClassName', 'mine'],
    ['tolerations', [{ key: 'a', operator: 'Exists' }]],
    ['nodeSelector', { a: 'b' }],
    ['affinity', { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{}] } } }],
  ])('%s is the pod’s', (key, value) => {
    expect(podOf({ [key]: value })).toHaveProperty(key, value)
  })

  it('of resources and of the strategy is as it is given', () => {
    const [install, agent] = ['1', '2'].map((cpu) => ({ requests: { cpu }, limits: { memory: `${cpu}Gi` } }))
    const { initContainers, containers } = podOf({ resources: { install, agent } })
    expect(initContainers?.[0]?.resources).toMatchObject(install ?? {})
    expect(containers[0]?.resources).toMatchObject(agent ?? {})
    const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 3 } }
    expect(daemonSetOf({ updateStrategy }).spec).toMatchObject({ updateStrategy })
  })

  it.each([
    {},
    { uninstall: true, platform: 'openshift' },
    { platform: 'gke', sets: { one: ['10.0.0.0/8'] }, setsWithin: ['10.0.0.0/8'], repair: true, gate: { atOnce: 2 } },
    { monitoring: { enabled: true, labels: { a: 'b' } }, platform: 'openshift', image: { pullSecrets: ['one'] } },
    { nodeSelector: { a: 'b' }, tolerations: [], priorityClassName: '', affinity: null, gate: { noGate: true } },
  ])('makes objects that the API server takes: %j', (values) => {
    for (const object of objectsOf(values)) expect(problems(object, `${object.apiVersion} ${object.kind}`)).toEqual([])
  })
})

describe.skipIf(!helmBuilt)('values that are wrong', () => {
  it.each<[object, string]>([
    [{ imagee: {} }, 'imagee'],
    [{ image: { tga: '1' } }, "'/image': additional properties 'tga'"],
    [{ image: { tag: 1 } }, '/image/tag'],
    [{ image: { digest: 'sha256:1' } }, '/image/digest'],
    [{ image: { pullPolicy: 'always' } }, '/image/pullPolicy'],
    [{ platform: 'k8s' }, '/platform'],
    [{ pluginDir: 'opt/cni/bin' }, '/pluginDir'],
    [{ pluginDir: '/opt/cni/bin/' }, '/pluginDir'],
    [{ namespace: { name: 'A' } }, '/namespace/name'],
    [{ sets: { Underlay: ['10.0.0.0/8'] } }, "'/sets': additional properties 'Underlay'"],
    [{ sets: { underlay: '10.0.0.0/8' } }, '/sets/underlay'],
    [{ sets: { underlay: ['10.0.0.0/8', '10.0.0.0'] } }, '/sets/underlay/1'],
    [{ sets: { underlay: [] } }, '/sets/underlay'],
    [{ setsWithin: ['10.0.0.0'] }, '/setsWithin/0'],
    [{ repair: 'yes' }, '/repair'],
    [{ extraArgs: ['interval=30'] }, '/extraArgs/0'],
    [{ gate: { atOnce: 65 } }, '/gate/atOnce'],
    [{ gate: { atOnce: 2, noGate: true } }, 'gate: atOnce and noGate exclude each other; remove one of them'],
    [{ metrics: { port: 0 } }, '/metrics/port'],
    [{ monitoring: { podmonitor: true } }, "'/monitoring': additional properties 'podmonitor'"],
    [{ resources: { agent: { limit: {} } } }, "'/resources/agent': additional properties 'limit'"],
    [{ tolerations: {} }, '/tolerations'],
    [{ updateStrategy: { type: 'Recreate' } }, '/updateStrategy/type'],
  ])('%j: refused, and told which', (values, words) => {
    expect(refusalOf(values)).toContain(words)
  })

  it('a release in the namespace that the chart is to make is refused, and told what to do instead', () => {
    const words = 'namespace.create: the release itself is in x-calico-route, so that exists already'
    expect(refusalOf({}, '--namespace=x-calico-route')).toContain(words)
    expect(refusalOf({ namespace: { create: false } }, '--namespace=x-calico-route')).toBe('')
  })

  it('those of before are taken when they are right', () => {
    expect(refusalOf({ image: { tag: '1' }, platform: 'k3s', sets: { underlay: ['10.0.0.0/8'] } })).toBe('')
  })
})

describe.skipIf(!helmBuilt)('the notes', () => {
  it('say where the plugin goes, and how much memory Multus needs, as docs/install.md has it', () => {
    const notes = notesOf({ platform: 'k3s' })
    expect(notes).toContain('x-calico-route goes to /var/lib/rancher/k3s/data/cni of every node')
    const rows = [...textOf('docs/install.md').matchAll(/^\| (\d+) \| .* \| (\d+ MiB) \|$/gm)]
    expect(rows).toHaveLength(3)
    for (const [, pods, cold] of rows) expect(notes).toMatch(new RegExp(` ${pods} pods +${cold}\n`))
  })

  it('name a set that there is', () => {
    expect(notesOf({ sets: { west: ['10.0.0.0/8'], east: ['10.0.0.0/8'] } })).toContain('{ "set": "east" }')
  })

  it('say how it goes on, while it uninstalls', () => {
    expect(notesOf({ uninstall: true })).toContain('run helm uninstall release -n kube-system')
  })
})

describe('the chart', () => {
  const readme = chartText('README.md')
  const schema = JSON.parse(chartText('values.schema.json'))

  it('has the version of what it installs', () => {
    const { version } = JSON.parse(textOf('package.json'))
    expect(chartText('Chart.yaml')).toContain(`\nversion: ${version}\nappVersion: ${version}\n`)
  })

  it.each(['podmonitor', 'prometheusrule', 'dashboard'])('has the %s of conf-examples/monitoring', (name) => {
    expect(chartText(`files/${name}.yaml`)).toBe(textOf(`conf-examples/monitoring/${name}.yaml`))
  })

  it('lists every value and its default in its README, and no other', () => {
    const rows = [...readme.matchAll(/^\| (`.*?) \| (.*?) \| .* \|$/gm)].flatMap(([, names = '', defaults = '']) => {
      const shown = defaults.match(/`[^`]*`/g) ?? []
      return names.split(', ').map((name, i) => [name.slice(1, -1), shown[i]?.slice(1, -1)] as const)
    })
    expect(rows.map(([name]) => name).sort()).toEqual(
      leaves(DEFAULTS)
        .map(([name]) => name)
        .sort(),
    )
    for (const [name, value] of leaves(DEFAULTS)) {
      const [, shown] = rows.find(([one]) => one === name) ?? []
      const written = typeof value === 'string' && value !== '' ? value : JSON.stringify(value)
      if (shown !== undefined) expect(shown.replaceAll(/[" ]/g, ''), name).toBe(written.replaceAll(/[" ]/g, ''))
    }
  })

  it('has every value in its schema, and no map there that takes more', () => {
    const missing = leaves(DEFAULTS).filter(
      ([name]) => name.split('.').reduce((part, key) => part?.properties?.[key], schema) === undefined,
    )
    expect(missing).toEqual([])
    const open = (part: Part): boolean =>
      Object.values((part.properties ?? {}) as Record<string, Part>).some(open) ||
      (part.properties !== undefined && part.additionalProperties !== false)
    expect(open(schema)).toBe(false)
  })

  it('takes the names of sets that the plugin takes', () => {
    const [pattern = ''] = Object.keys(schema.properties.sets.patternProperties)
    for (const name of ['a', 'underlay', 'a-1', 'a'.repeat(63), '-a', 'a-', 'A', 'a_b', 'a'.repeat(64), ''])
      expect(new RegExp(pattern).test(name), name).toBe(SET_NAME.test(name))
  })
})
