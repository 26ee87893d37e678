/**
 * The part of CRI (runtime.v1) that kubelet uses to give a pod its network. gRPC is HTTP/2 on a unix socket, and the
 * messages needed are few: their field numbers are those of api.proto. Less than crictl would be, which is a hundred Go modules
 * to lock, a minute to build, and no test of the CRI where there is no Go.
 * @see https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto
 */
import { connect } from 'node:http2'
import { connect as connectSocket } from 'node:net'
import { encode, inside, type Message, text, textMap } from './protobuf.ts'

export interface Sandbox {
  readonly id: string
  readonly netns: string
  /** The pod's address as kubelet learns it, and its others. */
  readonly addresses: string[]
}

export class Cri {
  private readonly socket: string
  private readonly cgroupParent: string

  constructor(socket: string, cgroupParent: string) {
    this.socket = socket
    this.cgroupParent = cgroupParent
  }

  /** Makes a pod's sandbox: CNI ADD of every conflist. @returns its id, which is CNI_CONTAINERID */
  async runSandbox(name: string): Promise<string> {
    const metadata = { 1: name, 2: `uid-${name}`, 3: 'default' }
    const config = { 1: metadata, 2: name, 3: '/run/pod-logs', 8: { 1: this.cgroupParent } }
    return text(await this.call('RunPodSandbox', { 1: config }), 1)
  }

  /** CNI DEL. Kubelet repeats it until it has succeeded, and often once more. */
  async stopSandbox(id: string): Promise<void> {
    await this.call('StopPodSandbox', { 1: id })
  }

  async removeSandbox(id: string): Promise<void> {
    await this.call('RemovePodSandbox', { 1: id })
  }

  async sandbox(id: string): Promise<Sandbox> {
    const response = await this.call('PodSandboxStatus', { 1: id, 2: true })
    const { runtimeSpec } = JSON.parse(textMap(response, 2).info ?? '{}')
    const namespaces: { type: string; path: string }[] = runtimeSpec.linux.namespaces
    const network = inside(response, 1).flatMap((status) => inside(status, 5))
    return {
      id,
      netns: namespaces.find(({ type }) => type === 'network')?.path ?? '',
      addresses: network.flatMap((status) => [text(status, 1), ...inside(status, 2).map((ip) => text(ip, 1))]),
    }
  }

  async sandboxes(): Promise<string[]> {
    return inside(await this.call('ListPodSandbox', {}), 1).map((sandbox) => text(sandbox, 1))
  }

  /** The text of the conflists in use, as the runtime has read them. */
  async conflists(): Promise<string[]> {
    const { cniconfig } = textMap(await this.call('Status', { 1: true }), 2)
    const networks: { IFName: string; Config: { Source: string } }[] = JSON.parse(cniconfig ?? '{}').Networks ?? []
    return networks.filter(({ IFName }) => IFName !== 'lo').map(({ Config }) => Config.Source)
  }

  private async call(method: string, request: Message): Promise<Buffer> {
    const session = connect('http://cri', { createConnection: () => connectSocket(this.socket) })
    try {
      return await new Promise((resolve, reject) => {
        session.once('error', reject)
        const stream = session.request({
          ':method': 'POST',
          ':path': `/runtime.v1.RuntimeService/${method}`,
          'content-type': 'application/grpc',
          te: 'trailers',
        })
        let status: Record<string, unknown> = {}
        const body: Buffer[] = []
        // a failure without a body has its status in the headers, everything else in the trailers
        stream.on('response', (headers) => {
          status = headers
        })
        stream.on('trailers', (trailers) => {
          status = trailers
        })
        stream.on('data', (chunk) => body.push(chunk))
        stream.once('error', reject)
        stream.once('end', () => {
          const message = decodeURIComponent(String(status['grpc-message'] ?? ''))
          if (status['grpc-status'] !== '0') reject(new Error(`${method}: ${message}`))
          else resolve(Buffer.concat(body).subarray(PREFIX))
        })
        const bytes = encode(request)
        const prefix = Buffer.alloc(PREFIX) // one byte: not compressed; four: the length
        prefix.writeUInt32BE(bytes.length, 1)
        stream.end(Buffer.concat([prefix, bytes]))
      })
    } finally {
      session.close()
    }
  }
}

const PREFIX = 5
