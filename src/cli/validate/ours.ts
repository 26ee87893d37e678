/** The type that names this plugin in a chain. */
export const OURS = 'x-calico-route'
