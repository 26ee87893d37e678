import { linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { failure } from '../support/verbs.ts'
import { temporaryDirectory } from './product.ts'

afterEach(removeNamespaces)

/** An ADD with this log file, in a shell that has prepared its own process. */
async function addWith(logFile: string, config: object = {}, prepare = ':') {
  const pod = await calicoPod()
  const via = ['sh', '-ec', `${prepare}; exec "$@"`, 'sh']
  return run(environment('ADD', pod), { routes: [], logFile, prevResult: calicoResult(pod), ...config }, via)
}

describe('a log file', () => {
  test.each(['000', '777'])('with umask %s is nobody’s but its owner’s and group’s to read', async (umask) => {
    const file = path.join(temporaryDirectory(), 'x.log')
    expect(await addWith(file, {}, `umask ${umask}`)).toMatchObject({ exitCode: 0, stderr: '' })
    expect((statSync(file).mode & 0o777).toString(8)).toBe(umask === '000' ? '640' : '0')
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ verb: 'ADD' })
  })

  test('that is another name of some file is not written to: one who may write there made the name', async () => {
    const directory = temporaryDirectory()
    const [victim, file] = [path.join(directory, 'victim'), path.join(directory, 'x.log')]
    writeFileSync(victim, 'as it was\n')
    linkSync(victim, file)
    const { exitCode, stderr } = await addWith(file)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('"level":"warn"') })
    expect(readFileSync(victim, 'utf8')).toBe('as it was\n')
  })

  test('may be in a directory behind a symbolic link: where logs go is the operator’s', async () => {
    const directory = temporaryDirectory()
    mkdirSync(path.join(directory, 'logs'))
    symlinkSync('logs', path.join(directory, 'link'))
    expect(await addWith(path.join(directory, 'link', 'x.log'))).toMatchObject({ exitCode: 0, stderr: '' })
    expect(readFileSync(path.join(directory, 'logs', 'x.log'), 'utf8')).toContain('"verb":"ADD"')
  })
})

describe('text that a tenant chose', () => {
  // A second record, a terminal's escape sequences in both widths, and what Unicode calls a line end.
  const EVIL = '10.0.0.0/8\n{"level":"error"}\r\u001b[2J\u009b31m\u0085\u2028\u0000'

  test.each<[string, object]>([
    ['a value', { routes: [{ dst: EVIL }] }],
    ['a key', { routes: [{ dst: '10.50.0.0/16', [EVIL]: 1 }] }],
    ['a key of an object', { ovnGateway: { [EVIL]: 1 } }],
    ['a word', { defaultRoute: EVIL }],
  ])('forges no record, no line and no escape sequence as %s', async (_, cni) => {
    const file = path.join(temporaryDirectory(), 'x.log')
    const overrides = { allow: ['routes', 'ovnGateway', 'defaultRoute'], within: ['0.0.0.0/0'] }
    const answer = await addWith(file, { overrides, args: { cni } })

    const { code, msg, details = '' } = failure(answer)
    expect(code).toBe(7)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
    expect(msg + details).not.toMatch(control)
    for (const text of [answer.stdout, answer.stderr, readFileSync(file, 'utf8')]) {
      expect(text.split('\n')).toHaveLength(2)
      expect(text.trimEnd()).not.toMatch(control)
    }
  })
})
