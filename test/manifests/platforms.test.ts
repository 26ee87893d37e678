import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type DaemonSet, manifest, monitored, type Operation, onPlatform, patched } from '../support/daemonset.ts'
import { problems } from '../support/k8s-schema.ts'
import { textOf } from '../support/manifests.ts'

const PLATFORMS = readdirSync(new URL('../../conf-examples/platforms', import.meta.url)).sort()
/** Their plugin directories. */
const DIRECTORIES = {
  gke: '/home/kubernetes/bin',
  k3s: '/var/lib/rancher/k3s/data/cni',
  openshift: '/var/lib/cni/bin',
}
const USUAL = '/opt/cni/bin'

const daemonSet = manifest<DaemonSet>('daemonset.yaml')
const patchOf = (platform: string) => manifest<Operation[]>(`../platforms/${platform}/daemonset.yaml`)
const component = (platform: string) => manifest<object>(`../platforms/${platform}/kustomization.yaml`)

/** The same with another plugin directory, in all places that have one. */
function elsewhere(directory: string): DaemonSet {
  const moved: DaemonSet = JSON.parse(JSON.stringify(daemonSet).replaceAll(USUAL, directory))
  const { initContainers = [], containers } = moved.spec.template.spec
  for (const { args } of [...initContainers, ...containers]) args.push(`--to=${directory}`)
  return moved
}

it('components are those that the documents have', () => {
  expect(PLATFORMS).toEqual([...Object.keys(DIRECTORIES), 'selinux'])
  const page = textOf('docs/platforms.md')
  for (const name of PLATFORMS) expect(page).toContain(`| \`${name}\` |`)
  for (const [name, directory] of Object.entries(DIRECTORIES))
    expect(page).toMatch(new RegExp(`^\\|.*\`${directory}\`.*\\| \`${name}\` \\|$`, 'm'))
})

describe.each(PLATFORMS)('%s', (name) => {
  it('is valid, and the DaemonSet with it', () => {
    expect(problems(onPlatform(name), 'apps/v1 DaemonSet')).toEqual([])
  })

  it('says in its first lines how to use it, by its own name', () => {
    expect(textOf(`conf-examples/platforms/${name}/kustomization.yaml`)).toContain(
      `#   components: [../platforms/${name}]\n`,
    )
  })

  it('goes with conf-examples/monitoring, whichever comes first', () => {
    const monitoring = manifest<Operation[]>('../monitoring/daemonset.yaml')
    const one = patched(onPlatform(name), monitoring)
    const other = patched(monitored, patchOf(name))
    expect(one.spec.template.spec.containers).toEqual(other.spec.template.spec.containers)
  })

  it('lists all files of its directory', () => {
    const files = readdirSync(new URL(`../../conf-examples/platforms/${name}`, import.meta.url)).sort()
    const { resources = [], patches = [] } = component(name) as { resources?: string[]; patches?: { path: string }[] }
    expect(['kustomization.yaml', ...resources, ...patches.map(({ path }) => path)].sort()).toEqual(files)
  })
})

describe('a platform with a plugin directory of its own', () => {
  const cases = Object.entries(DIRECTORIES)

  it.each(cases)('%s: the plugin goes there, and to no other place', (name, directory) => {
    expect(patched(daemonSet, patchOf(name))).toEqual(elsewhere(directory))
  })

  it.each(cases)('%s: is refused where another volume or mount has come first', (name) => {
    const pod = (made: DaemonSet) => made.spec.template.spec
    const lists: ((made: DaemonSet) => unknown[])[] = [
      (made) => pod(made).volumes,
      (made) => pod(made).initContainers?.[0]?.volumeMounts ?? [],
      (made) => pod(made).containers[0]?.volumeMounts ?? [],
    ]
    for (const list of lists) {
      const changed = structuredClone(daemonSet)
      list(changed).unshift({ name: 'logs', mountPath: '/logs' })
      expect(() => patched(changed, patchOf(name))).toThrow(/ is "root", not "plugins"/)
    }
  })

  it('is also where conf-examples/uninstall looks, by a replacement of what stands after "="', () => {
    const { replacements } = manifest<{
      replacements: { source: object; targets: { fieldPaths: string[]; options: object }[] }[]
    }>('../uninstall/kustomization.yaml')
    const container = 'spec.template.spec.containers.[name=uninstall]'
    expect(replacements).toEqual([
      {
        source: { kind: 'DaemonSet', fieldPath: 'spec.template.spec.volumes.[name=plugins].hostPath.path' },
        targets: [
          {
            select: { kind: 'DaemonSet' },
            fieldPaths: [`${container}.args.3`, `${container}.readinessProbe.exec.command.3`],
            options: { delimiter: '=', index: 1 },
          },
        ],
      },
    ])
  })
})

describe('SELinux', () => {
  it.each(['openshift', 'selinux'])('%s: the containers have the type of those that manage their node', (name) => {
    expect(onPlatform(name).spec.template.spec.securityContext).toEqual({
      ...daemonSet.spec.template.spec.securityContext,
      seLinuxOptions: { type: 'spc_t' },
    })
  })
})

it('on OpenShift only the ServiceAccount of the pods may use the constraint', () => {
  const { serviceAccountName } = daemonSet.spec.template.spec
  const { namespace } = daemonSet.metadata
  expect(manifest('../platforms/openshift/rolebinding.yaml')).toMatchObject({
    metadata: { namespace },
    subjects: [{ kind: 'ServiceAccount', name: serviceAccountName, namespace }],
    roleRef: { kind: 'ClusterRole', name: 'system:openshift:scc:privileged' },
  })
})

it('on GKE a quota names the class of the pods', () => {
  expect(manifest('../platforms/gke/resourcequota.yaml')).toMatchObject({
    metadata: { namespace: daemonSet.metadata.namespace },
    spec: { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', values: ['system-node-critical'] }] } },
  })
  expect(daemonSet.spec.template.spec).toMatchObject({ priorityClassName: 'system-node-critical' })
})
