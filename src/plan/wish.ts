import type { PrevResult } from '../cni/result.ts'
import type { Config } from '../config/config.ts'

/** What one entry of this plugin in the chain of an attachment asks for. */
export interface Wish {
  readonly config: Config
  readonly ifname: string
  /** The Result of the attachment. */
  readonly prev: PrevResult
}
