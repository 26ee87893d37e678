import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { expect, it } from 'vitest'

const STDIO = fileURLToPath(new URL('../../../src/call/stdio.ts', import.meta.url))

/** stdin is a socket, as Node's children have it. The event loop comes to read it only after the time limit of 100 ms. */
it('reads what has arrived on a socket before a slow machine begins to read', async () => {
  const program = `
    import { readStdinAtOnce } from ${JSON.stringify(STDIO)}
    const asked = readStdinAtOnce()
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
    console.log(JSON.stringify(await asked))`
  const { stdout, stderr } = await execa(process.execPath, ['--input-type=module', '--eval', program], {
    input: '{"cniVersion":"0.4.0"}',
  })
  expect({ stdout, stderr }).toEqual({ stdout: '{"cniVersion":"0.4.0"}', stderr: '' })
})

it('says nothing of a time limit that is over before it can be set', async () => {
  const program = `
    import { readStdinAtOnce } from ${JSON.stringify(STDIO)}
    const { now } = Date
    let calls = 0
    Date.now = () => now() + 1000 * calls++
    console.log(JSON.stringify(await readStdinAtOnce()))`
  const { stdout, stderr } = await execa(process.execPath, ['--input-type=module', '--eval', program], {
    input: '{"cniVersion":"0.4.0"}',
  })
  expect({ stdout, stderr }).toEqual({ stdout: '{"cniVersion":"0.4.0"}', stderr: '' })
})
