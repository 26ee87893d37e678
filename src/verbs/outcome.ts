/** How a call ended that succeeded. */
export interface Outcome {
  /** Printed on stdout; if absent, nothing is. */
  readonly result?: unknown
  /** The batch lines that were carried out; with dryRun, those that would have been. */
  readonly routes?: readonly string[]
  /** Something the operator should know, although the call succeeded. */
  readonly warning?: string
}
