/** The calls of runtime.ts with what every one of them must keep to: streams, exit status, one JSON document. */
import { expect } from 'vitest'
import type { Pod } from './calico.ts'
import { type Answer, type CniFailure, type CniResult, type Config, environment, run, type Verb } from './runtime.ts'

/** ADD that must succeed: the Result, and nothing else on either stream. */
export async function add(pod: Pod, config: Config): Promise<CniResult> {
  const answer = await run(environment('ADD', pod), config)
  expect(answer).toEqual({ exitCode: 0, stderr: '', stdout: expect.stringMatching(/^\{.*\}\n$/) })
  return JSON.parse(answer.stdout)
}

/** CHECK, DEL, … that must succeed: they print nothing at all. */
export async function succeeds(verb: Exclude<Verb, 'ADD'>, pod: Pod, config: Config): Promise<void> {
  expect(await run(environment(verb, pod), config)).toEqual({ exitCode: 0, stderr: '', stdout: '' })
}

export const check = (pod: Pod, config: Config): Promise<void> => succeeds('CHECK', pod, config)
export const del = (pod: Pod, config: Config): Promise<void> => succeeds('DEL', pod, config)

/** The error object of a call that must fail: exit status 1, and exactly one JSON document on stdout. */
export function failure(answer: Answer): CniFailure {
  expect(answer).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(/^\{[^\n]*\}\n$/) })
  return JSON.parse(answer.stdout) // a second document on stdout would not parse
}

export async function fails(verb: Verb, pod: Pod, config: Config, via: readonly string[] = []): Promise<CniFailure> {
  return failure(await run(environment(verb, pod), config, via))
}
