/** Networks of a tenant, as objects that go into YAML. */

/** A NetworkAttachmentDefinition with these plugins. */
export const network = (name: string, ...plugins: object[]) => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name, namespace: 'tenant' },
  spec: { config: JSON.stringify({ cniVersion: '0.3.1', name, plugins }) },
})

/** This plugin's part of a chain. */
export const ours = (more: object = {}) => ({ type: 'x-calico-route', routes: [{ dst: '10.50.0.0/16' }], ...more })
