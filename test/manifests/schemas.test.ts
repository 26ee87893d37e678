import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { monitored, uninstaller } from '../support/daemonset.ts'
import { problems, SCHEMA_FILES } from '../support/k8s-schema.ts'
import { FILES, MANIFESTS, OBJECTS, type Part, textOf, VERSIONS } from '../support/manifests.ts'

const CASES = OBJECTS.map(({ title, kind, body }) => [title, kind, body] as const)

// As strict as kubectl --validate=strict, without a cluster. kind/check.sh asks a real API server.
describe('a manifest', () => {
  it.each(CASES)('%s is valid', (_, kind, body) => {
    expect(problems(body, kind)).toEqual([])
  })

  it.each(FILES)('%s says the same to readers of YAML 1.1, as kubectl is one', (file) => {
    const read = (version: '1.1' | '1.2') => parseAllDocuments(textOf(file), { version }).map((each) => each.toJS())
    expect(read('1.1')).toEqual(read('1.2'))
  })

  it.each(SCHEMA_FILES.flatMap(({ kinds }) => Object.keys(kinds)))('%s: there is one for this schema', (kind) => {
    expect(MANIFESTS.map((each) => each.kind)).toContain(kind)
  })
})

describe('what is made of manifests', () => {
  it('KubeVirt, when kind/up.sh turns emulation on, is valid', () => {
    const [, patch = ''] = /patch kubevirt kubevirt --type merge \\\n\s+--patch '(.*)'/.exec(textOf('kind/up.sh')) ?? []
    const { body, kind } = only('kubevirt.io/v1 KubeVirt')
    const spec = { ...(body.spec as Part), ...JSON.parse(patch).spec }
    expect(spec).toMatchObject({ configuration: { developerConfiguration: { useEmulation: true } } })
    expect(problems({ ...body, spec }, kind)).toEqual([])
  })

  it('the pod that uninstalls is valid', () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'uninstall' }, spec: uninstaller }
    expect(problems(pod, 'v1 Pod')).toEqual([])
  })

  it('the DaemonSet whose metrics are scraped is valid', () => {
    expect(problems(monitored, 'apps/v1 DaemonSet')).toEqual([])
  })
})

describe('schemas', () => {
  it.each(SCHEMA_FILES.map(({ name, from }) => [name, from] as const))(
    '%s is of the versions that kind/ installs',
    (_, from) => {
      // To be made again by scripts/schemas.ts, or looked through by hand: test/schemas/README.md
      const pins = Object.entries(from).filter(([key]) => /^[A-Z_]+$/.test(key))
      expect(pins).toEqual(pins.map(([key]) => [key, VERSIONS.get(key)]))
    },
  )

  it('there are for everything that has a version', () => {
    const pinned = SCHEMA_FILES.flatMap(({ from }) => Object.keys(from))
    const versions = [...VERSIONS.keys()].filter((key) => /_VERSION$|^KIND_NODE_IMAGE$/.test(key))
    expect(versions.filter((key) => !pinned.includes(key))).toEqual([])
  })
})

/** Keys of maps are anybody's; everything else in a manifest is a field that somebody has to know. */
const MAPS = ['annotations', 'data', 'hard', 'labels', 'limits', 'matchLabels', 'requests', 'stringData']

type Path = (string | number)[]

interface Place {
  readonly path: Path
  readonly isField: boolean
  readonly isScalar: boolean
}

function placesIn(value: unknown, path: Path = []): Place[] {
  if (typeof value !== 'object' || value === null) return []
  const isArray = Array.isArray(value)
  return Object.entries(value).flatMap(([key, each]) => {
    const inside = [...path, isArray ? Number(key) : key]
    const isField = !isArray && !MAPS.includes(String(path.at(-1)))
    return [{ path: inside, isField, isScalar: typeof each !== 'object' }, ...placesIn(each, inside)]
  })
}

const dotted = (path: Path) => z.core.toDotPath(path)

/** A copy with one place changed. */
function changed(body: Part, path: Path, change: (parent: Part, key: string) => void): Part {
  const copy = structuredClone(body)
  const parent = path.slice(0, -1).reduce<unknown>((value, key) => (value as Part)[key], copy)
  change(parent as Part, String(path.at(-1)))
  return copy
}

function only(kind: string) {
  const found = OBJECTS.find((each) => each.kind === kind)
  if (!found) throw new Error(`there is no ${kind}`)
  return found
}

describe('a mistake is found', () => {
  it.each(CASES)('%s, whichever field is misspelt', (_, kind, body) => {
    const fields = placesIn(body).filter(({ isField }) => isField)
    expect(fields.length).toBeGreaterThan(3)
    for (const { path } of fields) {
      const misspelt = changed(body, path, (parent, key) => {
        parent[`${key}x`] = parent[key]
        delete parent[key]
      })
      const where = dotted([...path.slice(0, -1), `${path.at(-1)}x`])
      expect(problems(misspelt, kind)).toContain(`${where}: unknown field`)
    }
  })

  it.each(CASES)('%s, whichever value is of another type', (_, kind, body) => {
    for (const { path } of placesIn(body).filter(({ isScalar }) => isScalar)) {
      const wrong = changed(body, path, (parent, key) => {
        parent[key] = [[]]
      })
      expect(problems(wrong, kind)).toContainEqual(expect.stringContaining(`${dotted(path)}: Invalid`))
    }
  })

  it.each<[what: string, kind: string, path: Path, value: unknown, problem: string]>([
    ['a container without a name', 'v1 Pod', ['spec', 'containers', 0, 'name'], undefined, 'Invalid input'],
    ['no containers', 'v1 Pod', ['spec', 'containers'], undefined, 'Invalid input'],
    ['no selector', 'apps/v1 DaemonSet', ['spec', 'selector'], undefined, 'Invalid input'],
    [
      'a quantity of memory that is none',
      'apps/v1 DaemonSet',
      ['spec', 'template', 'spec', 'containers', 0, 'resources', 'limits', 'memory'],
      '256 MiB',
      'Invalid string',
    ],
    [
      'a label that is a number',
      'apps/v1 DaemonSet',
      ['metadata', 'labels', 'app.kubernetes.io/name'],
      1,
      'Invalid input',
    ],
    [
      'a network without configuration',
      'k8s.cni.cncf.io/v1 NetworkAttachmentDefinition',
      ['spec', 'config'],
      undefined,
      'Invalid input',
    ],
    ['an address for a list of them', 'kubeovn.io/v1 Subnet', ['spec', 'excludeIps'], '10.0.1.1', 'Invalid'],
    [
      'an encapsulation that Calico lacks',
      'operator.tigera.io/v1 Installation',
      ['spec', 'calicoNetwork', 'ipPools', 0, 'encapsulation'],
      'vxlan',
      'Invalid',
    ],
    [
      'a port beyond the last',
      'projectcalico.org/v3 NetworkPolicy',
      ['spec', 'egress', 0, 'destination', 'ports', 0],
      65536,
      'Too big',
    ],
    ['a third type of policy', 'projectcalico.org/v3 NetworkPolicy', ['spec', 'types', 0], 'egress', 'Invalid'],
    ['a priority that sorts elsewhere', "values of Kube-OVN's chart", ['cni', 'configPriority'], '9', 'Invalid string'],
    ['another version', 'kubevirt.io/v1 VirtualMachine', ['apiVersion'], 'kubevirt.io/v1alpha3', 'Invalid'],
  ])('%s', (_, kind, path, value, problem) => {
    const { body } = only(kind)
    const wrong = changed(body, path, (parent, key) => {
      if (value === undefined) delete parent[key]
      else parent[key] = value
    })
    expect(problems(wrong, kind)).toEqual([expect.stringContaining(`${dotted(path)}: ${problem}`)])
  })

  it('a kind without a schema', () => {
    expect(problems({}, 'apps/v1 Deployment')).toEqual([
      'apps/v1 Deployment: there is no schema for it in test/schemas/',
    ])
  })
})
