/** Entries of libcni's result cache. */

export const OURS = { type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }] }
export const LIST = { cniVersion: '1.0.0', name: 'k8s-pod-network', plugins: [{ type: 'calico' }, OURS] }

/** What libcni 1.3 writes of an ADD. */
export function cacheEntry(container: string, netns: string, result: unknown, more: object = {}): string {
  return JSON.stringify({
    kind: 'cniCacheV1',
    containerId: container,
    config: Buffer.from(JSON.stringify(LIST)).toString('base64'),
    ifName: 'eth0',
    networkName: LIST.name,
    netns,
    cniArgs: [
      ['IgnoreUnknown', '1'],
      ['K8S_POD_NAMESPACE', 'tenant'],
      ['K8S_POD_NAME', container.slice(0, 3)],
    ],
    result,
    ...more,
  })
}
