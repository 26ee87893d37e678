/** Where `nsenter` and `ip` are looked for: the runtime's own PATH says nothing about the node's tools. */
export const TOOL_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

/** The whole environment of a child: it sees nothing of the runtime's. */
export const CHILD_ENV = { PATH: TOOL_PATH, LC_ALL: 'C' }

/**
 * Where the executable is that `install --self-contained` lays out, tools are beside it, and come before the node's.
 * @param executable its path
 */
export function useToolsBeside(executable: string): void {
  const end = executable.lastIndexOf('/')
  const start = executable.lastIndexOf('/', end - 1) + 1
  // No regular expression: it would have to be compiled in each call.
  if (executable.startsWith('.x-calico-route-', start) && executable.endsWith('.d/x-calico-route'))
    CHILD_ENV.PATH = `${executable.slice(0, end)}:${TOOL_PATH}`
}
