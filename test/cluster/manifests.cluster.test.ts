/** A real API server, with the projects' own definitions, takes every manifest of kind/ and conf-examples/ and keeps all of it. */
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { manifest, monitored, onPlatform, uninstaller } from '../support/daemonset.ts'
import { FILES, MANIFESTS, type Part, textOf } from '../support/manifests.ts'
import { Cluster } from './cluster.ts'
import { partOf, scriptOf, spanOf } from './documents.ts'
import { asStored, lost } from './stored.ts'

/** What nobody applies: files of other tools, and of kubectl's kustomize. */
const NO_OBJECTS = [
  'JSON Patch',
  'cloud-init',
  'kind.x-k8s.io/v1alpha4 Cluster',
  'kustomize.config.k8s.io/v1alpha1 Component',
  'kustomize.config.k8s.io/v1beta1 Kustomization',
  "values of Kube-OVN's chart",
]

/** Where a kustomization applies what is in the directory. */
const KUSTOMIZED = FILES.filter((file) => file.endsWith('/kustomization.yaml')).map(dirname)
/** The copy of conf-examples/ whose DaemonSet has the component of monitoring/. */
const MONITORED = 'monitored/daemonset'
/** Copies whose DaemonSet has a component of platforms/. */
const PLATFORMS = ['gke', 'k3s', 'openshift', 'selinux']
const COPIES = [MONITORED, ...PLATFORMS.map((name) => `${name}/daemonset`), 'openshift/uninstall']
const DIRECTORIES = ['conf-examples/daemonset', ...COPIES, 'kind/daemonset', 'conf-examples/uninstall']

const OBJECTS = MANIFESTS.filter(({ kind }) => !NO_OBJECTS.includes(kind))
const ALONE = [...new Set(OBJECTS.map(({ file }) => file))].filter((file) => !KUSTOMIZED.includes(dirname(file)))

/** As far as the DaemonSet's controller makes a pod for it; it has no room for that, so it stays pending. */
const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'node', labels: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' } },
}

const SELF_SUBJECT_RULES_REVIEW = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview' }
/** One of the group that route-sets.yaml names. */
const AS_EDITOR = '--as=somebody --as-group=network-admins'
const EDITOR = `kubectl() { command kubectl ${AS_EDITOR} "$@"; }`

/** For what controllers do in their own time. */
const WAIT = { timeout: 30_000, interval: 200 }

const list = (items: readonly object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items })

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.controlPlane()
  // KubeVirt's own manifest makes the first, and the documents the other.
  await cluster.type('kubectl create namespace kubevirt')
  await cluster.type(`cd conf-examples; ${scriptOf('docs/kubevirt.md', 'kubectl create namespace tenant')}`)
  await cluster.type('kubectl -n tenant wait --for=create serviceaccount/default --timeout=30s')
  await cluster.type('kubectl create -f -', { input: JSON.stringify(NODE) })
  await cluster.type('kubectl apply -k conf-examples/daemonset')
  const components = partOf('docs/route-sets.md', 'components:')
  await cluster.type('cp -r conf-examples monitored; cat >>monitored/daemonset/kustomization.yaml', {
    input: components,
  })
  for (const name of PLATFORMS)
    await cluster.type(
      `cp -r conf-examples ${name}; echo 'components: [../platforms/${name}]' >>${name}/daemonset/kustomization.yaml`,
    )
})
afterAll(() => cluster?.close())

const typed = async (script: string) => (await cluster.type(script)).stdout
const lines = (text: string) => text.split('\n').filter((line) => line !== '')

/** What kubectl prints with `-o json`: an object, a List, or one object after the other. */
const objectsOf = (command: string) => `${command} -o json | jq -cs 'map(.items // [.]) | add'`
const objects = async (command: string): Promise<Part[]> => JSON.parse(await typed(objectsOf(command)))

/** What the documents have kubectl make of a namespace that it has not made by `apply`. */
const NOT_APPLIED =
  /^Warning: resource namespaces\/tenant is missing the .*\/last-applied-configuration annotation .*\n$/

/** @param source `-f FILE` or `-k DIRECTORY` @param written what that says */
async function expectStored(source: string, written: readonly Part[]): Promise<void> {
  const apply = `kubectl apply --validate=strict ${source}`
  const script = `${apply}; echo ---; ${objectsOf(`kubectl get ${source}`)}; echo ---; ${apply}`
  const { stdout, stderr } = await cluster.type(script)
  expect(stderr.replace(NOT_APPLIED, '')).toBe('')
  const [first = '', stored = '', again = ''] = stdout.split('---\n')
  expect(lines(first)).toHaveLength(written.length)
  const kept: Part[] = JSON.parse(stored)
  expect(kept).toHaveLength(written.length)
  expect(written.flatMap((each, i) => lost(asStored(each), kept[i]))).toEqual([])
  // kubectl cannot know it of texts of Secrets, which the server does not give back
  const changed = lines(again).filter((line) => !/ unchanged$|^secret\//.test(line))
  expect(changed, 'applied again').toEqual([])
}

const made = async (directory: string): Promise<Part[]> =>
  parseAllDocuments(await typed(`kubectl kustomize ${directory}`)).map((each) => each.toJS())

const identity = ({ kind, metadata }: Part) => `${kind} ${(metadata as Part).name}`

const daemonSetIn = (all: readonly Part[]) => all.find(({ kind }) => kind === 'DaemonSet') as Part

/** The same there; the namespace itself without labels. */
function inNamespace(name: string, object: Part): Part {
  if (object.kind === 'Namespace') return { ...object, metadata: { name } }
  return { ...object, metadata: { ...(object.metadata as Part), namespace: name } }
}

describe('every file', () => {
  it('is an object of the API server, or named here as none', async () => {
    const served = lines(await typed('kubectl api-resources --no-headers')).map((line) => {
      const [kind, , apiVersion] = line.trim().split(/\s+/).reverse()
      return `${apiVersion} ${kind}`
    })
    const others = MANIFESTS.map(({ kind }) => kind).filter((kind) => !served.includes(kind))
    expect([...new Set(others)].sort()).toEqual(NO_OBJECTS)
  })

  it.each(ALONE)('%s is stored as it is written', async (file) => {
    await expectStored(
      `-f ${file}`,
      OBJECTS.filter((each) => each.file === file).map(({ body }) => body),
    )
  })
})

describe('a kustomization', () => {
  it('is applied here, whichever it is, and with all that is in its directory', async () => {
    const named = MANIFESTS.filter(({ kind }) => / Kustomization$/.test(kind)).map(({ file }) => dirname(file))
    expect([...named, ...COPIES].sort()).toEqual([...DIRECTORIES].sort())
    const applied = (await Promise.all(DIRECTORIES.map(made))).flat().map(identity)
    const inside = OBJECTS.filter(({ file }) => KUSTOMIZED.includes(dirname(file)))
    expect(inside.map(({ body }) => identity(body)).filter((each) => !applied.includes(each))).toEqual([])
  })

  it.each(DIRECTORIES)('%s is stored as it is written, and nothing is left of the one before', async (directory) => {
    await expectStored(`-k ${directory}`, await made(directory))
    const specs = (all: Part[]) => all.map(({ spec }) => spec)
    const fresh = await objects(`kubectl kustomize ${directory} | kubectl replace --dry-run=server -f -`)
    expect(specs(await objects(`kubectl get -k ${directory}`))).toEqual(specs(fresh))
  })

  it.each<[directory: string, pod: object]>([
    ['conf-examples/uninstall', uninstaller],
    [MONITORED, monitored.spec.template.spec],
    ...PLATFORMS.map((name) => [`${name}/daemonset`, onPlatform(name).spec.template.spec] satisfies [string, object]),
  ])('%s is what the other tests take it for', async (directory, pod) => {
    const { template } = daemonSetIn(await made(directory)).spec as { template: Part }
    expect(JSON.parse(JSON.stringify(template.spec).replaceAll('"x-calico-route:latest"', '"x-calico-route"'))).toEqual(
      pod,
    )
  })
})

it('what uninstalls looks for the plugin where the platform has it', async () => {
  const { template } = daemonSetIn(await made('openshift/uninstall')).spec as { template: Part }
  const { path = '' } =
    onPlatform('openshift').spec.template.spec.volumes.find(({ name }) => name === 'plugins')?.hostPath ?? {}
  const from = `--from=${path}`
  expect(template.spec).toMatchObject({
    containers: [
      {
        args: expect.arrayContaining([from]),
        readinessProbe: { exec: { command: expect.arrayContaining([from]) } },
        volumeMounts: expect.arrayContaining([{ name: 'plugins', mountPath: `/host${path}` }]),
      },
    ],
  })
})

it('the VM of docs/kubevirt.md has its Secret, with the network configuration of its guest', async () => {
  const secret = await typed('kubectl -n tenant get secret testvm-network -o jsonpath={.data.networkdata}')
  expect(Buffer.from(secret, 'base64').toString()).toBe(textOf('conf-examples/cloud-init-v2.yaml'))
  const [vm] = OBJECTS.filter(
    ({ file, kind }) => file.endsWith('s/virtual-machine.yaml') && /VirtualMachine/.test(kind),
  )
  expect(JSON.stringify(vm?.body)).toContain('"networkDataSecretRef":{"name":"testvm-network"}')
})

/** The first object of each group, and a field of it: a text, a switch or a list. */
const FIELDS = {
  'v1 Pod': 'spec.containers[0].image',
  'apps/v1 DaemonSet': 'spec.template.spec.hostNetwork',
  'rbac.authorization.k8s.io/v1 Role': 'rules[0].verbs',
  'k8s.cni.cncf.io/v1 NetworkAttachmentDefinition': 'spec.config',
  'kubeovn.io/v1 Subnet': 'spec.excludeIps',
  'kubevirt.io/v1 VirtualMachine': 'spec.template.spec.domain.devices.interfaces',
  'monitoring.coreos.com/v1 PodMonitor': 'spec.podMetricsEndpoints[0].interval',
  'operator.tigera.io/v1 Installation': 'spec.calicoNetwork.ipPools',
  'projectcalico.org/v3 NetworkPolicy': 'spec.egress[0].action',
}

describe('a mistake is found by the server, which names the field', () => {
  const refusals = async (objects: Part[]) => {
    // not as a List, which kubectl would check itself
    const options = { input: objects.map((each) => JSON.stringify(each)).join('\n---\n'), reject: false }
    return (await cluster.type('kubectl create --dry-run=server --validate=strict -f -', options)).stderr
  }

  it.each(Object.entries(FIELDS))('%s: %s', async (kind, path) => {
    const body = OBJECTS.find((each) => each.kind === kind)?.body
    const keys = path.split(/\W+/).filter((key) => key !== '')
    const last = keys.pop() ?? ''
    const withMistake = (mistake: (parent: Part) => void) => {
      const copy = structuredClone(body) as Part
      mistake(keys.reduce((value, key) => value[key] as Part, copy))
      return copy
    }
    const misspelt = withMistake((parent) => {
      parent[`${last}x`] = parent[last]
      delete parent[last]
    })
    const ofAnotherType = withMistake((parent) => {
      parent[last] = 0.5
    })
    // the kinds of Kubernetes itself leave indices out
    const named = [`${path}: Invalid value: "number"`, `.${path.replaceAll(/\[\d+\]/g, '')} of type `]
    const said = await refusals([misspelt, ofAnotherType])
    expect(said).toContain(`unknown field "${path}x"`)
    expect(named.filter((words) => said.includes(words)).length, said).toBe(1)
  })

  it('in each group', () => {
    const groups = (kinds: string[]) => [...new Set(kinds.map((kind) => kind.replace(/ .*/, '')))].sort()
    expect(groups(Object.keys(FIELDS))).toEqual(groups(OBJECTS.map(({ kind }) => kind)))
  })
})

describe('the pod of the DaemonSet', () => {
  const podsIn = (namespace: string) => objects(`kubectl -n ${namespace} get pods`)

  it('is made, and has no token', async () => {
    await cluster.type('kubectl apply -k conf-examples/daemonset')
    await expect.poll(async () => (await podsIn('x-calico-route')).length, WAIT).toBe(1)
    const [pod] = await podsIn('x-calico-route')
    expect(JSON.stringify(pod)).not.toMatch(/serviceAccountToken|\/var\/run\/secrets/)
  })

  it('is refused where the label of namespace.yaml is missing, and made when that is there', async () => {
    const elsewhere = (await made('conf-examples/daemonset')).map((each) => inNamespace('unlabelled', each))
    await cluster.type('kubectl apply -f -', { input: list(elsewhere) })
    const failed = 'kubectl -n unlabelled get events --field-selector reason=FailedCreate'
    await expect.poll(async () => JSON.stringify(await objects(failed)), WAIT).toContain('violates PodSecurity')
    const why = JSON.stringify(await objects(failed))
    for (const reason of ['"baseline:latest\\"', 'host namespaces', 'hostPath volumes', 'SYS_ADMIN'])
      expect(why).toContain(reason)
    expect(await podsIn('unlabelled')).toEqual([])
    const [label] = Object.entries(manifest<{ metadata: { labels: object } }>('namespace.yaml').metadata.labels)
    await cluster.type(`kubectl label namespace unlabelled ${label?.join('=')}`)
    await expect.poll(async () => (await podsIn('unlabelled')).length, WAIT).toBe(1)
  })
})

describe('rights in the namespace x-calico-route', () => {
  /** What the server is, and whether it is well. */
  const PUBLIC =
    /^\/(apis?|healthz|livez|readyz|openapi|version|\.well-known\/openid-configuration|openid\/v1\/jwks)\/?\*?$/
  const OF_ANYBODY = ['authentication.k8s.io', 'authorization.k8s.io']
  /** What a user may do to objects there, apart from asking about itself. */
  async function rightsOf(user: string): Promise<Part[]> {
    const review = { ...SELF_SUBJECT_RULES_REVIEW, spec: { namespace: 'x-calico-route' } }
    const ask = `kubectl create --validate=false -f - -o json ${user}`
    const { status } = JSON.parse((await cluster.type(ask, { input: JSON.stringify(review) })).stdout)
    const nonResource: { verbs: string[]; nonResourceURLs: string[] }[] = status.nonResourceRules
    expect([...new Set(nonResource.flatMap(({ verbs }) => verbs))]).toEqual(['get'])
    expect(nonResource.flatMap(({ nonResourceURLs }) => nonResourceURLs).filter((url) => !PUBLIC.test(url))).toEqual([])
    const rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[] = status.resourceRules
    return rules.filter(
      ({ apiGroups, resources, verbs }) =>
        `${verbs}` !== 'create' ||
        !apiGroups.every((group) => OF_ANYBODY.includes(group)) ||
        !resources.every((resource) => resource.startsWith('selfsubject')),
    )
  }

  beforeAll(async () => {
    await cluster.type('kubectl apply -k conf-examples/daemonset; kubectl apply -f conf-examples/route-sets.yaml')
  })

  it('the ServiceAccount has none', async () => {
    expect(await rightsOf('--as=system:serviceaccount:x-calico-route:x-calico-route')).toEqual([])
  })

  it('the Role of route-sets.yaml is for its ConfigMap, and nobody else has rights', async () => {
    const [verbs, resource] = [['get', 'update', 'patch'], { apiGroups: [''], resources: ['configmaps'] }]
    expect(await rightsOf(AS_EDITOR)).toEqual([{ verbs, ...resource, resourceNames: ['x-calico-route-sets'] }])
    expect(await rightsOf('--as=somebody')).toEqual([])
  })

  it('who has the Role adds a prefix as docs/route-sets.md says, and applies the ConfigMap alone', async () => {
    await cluster.type(`${EDITOR}; ${scriptOf('docs/route-sets.md', '10.70.0.0/16')}`)
    const sets = 'kubectl -n x-calico-route get configmap x-calico-route-sets -o jsonpath={.data.underlay}'
    expect(await typed(sets)).toContain('10.70.0.0/16')
    const [configMap] = OBJECTS.filter(({ file }) => file === 'conf-examples/route-sets.yaml').map(({ body }) => body)
    await cluster.type(`${EDITOR}; kubectl apply -f -`, { input: JSON.stringify(configMap) })
    expect(await typed(sets)).not.toContain('10.70.0.0/16')
  })

  it('and neither applies the whole file nor hurries kubelet', async () => {
    const commands = [
      'kubectl apply -f conf-examples/route-sets.yaml',
      scriptOf('docs/route-sets.md', '--overwrite route-sets'),
    ]
    for (const command of commands) {
      const { stderr, exitCode } = await cluster.type(`${EDITOR}; ${command}`, { reject: false })
      expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('Forbidden') })
    }
  })
})

it('removal, as docs/install.md has it, takes away all that the DaemonSet came with', async () => {
  await cluster.type(spanOf('docs/install.md', 'apply -k conf-examples/uninstall'))
  await cluster.type(spanOf('docs/install.md', 'delete -k conf-examples/uninstall'))
  const left = await typed('kubectl get namespace,clusterrole,clusterrolebinding -o name')
  expect(lines(left).filter((name) => name.includes('x-calico-route'))).toEqual([])
})
