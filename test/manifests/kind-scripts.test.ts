import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterEach, describe, expect, it } from 'vitest'
import { FILES } from '../support/manifests.ts'

// The scripts as they are, with stand-ins for what they call: these write down how they were called, and answer as told. What
// docker, kind, kubectl and helm would really do is for kind/check.sh, on a machine that has them.
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TOOLS = ['docker', 'kind', 'kubectl', 'helm', 'curl']
const HARMLESS = ['bash', 'env', 'awk', 'cat', 'dirname', 'grep', 'sed', 'tail', 'tr']
const STAND_IN = `#!/bin/bash
call="\${0##*/} $*"
printf '%s\\n' "$call" >>"$PLACE/calls"
case $call in *'--filename -'*) cat >"$PLACE/stdin" ;; esac
while IFS=$'\\t' read -r pattern status said; do
  [[ $call =~ $pattern ]] || continue
  printf '%b' "$said"
  exit "$status"
done <"$PLACE/answers"
`

/** A call that matches, its exit status and its output. The first that fits is taken; what none fits succeeds in silence. */
type Answer = readonly [call: string, status: number, output?: string]

const NOTHING_YET: Answer[] = [
  ['^docker network inspect --format', 0, '172.18.0.0/16 fc00:f853:ccd:e793::/64 '],
  ['^docker (network )?inspect', 1],
  ['^kind get clusters', 0, ''],
  ['^curl ', 0, 'image: ghcr.io/k8snetworkplumbingwg/multus-cni:snapshot-thick\\ncpu: "100m"\\nmemory: "50Mi"\\n'],
]
const ALL_THERE: Answer[] = [
  ['^docker network inspect --format', 0, '172.18.0.0/16 fc00:f853:ccd:e793::/64 '],
  ['^docker network inspect', 0],
  ['^docker inspect', 0, 'true\\n'],
  ['^kind get clusters', 0, 'other\\nx-calico-route\\n'],
]

const places: string[] = []
afterEach(() => {
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true })
})

interface Surroundings {
  answers: readonly Answer[]
  without?: readonly string[]
  inotify?: Record<string, number>
}

async function run(script: string, { answers, without = [], inotify = {} }: Surroundings, ...args: string[]) {
  const place = mkdtempSync(path.join(tmpdir(), 'kind-'))
  places.push(place)
  const bin = path.join(place, 'bin')
  mkdirSync(bin)
  for (const tool of [...TOOLS, 'sleep'].filter((name) => !without.includes(name))) {
    writeFileSync(path.join(bin, tool), STAND_IN)
    chmodSync(path.join(bin, tool), 0o755)
  }
  for (const tool of HARMLESS) symlinkSync((await execa('which', [tool])).stdout, path.join(bin, tool))
  writeFileSync(path.join(place, 'calls'), '')
  writeFileSync(path.join(place, 'stdin'), '')
  writeFileSync(path.join(place, 'answers'), answers.map((answer) => `${answer.join('\t')}\n`).join(''))
  for (const [limit, value] of Object.entries(inotify)) writeFileSync(path.join(place, limit), `${value}\n`)
  const { exitCode, stdout, stderr } = await execa(path.join(ROOT, 'kind', script), args, {
    cwd: '/',
    reject: false,
    extendEnv: false,
    env: { PATH: bin, PLACE: place, INOTIFY: place, KIND_PATIENCE: '0', LC_ALL: 'C.UTF-8' },
  })
  const lines = readFileSync(path.join(place, 'calls'), 'utf8').split('\n').slice(0, -1)
  return { exitCode, stdout, stderr, calls: lines, stdin: readFileSync(path.join(place, 'stdin'), 'utf8') }
}

const callsOf = (calls: readonly string[], pattern: RegExp) => calls.filter((call) => pattern.test(call))

describe('kind/up.sh', () => {
  it('does one thing after the other, each on what the one before made', async () => {
    const { exitCode, stdout, stderr, calls } = await run('up.sh', { answers: NOTHING_YET })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout.trim().split('\n').at(-1)).toBe('== up; next: kind/check.sh, and kind/down.sh to remove it all')
    const milestones = [
      /^docker info/,
      /^docker network create .*--ipv6 --subnet 172\.18\.0\.0\/16 --subnet fc00:f853:ccd:e793::\/64 .*kind$/,
      /^kind create cluster --name x-calico-route --image kindest\/node:v\S+@sha256:[0-9a-f]{64} --config kind\/cluster\.yaml/,
      /^kubectl .*get --raw \/readyz/,
      /^kubectl .*calico\/v[\d.]+\/manifests\/operator-crds\.yaml/,
      /^kubectl .*calico\/v[\d.]+\/manifests\/tigera-operator\.yaml/,
      /^kubectl .*wait .*crd\/installations/,
      /^kubectl .*apply --filename kind\/calico\.yaml/,
      /^kubectl .*wait .*tigerastatus\/calico/,
      /^kubectl .*wait .*nodes --all/,
      /^helm .*upgrade --install kube-ovn oci:\S+ --version v[\d.]+ .*--values kind\/kube-ovn-values\.yaml/,
      /^kubectl .*apply --filename conf-examples\/vpc\.yaml/,
      /^kubectl .*wait .*tenant-vpc-net/,
      /^curl .*multus-cni\/v[\d.]+\//,
      /^kubectl .*apply --filename -$/,
      /^kubectl .*rollout status .*kube-multus-ds/,
      /^kubectl .*apply --filename kind\/networks\.yaml/,
      /^docker build .*x-calico-route:kind \.$/,
      /^kind load docker-image x-calico-route:kind --name x-calico-route/,
      /^kubectl .*apply --kustomize kind\/daemonset/,
      /^kubectl .*rollout status .*daemonset\/x-calico-route/,
      /^kubectl .*kubevirt\/releases\/download\/v[\d.]+\/kubevirt-operator\.yaml/,
      /^kubectl .*apply --filename kind\/kubevirt\.yaml/,
      /^kubectl .*wait .*kubevirt\/kubevirt/,
      /^docker run .*--ip 172\.18\.31\.21 --ip6 fc00:f853:ccd:e793::3121/,
      /^docker run .*--ip 172\.18\.31\.22 --ip6 fc00:f853:ccd:e793::3122/,
      /^kubectl .*apply --filename kind\/policy\.yaml --filename kind\/pods\.yaml/,
      /^kubectl .*wait .*pod\/limited/,
      /^kubectl .*apply --filename kind\/virtual-machine\.yaml/,
      /^kubectl .*wait .*virtualmachine\/testvm/,
    ]
    const places = milestones.map((milestone) => calls.findIndex((call) => milestone.test(call)))
    expect(milestones.filter((_, index) => places[index] === -1)).toEqual([])
    expect(places).toEqual([...places].sort((a, b) => a - b))
  })

  it('speaks to its own cluster, whichever one is current', async () => {
    const { calls } = await run('up.sh', { answers: NOTHING_YET })
    const clients = callsOf(calls, /^(kubectl|helm) /)
    expect(clients.length).toBeGreaterThan(20)
    expect(
      clients.filter((call) => !/^(kubectl --context|helm --kube-context) kind-x-calico-route /.test(call)),
    ).toEqual([])
  })

  it('finds what a run before made, and makes it no second time', async () => {
    const { exitCode, calls } = await run('up.sh', { answers: [...ALL_THERE, ...NOTHING_YET] })
    expect(exitCode).toBe(0)
    expect(callsOf(calls, /^docker (network create|run|rm)|^kind create/)).toEqual([])
    expect(callsOf(calls, /^kind export kubeconfig --name x-calico-route/)).toHaveLength(1)
    // what Kubernetes itself takes a second time
    expect(callsOf(calls, /kubectl .* create /)).toEqual([])
  })

  it('starts an underlay host again that has stopped', async () => {
    const stopped: Answer[] = [['^docker inspect .*underlay-22', 0, 'false\\n'], ...ALL_THERE, ...NOTHING_YET]
    const { calls } = await run('up.sh', { answers: stopped })
    expect(callsOf(calls, /^docker (run|rm)/)).toEqual([
      'docker rm --force x-calico-route-underlay-22',
      expect.stringContaining('docker run --detach --name x-calico-route-underlay-22'),
    ])
  })

  it('gives Multus the pinned image, and more than its own 50 MiB', async () => {
    const { stdin } = await run('up.sh', { answers: NOTHING_YET })
    expect(stdin).toBe('image: ghcr.io/k8snetworkplumbingwg/multus-cni:v4.3.0-thick\ncpu: "500m"\nmemory: "256Mi"\n')
  })

  it.each([
    ['asks for emulation where the nodes have no /dev/kvm', 1, 1],
    ['asks for none where they have', 0, 0],
  ])('%s', async (_, status, patches) => {
    const answers: Answer[] = [['test -c /dev/kvm', status], ...NOTHING_YET]
    const { exitCode, calls } = await run('up.sh', { answers })
    expect(exitCode).toBe(0)
    expect(callsOf(calls, /patch kubevirt .*useEmulation":true/)).toHaveLength(patches)
  })

  it.each([
    ['docker', 'kind: docker is missing; see https://docs.docker.com/engine/install/'],
    [
      'kind',
      'kind: kind is missing; see https://kind.sigs.k8s.io/docs/user/quick-start/ (v0.31.0 is what this was written for)',
    ],
    ['kubectl', 'kind: kubectl is missing; see https://kubernetes.io/docs/tasks/tools/'],
    ['helm', 'kind: helm is missing; see https://helm.sh/docs/intro/install/'],
    ['curl', 'kind: curl is missing'],
  ])('without %s says so, and has called nothing', async (tool, message) => {
    const { exitCode, stderr, calls } = await run('up.sh', { answers: NOTHING_YET, without: [tool] })
    expect({ exitCode, stderr, calls }).toEqual({ exitCode: 1, stderr: message, calls: [] })
  })

  it('says which inotify limits are too low, and how to raise them', async () => {
    const inotify = { max_user_instances: 128, max_user_watches: 65536 }
    const { exitCode, stderr, calls } = await run('up.sh', { answers: NOTHING_YET, inotify })
    expect(exitCode).toBe(1)
    expect(stderr).toBe(
      "kind: this machine's inotify limits are too low for a cluster of two nodes; raise them:\n" +
        'sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288',
    )
    expect(calls).toEqual(['docker info'])
  })

  it('is content with inotify limits that are just enough', async () => {
    const inotify = { max_user_instances: 512, max_user_watches: 524288 }
    expect((await run('up.sh', { answers: NOTHING_YET, inotify })).exitCode).toBe(0)
  })

  it.each<[what: string, answer: Answer, message: string, next: RegExp]>([
    [
      'a daemon that does not answer',
      ['^docker info', 1],
      'kind: docker is here, but its daemon does not answer; start it, or see that you may use it (group docker)',
      /^docker network/,
    ],
    [
      'a network that cannot be made',
      ['^docker network create', 1],
      'kind: docker cannot make the network kind; if another one has these addresses (docker network ls), remove that first',
      /^kind create/,
    ],
    [
      'a network with other addresses',
      ['^docker network inspect --format', 0, '172.19.0.0/16 fc00:f853:ccd:e793::/64 '],
      "kind: docker's network kind is 172.19.0.0/16 fc00:f853:ccd:e793::/64 , the manifests here are for 172.18.0.0/16 " +
        'fc00:f853:ccd:e793::/64; without clusters of yours in it:\ndocker network rm kind',
      /^kind create/,
    ],
    [
      'a cluster that does not start',
      ['^kind create', 1],
      'kind: kind could not start the cluster; remove what it left with kind/down.sh, then try again',
      /^kubectl/,
    ],
    [
      'a failing helm',
      ['^helm', 1],
      'kind: helm could not install Kube-OVN; it needs the kernel module openvswitch on this machine (modprobe openvswitch)',
      /multus/,
    ],
    [
      'a manifest that is not to be had',
      ['^curl', 22],
      'kind: cannot fetch https://raw.githubusercontent.com/',
      /--filename -/,
    ],
    [
      'an image that does not build',
      ['^docker build', 1],
      'kind: docker could not build the image; see: docker build .',
      /^kind load/,
    ],
    [
      'an image that does not load',
      ['^kind load', 1],
      'kind: kind could not load the image into the nodes',
      /kustomize/,
    ],
    [
      'an underlay host that does not start',
      ['^docker run', 125],
      'kind: docker could not start the host 172.18.31.21 of the underlay',
      /pods\.yaml/,
    ],
  ])('stops at %s, and says so', async (_, answer, message, next) => {
    const { exitCode, stderr, calls } = await run('up.sh', { answers: [answer, ...NOTHING_YET] })
    expect(exitCode).toBe(1)
    expect(stderr).toContain(message)
    expect(callsOf(calls, next)).toEqual([])
  })

  it('stops when a manifest is refused', async () => {
    const { exitCode, calls } = await run('up.sh', { answers: [['apply .*kind/calico.yaml', 1], ...NOTHING_YET] })
    expect(exitCode).toBe(1)
    expect(calls.at(-1)).toContain('kind/calico.yaml')
  })

  it.each([
    ['the API server', 'readyz', 'kube-system'],
    ['Calico', 'wait .*tigerastatus', 'calico-system'],
    ['the nodes', 'wait .*nodes --all', 'calico-system'],
    ['the subnet of the VPC', 'wait .*tenant-vpc-net', 'kube-system'],
    ['Multus', 'rollout status .*kube-multus-ds', 'kube-system'],
    ['the plugin on every node', 'rollout status .*daemonset/x-calico-route', 'x-calico-route'],
    ['KubeVirt', 'wait .*kubevirt/kubevirt', 'kubevirt'],
    ['the pods', 'wait .*pod/limited', 'tenant'],
    ['the VM', 'wait .*virtualmachine/testvm', 'tenant'],
  ])('waits for %s only so long, then shows what is not ready and what happened', async (what, call, namespace) => {
    const answers: Answer[] = [
      [call, 1, 'error: timed out waiting for the condition\\n'],
      ['get pods', 0, 'NAMESPACE NAME READY STATUS\\na well 2/2 Running\\na stuck 0/1 Pending\\n'],
      ['get events', 0, 'Warning FailedScheduling pod/stuck\\n'],
      ...NOTHING_YET,
    ]
    const { exitCode, stderr, calls } = await run('up.sh', { answers })
    expect(exitCode).toBe(1)
    expect(stderr).toContain(`kind: waited 0 s for ${what}, in vain: k `)
    expect(stderr).toContain('error: timed out waiting for the condition')
    expect(stderr).toContain('a stuck 0/1 Pending')
    expect(stderr).not.toContain('a well')
    expect(stderr).toContain(`-- what happened in ${namespace}\nWarning FailedScheduling pod/stuck`)
    expect(calls.at(-1)).toContain('get events')
  })
})

describe('kind/down.sh', () => {
  it("removes the cluster and the hosts of the underlay, and leaves docker's network to others", async () => {
    const { exitCode, calls } = await run('down.sh', { answers: ALL_THERE })
    expect(exitCode).toBe(0)
    expect(calls).toEqual([
      'docker info',
      'kind delete cluster --name x-calico-route',
      'docker rm --force x-calico-route-underlay-21',
      'docker rm --force x-calico-route-underlay-22',
    ])
  })

  it('succeeds where there is nothing left', async () => {
    expect((await run('down.sh', { answers: [['^docker rm', 1]] })).exitCode).toBe(0)
  })
})

describe('kind/check.sh', () => {
  /** All but those for cloud-init are objects of Kubernetes. */
  const EXAMPLES = FILES.filter((file) => /^conf-examples\/(?!cloud-init)[^/]+$/.test(file)).length
  const WELL: Answer[] = [
    ['exec .* ip -4 route show default', 0, 'default via 10.0.1.1 dev net1 \\n'],
    ['exec .* ip -6 route show default', 0, 'default via fd00:10:0:1::1 dev net1  metric 1024 \\n'],
    [
      'exec .* ip -4 route show',
      0,
      '10.199.0.0/16 via 169.254.1.1 dev eth0 \\n172.18.0.0/16 via 169.254.1.1 dev eth0 \\n',
    ],
    ['exec .* ip -6 route show', 0, 'fc00:f853:ccd:e793::/64 via fe80::1 dev eth0  metric 1024 \\n'],
    ['exec limited .*nothing came', 0, 'wget: download timed out\\nnothing came\\n'],
    ['exec .*wget .*(21:80|3121]:80|21:8080)/', 0, 'host 21\\n'],
    ['exec .*wget .*(22:80|3122]:80)/', 0, 'host 22\\n'],
    [
      'logs ',
      0,
      [
        'default: 10.0.1.1 eth1',
        '172.18.31.21 80: reached',
        '172.18.31.21 8080: silent',
        '172.18.31.22 80: silent',
        '10.0.1.1: reached',
      ]
        .map((line) => `[   12.3] testvm: ${line}\\r\\n`)
        .join(''),
    ],
    ...ALL_THERE,
  ]
  const linesOf = (stdout: string, word: string) => stdout.split('\n').filter((line) => line.startsWith(word))

  it('says ok to everything, and changes nothing', async () => {
    const { exitCode, stdout, stderr, calls } = await run('check.sh', { answers: WELL })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(linesOf(stdout, 'FAILED')).toEqual([])
    expect(linesOf(stdout, 'ok').length).toBeGreaterThan(30)
    expect(
      callsOf(calls, / (apply|patch|delete|create|rollout) /).filter((call) => !call.includes('--dry-run=server')),
    ).toEqual([])
    expect(
      callsOf(calls, /^kubectl/).filter((call) => !call.startsWith('kubectl --context kind-x-calico-route ')),
    ).toEqual([])
  })

  it.each<[what: string, answer: Answer, said: string[]]>([
    [
      'a default route through Calico',
      ['exec limited .*ip -4 route show default', 0, 'default via 169.254.1.1 dev eth0 \\n'],
      ['limited: one IPv4 default route, to the VPC'],
    ],
    [
      'two default routes',
      [
        'exec unlimited .*ip -6 route show default',
        0,
        'default via fd00:10:0:1::1 dev net1 \\ndefault via fe80::1 dev eth0 \\n',
      ],
      ['unlimited: one IPv6 default route, to the VPC'],
    ],
    [
      'no route to the underlay',
      ['exec limited .*ip -4 route show$', 0, '10.199.0.0/16 via 169.254.1.1 dev eth0 \\n'],
      ["limited: the IPv4 underlay is behind Calico's NIC"],
    ],
    ['a silent gateway', ['exec limited .*ping', 1], ["limited: the VPC's gateway answers"]],
    [
      'an allowed host that does not answer',
      ['exec limited .*wget .* http://172.18.31.21:80/$', 1],
      ['limited: IPv4, the allowed host answers'],
    ],
    [
      'a policy that stops nothing',
      ['exec limited .*http://172.18.31.22:80/.*nothing came', 0, 'host 22\\n'],
      ['limited: IPv4, nothing from the other host'],
    ],
    [
      'a pod that cannot be asked, which is no silence',
      ['exec limited .*8080', 1, 'error: unable to upgrade connection\\n'],
      ['limited: nothing from the other port'],
    ],
    [
      'another host that is dead, whose silence proves nothing',
      ['exec unlimited .*3122', 1],
      ['unlimited: IPv6, the other host answers'],
    ],
    [
      'a VM with a second default route and a leak',
      [
        'logs ',
        0,
        ['default: 10.0.1.1 eth1 169.254.1.1 eth0', '172.18.31.21 80: reached', '172.18.31.21 8080: silent']
          .concat('172.18.31.22 80: reached', '10.0.1.1: reached')
          .map((line) => `testvm: ${line}\\r\\n`)
          .join(''),
      ],
      ['VM: one IPv4 default route, to the VPC', 'VM: nothing from the other host'],
    ],
    [
      'an example that the API server refuses',
      [
        '--dry-run=server --validate=strict --filename conf-examples/vpc.yaml',
        1,
        'strict decoding error: unknown field\\n',
      ],
      ['conf-examples/vpc.yaml is what the API server takes'],
    ],
  ])('tells of %s', async (_, answer, said) => {
    const { exitCode, stdout, stderr } = await run('check.sh', { answers: [answer, ...WELL] })
    expect(linesOf(stdout, 'FAILED')).toEqual(said.map((line) => `FAILED  ${line}`))
    expect(exitCode).toBe(1)
    expect(stderr).toContain(`kind: ${said.length} of the checks failed`)
  })

  it('gives up on a VM that says nothing', async () => {
    const { exitCode, stderr } = await run('check.sh', { answers: [['logs ', 0, 'Booting...\\n'], ...WELL] })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('kind: waited 0 s for the first words of the VM, in vain')
    expect(stderr).toContain('Booting...')
  })

  it.each<[parts: string[], lines: number, about: RegExp]>([
    [['examples'], EXAMPLES, /^ok {6}conf-examples\/\S+ is what the API server takes$/],
    [['pods'], 17, /^ok {6}(un)?limited: .*(one IPv. default|is behind|answers)/],
    [['policy'], 3, /^ok {6}limited: .*nothing from/],
    [['vm'], 5, /^ok {6}VM: /],
    [['examples', 'pods'], EXAMPLES + 17, /^ok {6}(conf-examples|limited|unlimited)/],
  ])('checks %j alone, without docker and kind', async (parts, lines, about) => {
    const surroundings = { answers: WELL, without: ['docker', 'kind'] }
    const { exitCode, stdout, stderr } = await run('check.sh', surroundings, ...parts)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const ok = linesOf(stdout, 'ok')
    expect(ok).toHaveLength(lines)
    expect(ok.filter((line) => !about.test(line))).toEqual([])
  })

  it('refuses a part that it does not know, before it calls anything', async () => {
    const { exitCode, stderr, calls } = await run('check.sh', { answers: WELL }, 'pods', 'nodes')
    expect({ exitCode, stderr, calls }).toEqual({
      exitCode: 1,
      stderr: 'kind: there is no part "nodes" to check; write examples, pods, policy or vm',
      calls: [],
    })
  })

  it('without a cluster says how to get one', async () => {
    const answers: Answer[] = [['get --raw /readyz', 1, 'error: context "kind-x-calico-route" does not exist\\n']]
    const { exitCode, stderr, calls } = await run('check.sh', { answers })
    expect({ exitCode, stderr, calls }).toEqual({
      exitCode: 1,
      stderr:
        'kind: there is no cluster x-calico-route; make it with kind/up.sh\n' +
        'error: context "kind-x-calico-route" does not exist',
      calls: ['kubectl --context kind-x-calico-route get --raw /readyz'],
    })
  })
})
