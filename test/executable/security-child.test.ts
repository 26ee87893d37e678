import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { removeNamespaces } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import { temporaryDirectory } from './product.ts'

afterEach(removeNamespaces)

/** What a child of ours must not come to see, and what would run other programs in it. */
const HOSTILE = {
  BASH_ENV: '/nonexistent',
  ENV: '/nonexistent',
  HOME: '/nonexistent',
  HTTPS_PROXY: 'http://user:password@proxy',
  IFS: 'i',
  LD_LIBRARY_PATH: '/nonexistent',
  LC_ALL: 'tr_TR.UTF-8',
  NODE_OPTIONS: '--require=/nonexistent.js',
  SECRET: 'of the runtime',
}

test('the child sees of the environment only a fixed PATH and LC_ALL, of the descriptors only those it needs, and is in /', async () => {
  const pod = await calicoPod()
  using host = hostWhereIpIs(
    `tr '\\0' '\\n' < /proc/$$/environ > $DIRECTORY/environ
    readlink /proc/$$/cwd > $DIRECTORY/cwd
    for fd in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done > $DIRECTORY/descriptors
    exec $REAL_IP "$@"`,
  )
  const trap = temporaryDirectory()
  for (const tool of ['ip', 'nsenter']) writeFileSync(path.join(trap, tool), '#!/bin/sh\nexit 3\n', { mode: 0o755 })
  mkdirSync(path.join(trap, 'cwd'))
  const config = { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) }
  const env = { ...HOSTILE, ...environment('ADD', pod) }
  const answer = await run(env, config, [...host.via, 'env', '-C', path.join(trap, 'cwd'), `PATH=${trap}`])

  expect(answer).toMatchObject({ exitCode: 0, stderr: '' })
  const seen = (name: string) => readFileSync(path.join(host.directory, name), 'utf8').trim().split('\n').sort()
  expect(seen('environ')).toEqual(['LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'])
  expect(seen('cwd')).toEqual(['/'])
  // 3 is the pod's namespace, which nsenter leaves open. The runtime's own descriptors are not ours to hand on.
  expect(seen('descriptors')).toEqual(['3'])
})
