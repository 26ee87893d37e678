import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { nameProcess } from '../call/stdio.ts'
import type { Terminal } from './command.ts'
import { lookAtPod } from './look-at-pod.ts'
import { jsonLine } from './output.ts'
import { type Attachment, readEntry } from './result-cache.ts'

/** What this executable is called with by itself, to look at what tenants have made. Nobody else needs it: it is in no help. */
export const LOOKER = '--looker'

/** To read a cache entry, or to look at the pod that one tells of. */
export type Question = { readonly read: string } | { readonly look: Attachment; readonly root: string }

/** A process that answers each line of stdin, a question, by a line of JSON, until stdin ends: then whoever asked is gone. */
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

/** Where memory is short, the kernel ends this process first. @see proc_pid_oom_score_adj(5) */
function giveWay(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Then it ends whom it likes.
  }
}
