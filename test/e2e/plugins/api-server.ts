/** What kube-ovn's daemon asks the API server, by the same file as the tests' Multus. */
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { text } from 'node:stream/consumers'

/** How the plugins on a node reach the API server: its URL, the file of its CA, a bearer token. */
export const ACCESS = '/etc/cni/net.d/multus.d/api.json'

export interface Access {
  readonly server: string
  readonly ca: string
  readonly token: string
}

/** Of the pod that CNI_ARGS name. */
export async function podAnnotations(): Promise<Record<string, string>> {
  const args = new URLSearchParams((process.env.CNI_ARGS ?? '').replaceAll(';', '&'))
  const path = `/api/v1/namespaces/${args.get('K8S_POD_NAMESPACE')}/pods/${args.get('K8S_POD_NAME')}`
  const { server, ca, token }: Access = JSON.parse(readFileSync(ACCESS, 'utf8'))
  const options = { ca: readFileSync(ca), headers: { authorization: `Bearer ${token}` }, timeout: 10_000 }
  const body = await new Promise<string>((resolve, reject) => {
    get(`${server}${path}`, options, async (response) => {
      const said = await text(response)
      if (response.statusCode === 200) resolve(said)
      else reject(new Error(`${path}: ${response.statusCode}: ${said}`))
    }).on('error', reject)
  })
  return JSON.parse(body).metadata.annotations ?? {}
}
