import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { changes, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { add, check, del, fails } from '../support/verbs.ts'

const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]
const BAD = [{ dst: '10.50.0.0/16' }, { dst: '10.99.0.0/16', gw: '192.0.2.1' }]

let pod: CalicoPod
let directory: string
let logFile: string
beforeEach(async () => {
  pod = await calicoPod()
  directory = mkdtempSync(path.join(tmpdir(), 'xcr-log-'))
  logFile = path.join(directory, 'x-calico-route.log')
})
afterEach(() => {
  removeNamespaces()
  rmSync(directory, { recursive: true, force: true })
})

const records = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
const logged = () => records(readFileSync(logFile, 'utf8'))

describe('logFile', () => {
  test('gets one record per call: when, what, for whom, how long, which routes', async () => {
    const config = { routes: ROUTES, logFile, prevResult: calicoResult(pod) }
    await add(pod, config)
    await check(pod, config)
    await del(pod, config)

    const common = {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: 'info',
      network: 'k8s-pod-network',
      container: 'c0ffee0123456789',
      netns: pod.path,
      ifname: 'eth0',
      durationMs: expect.any(Number),
      outcome: 'ok',
    }
    const lines = (...fragments: string[]) => fragments.map((fragment) => expect.stringMatching(fragment))
    expect(logged()).toEqual([
      {
        ...common,
        verb: 'ADD',
        routes: lines(
          'add 10.50.0.0/16 via 169.254.1.1',
          'add fd00:10:50::/64 via fe80::',
          'del 0.0.0.0/0',
          'del ::/0',
        ),
      },
      { ...common, verb: 'CHECK' },
      { ...common, verb: 'DEL', routes: lines('del 10.50.0.0/16', 'del fd00:10:50::/64') },
    ])
  })

  test('gets failures with their code, text and details; they go to stderr as well', async () => {
    const config = { routes: BAD, logFile, prevResult: calicoResult(pod) }
    const { stdout, stderr } = await run(environment('ADD', pod), config)
    const { code, msg, details } = JSON.parse(stdout)
    expect(logged()).toEqual([
      expect.objectContaining({ level: 'error', verb: 'ADD', outcome: 'error', code, msg, details }),
    ])
    expect(records(stderr)).toEqual(logged())
  })

  test('gets failures of configurations that are wrong elsewhere', async () => {
    await fails('ADD', pod, { routes: [{ dst: 'nonsense' }], logFile, prevResult: calicoResult(pod) })
    expect(logged()).toEqual([expect.objectContaining({ level: 'error', code: 7 })])
  })

  test('keeps what was in it, and every record of twenty writers at once in one piece', async () => {
    writeFileSync(logFile, '{"level":"info","from":"before"}\n')
    const many = Array.from({ length: 200 }, (_, i) => ({ dst: `10.50.${i}.0/24` }))
    const config = { routes: many, dryRun: true, logFile, prevResult: calicoResult(pod) }
    await Promise.all(Array.from({ length: 20 }, () => run(environment('ADD', pod), config)))
    expect(logged()).toHaveLength(21)
    expect(logged()[0]).toEqual({ level: 'info', from: 'before' })
  })

  test.each([
    { what: 'is a directory', make: () => mkdirSync(logFile) },
    { what: 'is in a directory that is not there', make: () => rmSync(directory, { recursive: true }) },
    {
      what: 'is in a place that is no directory',
      make: () => {
        rmSync(directory, { recursive: true })
        writeFileSync(directory, '')
      },
    },
    { what: 'is a FIFO that nobody reads', make: () => execFileSync('mkfifo', [logFile]) },
    { what: 'is a symbolic link', make: () => symlinkSync(path.join(directory, 'elsewhere'), logFile) },
  ])('that $what: the ADD succeeds, and one warning tells of it', async ({ make }) => {
    make()
    const { stdout, stderr, exitCode } = await run(environment('ADD', pod), {
      routes: ROUTES,
      logFile,
      prevResult: calicoResult(pod),
    })
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout).routes).toHaveLength(2)
    expect(records(stderr)).toEqual([expect.objectContaining({ level: 'warn' })])
    expect(stderr).toContain(logFile)
    expect(existsSync(path.join(directory, 'elsewhere'))).toBe(false)
  })
})

describe('logLevel', () => {
  test.each([
    { logLevel: 'debug', levels: ['info', 'error'], stderr: ['info', 'error'] },
    { logLevel: 'info', levels: ['info', 'error'], stderr: ['error'] },
    { logLevel: 'warn', levels: ['error'], stderr: ['error'] },
    { logLevel: 'error', levels: ['error'], stderr: ['error'] },
  ])('$logLevel: the file and stderr get what belongs there', async ({ logLevel, levels, stderr }) => {
    const good = await run(environment('ADD', pod), {
      routes: ROUTES,
      logLevel,
      logFile,
      prevResult: calicoResult(pod),
    })
    const bad = await run(environment('ADD', pod), { routes: BAD, logLevel, logFile, prevResult: calicoResult(pod) })
    const known = (all: Record<string, unknown>[]) => all.map(({ level }) => level).filter((level) => level !== 'debug')
    expect(known(logged())).toEqual(levels)
    expect(known(records(good.stderr + bad.stderr))).toEqual(stderr)
  })
})

describe('dryRun', () => {
  test('says in one warning what it would do, changes nothing, and passes prevResult through', async () => {
    const prevResult = calicoResult(pod)
    const { before, after } = await changes(pod.netns, async () => {
      const { stdout, stderr, exitCode } = await run(environment('ADD', pod), {
        routes: ROUTES,
        dryRun: true,
        prevResult,
      })
      expect(exitCode).toBe(0)
      expect(JSON.parse(stdout)).toEqual(prevResult)
      expect(records(stderr)).toEqual([expect.objectContaining({ level: 'warn', verb: 'ADD' })])
      for (const fragment of [
        'dryRun',
        '10.50.0.0/16 via 169.254.1.1',
        'fd00:10:50::/64 via fe80::',
        'del 0.0.0.0/0',
        'del ::/0',
      ]) {
        expect(stderr).toContain(fragment)
      }
    })
    expect(after).toBe(before)
  })

  test('says the same to the log file', async () => {
    await run(environment('ADD', pod), { routes: ROUTES, dryRun: true, logFile, prevResult: calicoResult(pod) })
    expect(logged()).toEqual([
      expect.objectContaining({
        level: 'warn',
        routes: expect.arrayContaining([expect.stringContaining('10.50.0.0/16')]),
      }),
    ])
  })

  test.each(['0.3.1', '1.1.0'] as const)('speaks CNI %s as the caller does', async (cniVersion) => {
    const { stdout } = await run(environment('ADD', pod), {
      cniVersion,
      dryRun: true,
      prevResult: calicoResult(pod, { cniVersion }),
    })
    expect(JSON.parse(stdout)).toEqual(calicoResult(pod, { cniVersion }))
  })

  test('tells a prevResult of another version in the configuration’s', async () => {
    const prevResult = calicoResult(pod, { cniVersion: '1.0.0' })
    const { stdout } = await run(environment('ADD', pod), { cniVersion: '0.4.0', dryRun: true, prevResult })
    expect(JSON.parse(stdout)).toEqual(calicoResult(pod, { cniVersion: '0.4.0' }))
  })

  test('fails where ADD would fail before its first change', async () => {
    const config = {
      routes: [{ dst: '10.50.0.0/16', dev: 'eth9', scope: 'link' }],
      dryRun: true,
      prevResult: calicoResult(pod),
    }
    expect(await fails('ADD', pod, config)).toMatchObject({
      code: 7,
      msg: expect.stringMatching(/^routes\[0\]\.dev: /),
    })
  })

  test('finds nothing to do where ADD has done it', async () => {
    const prevResult = calicoResult(pod)
    await add(pod, { routes: ROUTES, prevResult })
    const kernel = await routes(pod.netns)
    const { exitCode, stderr } = await run(environment('ADD', pod), { routes: ROUTES, dryRun: true, prevResult })
    expect(exitCode).toBe(0)
    expect(stderr).not.toContain('10.50.0.0/16')
    expect(await routes(pod.netns)).toEqual(kernel)
  })
})
