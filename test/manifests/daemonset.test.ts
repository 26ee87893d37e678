import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { SETS_DIR } from '../../src/config/schema.ts'
import { TURNS } from '../../src/kernel/turns.ts'
import {
  containerOf,
  type DaemonSet,
  hostPathOf,
  manifest,
  monitored,
  type Operation,
  patched,
  pod,
  uninstaller,
} from '../support/daemonset.ts'
import { all } from '../support/examples.ts'

const page = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

describe('the DaemonSet', () => {
  const { metadata, spec } = manifest<DaemonSet>('daemonset.yaml')
  const [install, agent] = [containerOf('install'), containerOf('agent')]
  const containers = [install, agent]

  it('is all there is in its directory, with what the kustomization lists', () => {
    const { resources } = manifest<{ resources: string[] }>('kustomization.yaml')
    const files = readdirSync(new URL('../../conf-examples/daemonset', import.meta.url))
    expect(files.sort()).toEqual([...resources, 'kustomization.yaml'].sort())
  })

  it('has the names that the cluster of kind/ asks for', () => {
    expect(metadata).toMatchObject({ name: 'x-calico-route', namespace: 'x-calico-route' })
    const { images, resources } = parse(page('kind/daemonset/kustomization.yaml'))
    expect(resources).toEqual(['../../conf-examples/daemonset'])
    const [{ name }] = images
    for (const { image } of containers) expect(image).toBe(name)
    // Kustomize looks for the name that the base gives the image.
    expect(manifest('kustomization.yaml')).toMatchObject({ images: [{ name, newName: name }] })
  })

  it('takes an image that the node has, whatever tag it had when it was applied first', () => {
    for (const { imagePullPolicy } of containers) expect(imagePullPolicy).toBe('IfNotPresent')
  })

  it('selects its own pods', () => {
    expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels)
  })

  it('runs on every node, before pods have a network', () => {
    expect(pod).toMatchObject({
      hostNetwork: true,
      priorityClassName: 'system-node-critical',
      tolerations: [{ operator: 'Exists' }],
    })
  })

  it('gets no token of the API server', () => {
    expect(pod.automountServiceAccountToken).toBe(false)
    const account = { metadata: { name: pod.serviceAccountName, namespace: metadata.namespace } }
    expect(manifest('serviceaccount.yaml')).toMatchObject({ ...account, automountServiceAccountToken: false })
  })

  it('is in a namespace that admits it', () => {
    expect(manifest('namespace.yaml')).toMatchObject({
      metadata: { name: metadata.namespace, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
    })
  })

  it('has the capabilities it needs, and no other way to more', () => {
    expect(Object.fromEntries(containers.map(({ name, securityContext }) => [name, securityContext]))).toEqual({
      install: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'SYS_ADMIN', 'SYS_CHROOT'] },
      },
      agent: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'SYS_ADMIN', 'SYS_CHROOT', 'SETUID', 'SETGID'] },
      },
    })
    expect(pod).toMatchObject({ securityContext: { seccompProfile: { type: 'RuntimeDefault' } } })
    for (const namespace of ['hostPID', 'hostIPC']) expect(pod).not.toHaveProperty(namespace)
  })

  it('is ready by what the agent says, which it asks on the node’s loopback: there only the node’s own processes are', () => {
    const { httpGet } = agent.readinessProbe ?? {}
    expect(agent.args).toContain(`--metrics=${httpGet?.host}:${httpGet?.port}`)
    expect(httpGet).toEqual({ path: '/readyz', port: 19_142, host: '127.0.0.1' })
    expect(pod.hostNetwork).toBe(true)
  })

  it('keeps installed what the init container installs: the same node, and the same gate', () => {
    expect(agent.args.filter((argument) => install.args.includes(argument))).toEqual(install.args.slice(1))
    for (const mount of install.volumeMounts) expect(agent.volumeMounts).toContainEqual(mount)
  })

  it('copies the sets of a ConfigMap that need not be there, whose name the example has', () => {
    const { name = '', configMap } = pod.volumes.find((volume) => volume.configMap) ?? {}
    const mount = agent.volumeMounts.find((one) => one.name === name)
    expect(mount).toMatchObject({ readOnly: true })
    expect(agent.args).toContain(`--sets-from=${mount?.mountPath}`)
    // Not by a subPath, which kubelet does not keep up to date.
    expect(mount).not.toHaveProperty('subPath')
    const [example] = all('ConfigMap')
    expect(configMap).toEqual({ name: example?.metadata.name, optional: true })
    expect(example?.metadata.namespace).toBe(metadata.namespace)
  })

  it('has somebody who waits for processes whose parent was killed', () => {
    // Node.js as the first process waits for its own children only.
    expect(pod.shareProcessNamespace).toBe(true)
  })

  it('has the time to bring to its end what it has begun', () => {
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(20)
  })

  it('can write to the directories of plugins, of sets and of turns, and to nothing else of the node', () => {
    const mounts = containers.flatMap(({ volumeMounts }) => volumeMounts)
    const written = mounts.filter(({ readOnly }) => !readOnly).map(({ name }) => hostPathOf(name))
    expect(new Set(written)).toEqual(new Set(['/opt/cni/bin', path.dirname(SETS_DIR), path.dirname(TURNS)]))
    for (const { mountPath, name } of mounts.filter((mount) => mount.name !== 'sets'))
      expect(`${mountPath}/`).toBe(`/host${hostPathOf(name)}/`.replace('//', '/'))
    for (const { name } of pod.volumes) expect(mounts.map((mount) => mount.name)).toContain(name)
  })
})

describe('the DaemonSet that uninstalls', () => {
  const install = containerOf('install')
  const uninstall = containerOf('uninstall')

  it('is the one that installs, with one other container: applied, it takes the place of that', () => {
    expect(manifest('../uninstall/kustomization.yaml')).toMatchObject({
      resources: ['../daemonset'],
      patches: [{ path: 'uninstall.yaml', target: { kind: 'DaemonSet', name: 'x-calico-route' } }],
    })
    const { initContainers, containers, volumes, ...rest } = pod
    expect(uninstaller).toEqual({
      ...rest,
      containers: [uninstall],
      volumes: volumes.filter(({ name }) => uninstall.volumeMounts.some((mount) => mount.name === name)),
    })
  })

  it('has the image, mounts and limits of the one that installs, and fewer capabilities; it can remove the turns', () => {
    const { image, resources, securityContext } = install
    const capabilities = { drop: ['ALL'], add: ['SYS_CHROOT'] }
    const turns = { name: 'turns', mountPath: `/host${path.dirname(TURNS)}` }
    expect(uninstall).toMatchObject({ image, resources, volumeMounts: [...install.volumeMounts, turns] })
    expect(hostPathOf('turns')).toBe(path.dirname(TURNS))
    expect(uninstall.securityContext).toEqual({ ...securityContext, capabilities })
  })

  it.each([
    [['spec', 'template', 'spec', 'volumes'], { name: 'logs', emptyDir: {} }],
    [['spec', 'template', 'spec', 'containers'], { name: 'other' }],
    [['spec', 'template', 'spec', 'initContainers'], { name: 'other' }],
  ])('is made of no DaemonSet in which something else has come first in %j', (keys, added) => {
    const changed = structuredClone(manifest<object>('daemonset.yaml'))
    const list = keys.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], changed) as unknown[]
    list.unshift(added)
    expect(() => patched(changed, manifest<Operation[]>('../uninstall/uninstall.yaml'))).toThrow(/ is ".*", not ".*"/)
  })

  it('waits until nobody needs the plugin, and is ready when it is gone', () => {
    expect(uninstall.args).toEqual(['uninstall', '--stay', '--host-root=/host', `--from=${hostPathOf('plugins')}`])
    expect(uninstall.readinessProbe?.exec?.command.slice(1)).toEqual(
      uninstall.args.filter((argument) => argument !== '--stay'),
    )
  })
})

describe('the DaemonSet whose metrics are scraped', () => {
  const [agent] = monitored.spec.template.spec.containers

  it('listens on the address of its node, where Prometheus and kubelet ask', () => {
    const [{ name = '', containerPort = 0 } = {}] = agent?.ports ?? []
    expect(agent?.args).toContain(`--metrics=[$(HOST_IP)]:${containerPort}`)
    expect(agent?.env).toEqual([{ name: 'HOST_IP', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } }])
    expect(agent?.readinessProbe?.httpGet).toEqual({ path: '/readyz', port: containerPort })
    const { spec } = manifest<PodMonitor>('../monitoring/podmonitor.yaml')
    expect(spec.podMetricsEndpoints).toEqual([expect.objectContaining({ port: name, path: '/metrics' })])
    expect(monitored.spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels)
  })

  it('is the other one in all else', () => {
    const before = containerOf('agent')
    const { env: _, ports: __, args = [], readinessProbe: ___, ...rest } = agent ?? {}
    const { args: argsBefore, readinessProbe: ____, ...restBefore } = before
    expect(rest).toEqual(restBefore)
    expect(args.filter((one) => !one.startsWith('--metrics'))).toEqual(
      argsBefore.filter((one) => !one.startsWith('--metrics')),
    )
  })
})

interface PodMonitor {
  spec: { selector: { matchLabels: Record<string, string> }; podMetricsEndpoints: { port: string; path: string }[] }
}

describe('the image', () => {
  it('is built of what .dockerignore lets through', () => {
    const letThrough = [...page('.dockerignore').matchAll(/^!([^\s/]+)/gm)]
    const copied = [...page('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files = '']) =>
      files.split(' '),
    )
    const names = new Set(letThrough.map(([, name]) => name))
    expect([...names].sort()).toEqual([...new Set(copied.filter((file) => !file.startsWith('scripts/')))].sort())
  })

  it('does by itself what the DaemonSet asks of it', () => {
    const dockerfile = page('Dockerfile')
    expect(dockerfile).toContain('ENTRYPOINT ["/x-calico-route"]\nCMD ["install"]\n')
    for (const name of ['install', 'agent', 'uninstall']) expect(containerOf(name).args[0]).toBe(name)
    expect(containerOf('uninstall').readinessProbe?.exec?.command[0]).toBe('/x-calico-route')
  })
})
