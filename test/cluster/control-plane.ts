/**
 * etcd, kube-apiserver, kube-controller-manager and kube-scheduler of the version that tools/go.mod names, on a test node. Their
 * files are where kubeadm has them. Nothing of it survives the node.
 */
import { existsSync } from 'node:fs'
import { local, type TestNode } from '../e2e/node.ts'
import type { Access } from '../e2e/plugins/api-server.ts'
import { until } from '../support/until.ts'

/** Made by scripts/cluster-deps.sh. */
export const PROGRAMS = local('../../.cache/cluster/bin')
/** `go build` calls etcd by the last part of the name of its package. */
const program = (name: string) => `${PROGRAMS}/${name === 'etcd' ? 'server' : name}`

/** The Services' network of the examples. */
const SERVICES = '172.20.0.0/16'
const PKI = '/etc/kubernetes/pki'
const SERVER = 'https://127.0.0.1:6443'

/** As kind calls it, so that the scripts of kind/ find it. */
const CONTEXT = 'kind-x-calico-route'

/** Where kubectl remembers what a server has: not in the machine's /root, where it would outlive that server. */
export const KUBECACHEDIR = '/run/kubectl'

/** Who has a token, and the groups of each. */
const USERS = {
  admin: { name: 'admin', groups: 'system:masters' },
  kubelet: { name: 'system:node:node', groups: 'system:nodes' },
  'controller-manager': { name: 'system:kube-controller-manager', groups: '' },
  scheduler: { name: 'system:kube-scheduler', groups: '' },
  cni: { name: 'multus', groups: 'system:masters' },
} as const
type User = keyof typeof USERS
const tokenOf = (user: User) => `token-of-${user}`
/** Where a user's access to the API server is on the node. */
export const kubeconfigOf = (user: User): string => `/etc/kubernetes/${user}.conf`

// Elliptic curves: an RSA key takes a second.
const MAKE_PKI = `
mkdir -p ${PKI}
cd ${PKI}
key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $key -keyout ca.key -out ca.crt -days 2 -subj /CN=test
sign() { # NAME SUBJECT EXTENSION
  openssl req $key -keyout "$1.key" -out "$1.csr" -subj "$2"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 2 -extfile <(echo "$3")
}
sign apiserver /CN=kube-apiserver subjectAltName=IP:127.0.0.1,IP:172.20.0.1,DNS:localhost
sign apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client extendedKeyUsage=clientAuth
openssl ecparam -name prime256v1 -genkey -noout -out sa.key
openssl ec -in sa.key -pubout -out sa.pub
`

// A namespace that says nothing gets "baseline", as hardened clusters have it. What needs more has to say so.
const ADMISSION = {
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AdmissionConfiguration',
  plugins: [
    {
      name: 'PodSecurity',
      configuration: {
        apiVersion: 'pod-security.admission.config.k8s.io/v1',
        kind: 'PodSecurityConfiguration',
        defaults: { enforce: 'baseline' },
      },
    },
  ],
}

const API_SERVER = [
  '--etcd-servers=http://127.0.0.1:2379',
  '--secure-port=6443',
  `--service-cluster-ip-range=${SERVICES}`,
  `--tls-cert-file=${PKI}/apiserver.crt`,
  `--tls-private-key-file=${PKI}/apiserver.key`,
  `--client-ca-file=${PKI}/ca.crt`,
  '--token-auth-file=/etc/kubernetes/tokens.csv',
  '--authorization-mode=Node,RBAC',
  '--enable-admission-plugins=NodeRestriction',
  '--admission-control-config-file=/etc/kubernetes/admission.json',
  '--allow-privileged=true',
  '--service-account-issuer=https://kubernetes.default.svc',
  `--service-account-key-file=${PKI}/sa.pub`,
  `--service-account-signing-key-file=${PKI}/sa.key`,
  `--kubelet-client-certificate=${PKI}/apiserver-kubelet-client.crt`,
  `--kubelet-client-key=${PKI}/apiserver-kubelet-client.key`,
  '--kubelet-preferred-address-types=InternalIP', // nobody resolves the name of the node
  '--enable-priority-and-fairness=false',
]

const CONTROLLER_MANAGER = [
  `--kubeconfig=${kubeconfigOf('controller-manager')}`,
  '--leader-elect=false',
  '--use-service-account-credentials',
  `--root-ca-file=${PKI}/ca.crt`,
  `--service-account-private-key-file=${PKI}/sa.key`,
]

/** What the stand-ins for Multus and for Kube-OVN's daemon ask the API server with. */
export const ACCESS_OF_PLUGINS: Access = { server: SERVER, ca: `${PKI}/ca.crt`, token: tokenOf('cni') }

/** Returns when the API server and the controllers are ready. */
export async function startControlPlane(node: TestNode): Promise<void> {
  if (!existsSync(program('kubelet'))) throw new Error('there is no Kubernetes: run scripts/cluster-deps.sh first')
  await node.bash(MAKE_PKI)
  for (const user of Object.keys(USERS) as User[]) node.write(kubeconfigOf(user), kubeconfig(user), 0o600)
  node.write('/etc/kubernetes/tokens.csv', tokens(), 0o600)
  node.write('/etc/kubernetes/admission.json', JSON.stringify(ADMISSION))
  daemon(node, 'etcd', ['--data-dir=/run/etcd', '--unsafe-no-fsync', '--log-level=error'])
  daemon(node, 'kube-apiserver', API_SERVER)
  await until(
    () => succeeds(node, ['get', '--raw=/readyz']),
    60_000,
    () => `the API server: ${logOf(node, 'kube-apiserver')}`,
  )
  daemon(node, 'kube-controller-manager', CONTROLLER_MANAGER)
  daemon(node, 'kube-scheduler', [`--kubeconfig=${kubeconfigOf('scheduler')}`, '--leader-elect=false'])
  await until(
    () => succeeds(node, ['get', 'serviceaccount', 'default', '--namespace=default']),
    60_000,
    () => `the controllers: ${logOf(node, 'kube-controller-manager')}`,
  )
}

/** Starts a program of Kubernetes on the node. */
export function daemon(node: TestNode, name: string, args: readonly string[]): void {
  node.daemon([program(name), ...args], logFile(name))
}

const logFile = (name: string) => `/run/${name}.log`

/** The end of what a program has said. */
export const logOf = (node: TestNode, name: string): string => node.read(logFile(name)).slice(-4000)

/** Whether kubectl succeeds. */
export async function succeeds(node: TestNode, args: readonly string[]): Promise<boolean> {
  const command = [program('kubectl'), `--kubeconfig=${kubeconfigOf('admin')}`, ...args]
  return (await node.run(command, { env: { KUBECACHEDIR }, reject: false })).exitCode === 0
}

function kubeconfig(user: User): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: SERVER, 'certificate-authority': `${PKI}/ca.crt` } }],
    users: [{ name: user, user: { token: tokenOf(user) } }],
    contexts: [{ name: CONTEXT, context: { cluster: 'test', user } }],
    'current-context': CONTEXT,
  })
}

// @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
function tokens(): string {
  const lines = Object.entries(USERS).map(
    ([user, { name, groups }]) => `${tokenOf(user as User)},${name},${user},"${groups}"`,
  )
  return `${lines.join('\n')}\n`
}
