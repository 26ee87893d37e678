/** Set by the build from package.json. */
declare const __VERSION__: string

export function version(): string {
  return `x-calico-route ${__VERSION__}\n`
}
