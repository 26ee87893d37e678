/**
 * What a vector is: one call of a CNI plugin, by the environment and the bytes of stdin, and everything that must come
 * of it. A table of vectors needs no other word; conform.ts runs them.
 */

/** Where it is laid down what a plugin has to do. Sections are those of the specification 1.1.0, paths are containernetworking/cni's. */
export const SPEC = {
  configuration: 'SPEC section 1, Configuration format',
  pluginObjects: 'SPEC section 1, Plugin configuration objects',
  parameters: 'SPEC section 2, Parameters',
  errors: 'SPEC section 2, Errors',
  add: 'SPEC section 2, ADD',
  del: 'SPEC section 2, DEL',
  check: 'SPEC section 2, CHECK',
  status: 'SPEC section 2, STATUS',
  version: 'SPEC section 2, VERSION',
  gc: 'SPEC section 2, GC',
  lifecycle: 'SPEC section 3, Lifecycle & Ordering',
  deriving: 'SPEC section 3, Deriving request configuration',
  result: 'SPEC section 5, ADD Success',
  versionResult: 'SPEC section 5, VERSION Success',
  error: 'SPEC section 5, Error',
} as const

export const CNI = {
  skel: 'pkg/skel/skel.go',
  names: 'pkg/utils/utils.go',
  parseVersion: 'pkg/version/plugin.go',
  reconcile: 'pkg/version/reconcile.go',
  prevResult: 'pkg/version/version.go',
  decodeVersion: 'pkg/types/create/create.go',
  types: 'pkg/types/types.go',
  result040: 'pkg/types/040/types.go',
  result100: 'pkg/types/100/types.go',
  invoke: 'pkg/invoke/exec.go',
  libcni: 'libcni/api.go',
} as const

/** Neither the specification nor its reference say so; another plugin may do otherwise. */
export const PROMISE = "this plugin's promise"

export type Source = (typeof SPEC)[keyof typeof SPEC] | (typeof CNI)[keyof typeof CNI] | typeof PROMISE

/** The five versions since plugins are chained. */
export const VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type Version = (typeof VERSIONS)[number]
export const VERBS = ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS', 'VERSION'] as const

/** A key that is undefined is left out. */
export type Conf = Readonly<Record<string, unknown>>
export type Env = Readonly<Record<string, string | undefined>>

export interface Call {
  readonly verb: string
  /** On top of what a runtime sets for an attachment of the pod's eth0. */
  readonly env?: Env
  /**
   * On top of a valid configuration that changes nothing. Its prevResult is the Result of the last ADD of the vector
   * for the other verbs, as libcni does it, and Calico's otherwise.
   */
  readonly conf?: Conf
  /** The bytes of stdin, if they are not the configuration: made of its text where that is a function. */
  readonly stdin?: string | Uint8Array | ((conf: string) => string | Uint8Array)
}

/** Lines of ip(8) run in the pod, or a call that must succeed. */
export type Step = { readonly ip: string } | Call

export interface Vector extends Call {
  /** A sentence that is true of every conforming plugin, or of this one. */
  readonly it: string
  readonly source: Source
  /** Why the Go reference answers differently although the source says so: such vectors are no use against plugins built on it. */
  readonly differs?: string
  /** What happens in the pod before the call. Such a vector has a pod of its own, all others share one. */
  readonly after?: readonly Step[]
  /** The writer of stdin never closes its end. */
  readonly stays?: true
  /** How the plugin is started, if not directly: a shell command in which it is "$0", and "$1" an empty directory. */
  readonly shell?: string
  /** Calls at the same time, which must succeed as well. */
  readonly alongside?: readonly Call[]
  /** Milliseconds. */
  readonly within?: number
  readonly gives: Expected
  /** The main table afterwards, as ip(8) prints it. Without it, the pod must be exactly as it was before the call. */
  readonly leaves?: readonly string[]
  /** What the text on stdout must contain, where no parser would see the difference. */
  readonly prints?: RegExp
  /** What stderr must say. Without it: nothing on success. */
  readonly logs?: RegExp
}

export type Expected =
  | { readonly is: 'result'; readonly like: object; readonly exactly: boolean }
  | { readonly is: 'same result' }
  | { readonly is: 'nothing' }
  | { readonly is: 'error'; readonly codes: readonly number[] | 'any'; readonly promised?: number; readonly says: Says }
  | { readonly is: 'version'; readonly cniVersion: string | undefined }
  | { readonly is: 'about' }
  | { readonly is: 'failure' }
  | { readonly is: 'either'; readonly of: readonly Expected[] }

interface Says {
  readonly msg: string | RegExp
  readonly details: RegExp
}

/** Success with a Result that has these properties, among others. */
export const result = (like: object = {}): Expected => ({ is: 'result', like, exactly: false })
/** Success with this Result: no property more or less. */
export const exactly = (like: object): Expected => ({ is: 'result', like, exactly: true })
/** Success with the Result of the last ADD before. */
export const sameResult: Expected = { is: 'same result' }
/** Success, and nothing on stdout. */
export const nothing: Expected = { is: 'nothing' }
/** An error object of that code (or one of these), whose `msg` names what is wrong. */
export const error = (code: number | readonly number[], msg: string | RegExp = '', details = /(?:)/): Expected => ({
  is: 'error',
  codes: typeof code === 'number' ? [code] : code,
  says: { msg, details },
})
/** An error object. Its code is nowhere laid down, this plugin promises one. */
export const refused = (promised: number, msg: string | RegExp = '', details = /(?:)/): Expected => ({
  is: 'error',
  codes: 'any',
  promised,
  says: { msg, details },
})
/** A version object; with `cniVersion` where the caller must find its own again. */
export const version = (cniVersion?: string): Expected => ({ is: 'version', cniVersion })
/** Success, nothing on stdout, and a text for people on stderr. */
export const about: Expected = { is: 'about' }
/** An exit status other than 0 where stdout cannot say more. */
export const failure: Expected = { is: 'failure' }
/** The sources leave the choice; anything else is wrong. */
export const either = (...of: readonly Expected[]): Expected => ({ is: 'either', of })

/** stdin is the read end of a pipe, as a runtime written in Go has it. */
export const PIPE = 'cat | exec "$0"'
/** stdin is the read end of a pipe that holds a text (without quotes) and never ends. */
export const openPipe = (text: string): string =>
  `mkfifo "$1/pipe"; exec 9<>"$1/pipe"; printf %s '${text}' >&9; exec "$0" <"$1/pipe"`
