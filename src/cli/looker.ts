import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { nameProcess } from '../call/stdio.ts'
import type { Terminal } from './command.ts'
import { lookAtPod } from './look-at-pod.ts'
import { jsonLine } from './output.ts'
import { type RepairQuestion, repairPod } from './repair-pod.ts'
import { type Attachment, readEntry } from './result-cache.ts'

/** The word with which this executable starts itself to look at what tenants have made. Only we use it, so no help has it. */
export const LOOKER = '--looker'

/** Asks to read a cache entry, to look at the pod of one, or to repair a pod. */
export type Question = { readonly read: string } | { readonly look: Attachment; readonly root: string } | RepairQuestion

/** Answers each question, a line of stdin, with a line of JSON, until stdin ends: then the process that asked is gone. */
export async function answerQuestions({ out }: Pick<Terminal, 'out'>): Promise<number> {
  nameProcess('x-calico-route')
  giveWay()
  // Whoever stops all processes of a service stops the one that asks: what is being changed is changed to the end.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => {})
  let change: Promise<unknown> = Promise.resolve()
  const lines = createInterface({ input: process.stdin })
  lines.on('close', () => void change.finally(() => process.exit(0)))
  for await (const line of lines) {
    const question: Question = JSON.parse(line)
    const answer = answerTo(question)
    if ('write' in question) change = answer
    out(jsonLine(await answer))
  }
  return 0
}

async function answerTo(question: Question): Promise<unknown> {
  if ('read' in question) return readEntry(question.read)
  return 'look' in question ? lookAtPod(question.look, question.root) : repairPod(question)
}

/** Has the kernel kill this process first when memory is short. @see proc_pid_oom_score_adj(5) */
export function giveWay(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Then the kernel chooses.
  }
}
