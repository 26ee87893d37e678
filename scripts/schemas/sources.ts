/** Where schemas and definitions are from: modules of Go, in the versions of kind/versions.env. */

/** Where a project's CustomResourceDefinitions are: in a file of a module, or made of a package of types. */
export type Definitions =
  | {
      /** If it is another one, of the same version. */
      readonly module?: string
      /** YAML, or KubeVirt's Go with YAML in it. */
      readonly file: string
    }
  | { readonly package: string }

export interface Source {
  readonly module: string
  /** The key in kind/versions.env whose value says the version; absent for what kind/up.sh does not install. */
  readonly pin?: string
  /** The version of the module. @param pin that value */
  readonly version: (pin: string) => string
  /** Kinds, by package of the module and apiVersion. */
  readonly packages: readonly {
    readonly path: string
    readonly apiVersion: string
    readonly kinds: readonly string[]
  }[]
  readonly definitions?: Definitions
}

export const SOURCES: Record<string, Source> = {
  kubernetes: {
    pin: 'KIND_NODE_IMAGE',
    module: 'k8s.io/api',
    // kindest/node:v1.35.0@sha256:… is k8s.io/api v0.35.0
    version: (image) => image.replace(/^.*:v1\.([\d.]+)@.*$/, 'v0.$1'),
    packages: [
      {
        path: 'core/v1',
        apiVersion: 'v1',
        kinds: ['ConfigMap', 'Namespace', 'Pod', 'ResourceQuota', 'Secret', 'ServiceAccount'],
      },
      { path: 'apps/v1', apiVersion: 'apps/v1', kinds: ['DaemonSet'] },
      { path: 'rbac/v1', apiVersion: 'rbac.authorization.k8s.io/v1', kinds: ['Role', 'RoleBinding'] },
    ],
  },
  kind: {
    pin: 'KIND_VERSION',
    module: 'sigs.k8s.io/kind',
    version: (pin) => pin,
    packages: [{ path: 'pkg/apis/config/v1alpha4', apiVersion: 'kind.x-k8s.io/v1alpha4', kinds: ['Cluster'] }],
  },
  'kube-ovn': {
    pin: 'KUBE_OVN_VERSION',
    module: 'github.com/kubeovn/kube-ovn',
    version: (pin) => pin,
    packages: [
      { path: 'pkg/apis/kubeovn/v1', apiVersion: 'kubeovn.io/v1', kinds: ['Subnet', 'Vpc', 'VpcDns', 'VpcNatGateway'] },
    ],
    definitions: { file: 'charts/kube-ovn-v2/crds/kube-ovn-crd.yaml' },
  },
  kubevirt: {
    pin: 'KUBEVIRT_VERSION',
    module: 'kubevirt.io/api',
    version: (pin) => pin,
    packages: [{ path: 'core/v1', apiVersion: 'kubevirt.io/v1', kinds: ['KubeVirt', 'VirtualMachine'] }],
    definitions: {
      module: 'kubevirt.io/kubevirt',
      file: 'pkg/virt-operator/resource/generate/components/validations_generated.go',
    },
  },
  multus: {
    pin: 'MULTUS_VERSION',
    module: 'github.com/k8snetworkplumbingwg/network-attachment-definition-client',
    version: () => 'v1.7.6', // what go.mod of Multus asks for
    packages: [
      {
        path: 'pkg/apis/k8s.cni.cncf.io/v1',
        apiVersion: 'k8s.cni.cncf.io/v1',
        kinds: ['NetworkAttachmentDefinition'],
      },
    ],
    definitions: { file: 'artifacts/networks-crd.yaml' },
  },
  'prometheus-operator': {
    module: 'github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring',
    version: () => 'v0.95.2',
    packages: [{ path: 'v1', apiVersion: 'monitoring.coreos.com/v1', kinds: ['PodMonitor', 'PrometheusRule'] }],
    // Its own are made of the types in the same way.
    definitions: { package: 'v1' },
  },
}
