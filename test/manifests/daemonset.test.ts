import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { containerOf, type DaemonSet, hostPathOf, manifest, pod, uninstaller } from '../support/daemonset.ts'

const page = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

describe('the DaemonSet', () => {
  const { metadata, spec } = manifest<DaemonSet>('daemonset.yaml')
  const containers = [containerOf('install'), containerOf('stay')]

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
      stay: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'SYS_ADMIN', 'SYS_CHROOT'] },
      },
    })
    expect(pod).toMatchObject({ securityContext: { seccompProfile: { type: 'RuntimeDefault' } } })
    for (const namespace of ['hostPID', 'hostIPC']) expect(pod).not.toHaveProperty(namespace)
  })

  it('is ready by what the plugin answers on the node, whatever tenants make of the routes in their pods', () => {
    const [executable, ...words] = containerOf('stay').readinessProbe?.exec.command ?? []
    expect([executable, ...words]).toEqual([
      '/x-calico-route',
      'install',
      '--check',
      ...containerOf('install').args.slice(1),
    ])
    // What the init container could ask, this one can.
    const { mountPath: host, ...mount } = containerOf('install').volumeMounts[0] ?? {}
    expect(words).toContain(`--host-root=${host}`)
    expect(containerOf('stay').volumeMounts).toContainEqual({ ...mount, mountPath: host })
  })

  it('can write to the directory of plugins, and to nothing else of the node', () => {
    const mounts = containers.flatMap(({ volumeMounts }) => volumeMounts)
    const written = mounts.filter(({ readOnly }) => !readOnly).map(({ name }) => hostPathOf(name))
    expect(new Set(written)).toEqual(new Set(['/opt/cni/bin']))
    for (const { mountPath, name } of containerOf('install').volumeMounts)
      expect(`${mountPath}/`).toBe(`/host${hostPathOf(name)}/`.replace('//', '/'))
    for (const { mountPath, name } of containerOf('stay').volumeMounts)
      expect(mountPath).toBe(name === 'root' ? '/host' : hostPathOf(name))
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

  it('has the image, mounts and limits of the one that installs, and fewer capabilities', () => {
    const { image, resources, volumeMounts, securityContext } = install
    const capabilities = { drop: ['ALL'], add: ['SYS_CHROOT'] }
    expect(uninstall).toMatchObject({ image, resources, volumeMounts })
    expect(uninstall.securityContext).toEqual({ ...securityContext, capabilities })
  })

  it('waits until nobody needs the plugin, and is ready when it is gone', () => {
    expect(uninstall.args).toEqual(['uninstall', '--stay', '--host-root=/host'])
    expect(uninstall.readinessProbe?.exec.command.slice(1)).toEqual(
      uninstall.args.filter((argument) => argument !== '--stay'),
    )
  })
})

describe('the image', () => {
  it('is built of what .dockerignore lets through', () => {
    const [, ...letThrough] = page('.dockerignore').matchAll(/^!?(\S+)$/gm)
    const copied = [...page('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files = '']) =>
      files.split(' '),
    )
    expect(letThrough.map(([, file]) => file).sort()).toEqual([...new Set(copied)].sort())
  })

  it('does by itself what the DaemonSet asks of it', () => {
    const dockerfile = page('Dockerfile')
    expect(dockerfile).toContain('ENTRYPOINT ["/x-calico-route"]\nCMD ["install"]\n')
    for (const name of ['install', 'stay']) expect(containerOf(name).args[0]).toBe('install')
    for (const name of ['stay', 'uninstall'])
      expect(containerOf(name).readinessProbe?.exec.command[0]).toBe('/x-calico-route')
  })
})
