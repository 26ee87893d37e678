/**
 * Runs vectors against dist/x-calico-route, or against any other chained plugin that looks into the pod:
 *
 *     make test-conformance
 *     XCR_PLUGIN=/opt/cni/bin/other CONFORMANCE=spec make test-conformance
 *     XCR_PLUGIN=/opt/cni/bin/tuning CONFORMANCE=reference make test-conformance
 *
 * `spec` leaves out what only this plugin promises, `reference` also where the Go reference departs from the
 * specification. Plugins 1.9.1's tuning passes the latter.
 */
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { configure, dump, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, PLUGIN } from '../support/runtime.ts'
import { type Answer, call } from './call.ts'
import { errorSchema, promisedErrorSchema, resultSchema, versionSchema } from './schema.ts'
import { type Call, type Conf, type Expected, PROMISE, VERSIONS, type Vector, type Version } from './vector.ts'

const EXTENT = process.env.CONFORMANCE ?? 'all'
if (!['all', 'spec', 'reference'].includes(EXTENT))
  throw new Error(`CONFORMANCE is ${EXTENT}, not all, spec or reference`)
const OURS = EXTENT === 'all'

const isIncluded = ({ source, differs }: Vector) =>
  OURS || (source !== PROMISE && !(EXTENT === 'reference' && differs !== undefined))

/** Longer than any time limit of the plugin's, on a busy machine and under qemu too. */
const PATIENCE = 40_000

/** One group of vectors: they run at the same time, and those that change nothing in the same pod. */
export function conform(group: string, vectors: readonly Vector[]): void {
  describe.concurrent(group, { timeout: 4 * PATIENCE }, () => {
    let shared: CalicoPod
    beforeAll(async () => {
      accessSync(PLUGIN, constants.X_OK)
      shared = await calicoPod()
    })
    afterAll(removeNamespaces)

    test('every vector has a sentence of its own', () => {
      const sentences = vectors.map(({ it }) => it)
      expect(sentences.filter((sentence, i) => sentences.indexOf(sentence) !== i)).toEqual([])
    })
    for (const vector of vectors) {
      test.skipIf(!isIncluded(vector))(`${vector.it} [${vector.source}]`, async () => {
        const pod = vector.after || vector.leaves ? await calicoPod() : shared
        const directory = mkdtempSync(join(tmpdir(), 'xcr-conformance-'))
        try {
          await examine(vector, pod, directory)
        } finally {
          rmSync(directory, { recursive: true })
        }
      })
    }
  })
}

async function examine(vector: Vector, pod: CalicoPod, directory: string): Promise<void> {
  let added: object | undefined
  for (const step of vector.after ?? []) {
    if ('ip' in step) {
      await configure(pod.netns, step.ip)
      continue
    }
    const answer = await call(invocation({ ...step, conf: { ...vector.conf, ...step.conf } }, pod, directory, added))
    expect(answer, `${step.verb} before the call`).toMatchObject({ exitCode: 0 })
    if (step.verb === 'ADD') added = JSON.parse(answer.stdout)
  }
  const last = invocation(vector, pod, directory, added)
  const before = vector.leaves ? undefined : await dump(pod.netns)
  const others = (vector.alongside ?? []).map((other) => call(invocation(other, pod, directory, added)))
  const answer = await call(last)
  for (const other of await Promise.all(others)) expect(other, 'a call at the same time').toMatchObject({ exitCode: 0 })
  if (answer.exitCode === null) throw new Error(`no answer in ${last.within} ms, or killed: ${JSON.stringify(answer)}`)
  verify(vector.gives, answer, vector, added)
  if (vector.prints) expect(answer.stdout).toMatch(vector.prints)
  if (OURS) verifyLog(vector, answer)
  if (vector.leaves) expect(await routes(pod.netns)).toEqual(vector.leaves.toSorted())
  else expect(await dump(pod.netns), 'the pod is as it was').toBe(before)
}

function invocation(vector: Call & Partial<Vector>, pod: CalicoPod, directory: string, added: object | undefined) {
  const conf = composed(vector, pod, added)
  const { stdin = conf, stays = false, shell, within = PATIENCE } = vector
  const env = { ...environment('ADD', pod), CNI_COMMAND: vector.verb, ...vector.env }
  return {
    plugin: PLUGIN,
    env: Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)),
    stdin: typeof stdin === 'function' ? stdin(conf) : stdin,
    stays,
    shell,
    directory,
    within,
  }
}

/** The configuration of one plugin of a list, as libcni derives it. */
function composed({ verb, conf = {} }: Call, pod: CalicoPod, added: object | undefined): string {
  const calico = calicoResult(pod, { release: '3.31', cniVersion: versionOf(conf) ?? '1.0.0' })
  const own = { cniVersion: '1.0.0', name: 'k8s-pod-network', type: basename(PLUGIN), defaultRoute: 'keep' }
  return JSON.stringify({ ...own, prevResult: verb === 'ADD' ? calico : (added ?? calico), ...conf })
}

/** The version a call is in; undefined where there is no such version. */
function versionOf(conf: Conf): Version | undefined {
  return 'cniVersion' in conf ? VERSIONS.find((known) => known === conf.cniVersion) : '1.0.0'
}

/** @throws if the answer is not the expected one */
function verify(
  expected: Expected,
  { stdout, stderr, exitCode }: Answer,
  vector: Vector,
  added: object | undefined,
): void {
  const context = JSON.stringify({ exitCode, stdout: stdout.slice(0, 2000), stderr: stderr.slice(0, 2000) })
  switch (expected.is) {
    case 'either': {
      const attempts = expected.of.map((one) => attempt(() => verify(one, { stdout, stderr, exitCode }, vector, added)))
      if (attempts.every((problem) => problem !== undefined))
        throw new AggregateError(attempts, `none of: ${attempts.join(' | ')}`)
      return
    }
    case 'failure':
      expect(exitCode, context).not.toBe(0)
      return
    case 'error': {
      expect(exitCode, context)[OURS ? 'toBe' : 'toBeGreaterThan'](OURS ? 1 : 0)
      const object = document(OURS ? promisedErrorSchema : errorSchema, stdout, context)
      const promised = OURS && expected.promised !== undefined ? [expected.promised] : expected.codes
      if (promised !== 'any') expect(promised, context).toContain(object.code)
      // Which names a message of code 4 must contain is the specification's word, all other wording ours.
      if (OURS || (EXTENT === 'spec' && object.code === 4)) {
        expect(object.msg, context).toMatch(expected.says.msg)
        expect(object.details ?? '', context).toMatch(expected.says.details)
      }
      return
    }
    case 'about':
      expect({ exitCode, stdout }, context).toEqual({ exitCode: 0, stdout: '' })
      expect(stderr).toMatch(/0\.3\.1.*1\.0\.0/)
      return
    case 'nothing':
      expect({ exitCode, stdout }, context).toEqual({ exitCode: 0, stdout: '' })
      return
    case 'version': {
      expect(exitCode, context).toBe(0)
      const object = document(versionSchema, stdout, context)
      expect(object.supportedVersions).toEqual(expect.arrayContaining(OURS ? [...VERSIONS] : ['1.0.0']))
      if (expected.cniVersion !== undefined) expect(object.cniVersion).toBe(expected.cniVersion)
      return
    }
    case 'result':
    case 'same result': {
      expect(exitCode, context).toBe(0)
      const inVersion = versionOf(vector.conf ?? {})
      if (!inVersion) throw new Error(`a Result in a version nobody asked for: ${context}`)
      const object = document(resultSchema(inVersion), stdout, context)
      if (expected.is === 'same result') expect(object).toEqual(added)
      else if (expected.exactly) expect(object).toEqual(expected.like)
      else expect(object).toMatchObject(expected.like)
      return
    }
    default:
      expected satisfies never
  }
}

function attempt(action: () => void): unknown {
  try {
    action()
    return undefined
  } catch (error) {
    return error
  }
}

/** The one JSON document on stdout. This plugin ends it with a line end. */
function document<T>(schema: { parse(data: unknown): T }, stdout: string, context: string): T {
  if (OURS) expect(stdout, context).toMatch(/\}\n$/)
  try {
    return schema.parse(JSON.parse(stdout))
  } catch (error) {
    throw new Error(`not the document it should be: ${context}`, { cause: error })
  }
}

/** What else this plugin promises of every call: a clean stderr on success, and otherwise records that a machine can read. */
function verifyLog({ gives, logs }: Vector, { stderr, exitCode }: Answer): void {
  if (gives.is === 'about') return
  if (logs) expect(stderr).toMatch(logs)
  else if (exitCode === 0) expect(stderr).toBe('')
  for (const line of stderr.split('\n').filter(Boolean)) {
    const record = attempt(() => JSON.parse(line))
    expect(record, `no record: ${line}`).toBeUndefined()
  }
}
