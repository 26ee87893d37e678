/** How a verb ended well. */
export interface Outcome {
  /** Printed on stdout; without it nothing is. */
  readonly result?: unknown
  /** The batch lines that were carried out, or with dryRun would have been. */
  readonly routes?: readonly string[]
  /** Something an operator should know although the call succeeded. */
  readonly warning?: string
}
