import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { expect, onTestFinished, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'

/** The soak of `make soak`, in a sandbox of its own: it looks at everything in there. */
const script = (name: string) => fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url))
const soak = (env: Record<string, string>) =>
  execa(script('sandbox.sh'), [process.execPath, script('soak.ts')], {
    env: { AT_ONCE: '4', NO_COLOR: '1', ...env },
    reject: false,
  })

test('pods that live and die by the hundred leave nothing behind', { timeout: 180_000 }, async () => {
  const { exitCode, stdout } = await soak({ CYCLES: '150', NAMESPACES: '12' })
  expect({ exitCode, stdout }).toEqual({
    exitCode: 0,
    stdout: expect.stringMatching(/^150 cycles .*Nothing failed\.\nNothing left behind\.$/s),
  })
})

test('a plugin that leaves a file, a process and a route is found out', { timeout: 120_000 }, async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'xcr-soak-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const careless = path.join(directory, 'careless')
  const leaks = `
    : > /tmp/left-file
    if [ "$CNI_COMMAND" = DEL ]; then
      sleep 60 </dev/null >/dev/null 2>&1 &
      nsenter --net="$CNI_NETNS" ip route add 192.0.2.0/24 dev eth0 2>/dev/null
    fi`
  writeFileSync(careless, `#!/bin/sh${leaks}\nexec ${PLUGIN}\n`, { mode: 0o755 })
  const { exitCode, stdout } = await soak({ CYCLES: '4', NAMESPACES: '4', XCR_PLUGIN: careless })
  expect(exitCode).toBe(1)
  expect(stdout).toMatch(/a file: \/tmp\/left-file/)
  expect(stdout).toMatch(/a process: sleep \(\d+\)/)
  expect(stdout).toMatch(/after DEL missing: none; too many: 192\.0\.2\.0\/24 /)
})
