import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { nameProcess } from '../call/stdio.ts'
import type { Terminal } from './command.ts'
import { lookAtPod } from './look-at-pod.ts'
import { jsonLine } from './output.ts'
import { type Attachment, readEntry } from './result-cache.ts'

/** The word with which this executable starts itself to look at what tenants have made. Only we use it, so no help has it. */
export const LOOKER = '--looker'

/** Asks to read a cache entry, or to look at the pod of one. */
export type Question = { readonly read: string } | { readonly look: Attachment; readonly root: string }

/** Answers each question, a line of stdin, with a line of JSON, until stdin ends: then the process that asked is gone. */
export async function answerQuestions({ out }: Pick<Terminal, 'out'>): Promise<number> {
  nameProcess('x-calico-route')
  giveWay()
  const lines = createInterface({ input: process.stdin })
  lines.on('close', () => process.exit(0))
  for await (const line of lines) out(jsonLine(await answerTo(JSON.parse(line))))
  return 0
}

async function answerTo(question: Question): Promise<unknown> {
  return 'read' in question ? readEntry(question.read) : lookAtPod(question.look, question.root)
}

/** Has the kernel kill this process first when memory is short. @see proc_pid_oom_score_adj(5) */
function giveWay(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Then the kernel chooses.
  }
}
