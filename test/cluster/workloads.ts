/** Workloads that use both networks of README's first pod, and the one that its first command patches. */
import { parse } from 'yaml'
import { partOf } from './documents.ts'
import { BUSYBOX } from './kubelet.ts'

/** The annotations of README's first pod. */
export const BOTH: Record<string, string> = parse(partOf('README.md', 'default-network:')).metadata.annotations

/** As far as the patch of README needs it. No node has the label. */
export const multusDaemonSet = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'kube-multus-ds', namespace: 'kube-system' },
  spec: {
    selector: { matchLabels: { app: 'multus' } },
    template: {
      metadata: { labels: { app: 'multus' } },
      spec: {
        nodeSelector: { 'example.com/multus': 'yes' },
        containers: [
          {
            name: 'kube-multus',
            image: BUSYBOX,
            resources: { requests: { cpu: '100m', memory: '50Mi' }, limits: { cpu: '100m', memory: '50Mi' } },
          },
        ],
      },
    },
  },
}

export interface PodOptions {
  readonly annotations?: Record<string, string>
  readonly command?: string[]
}

/** A pod that only waits, in the namespace of the VPC, with both NICs unless told otherwise. */
export const pod = (name: string, { annotations = BOTH, command = ['sleep', '100000'] }: PodOptions = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'tenant', annotations },
  spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'shell', image: BUSYBOX, command }] },
})

/** Exits with 0 if the pod has the routes of both networks. */
const HAS_ROUTES = 'test -n "$(ip route show 10.50.0.0/16 dev eth0)" -a -n "$(ip route show default dev net1)"'

/** Pods that end at once, some at a time, until the job is deleted. */
export const comingAndGoing = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'load', namespace: 'tenant' },
  spec: {
    completions: 10_000,
    parallelism: 6,
    backoffLimit: 0,
    template: {
      metadata: { annotations: BOTH },
      spec: {
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'shell', image: BUSYBOX, command: ['sh', '-c', HAS_ROUTES] }],
      },
    },
  },
}

export const many = (replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'many', namespace: 'tenant' },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'many' } },
    template: {
      metadata: { labels: { app: 'many' }, annotations: BOTH },
      spec: pod('many').spec,
    },
  },
})
