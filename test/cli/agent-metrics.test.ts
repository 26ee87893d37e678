import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseExposition } from '../support/exposition.ts'
import { agent, listening, page } from './agent.ts'
import { pluginDirectory, temporaryDirectory, VERSION } from './plugin-directory.ts'

const words = (bin: string, ...more: string[]) => ['--to', bin, '--cache', temporaryDirectory(), ...more]

/** An agent that listens, and is ready. */
async function ready() {
  const running = agent(words(pluginDirectory().bin, '--metrics', '0'))
  const url = await listening(running)
  await running.until(/^ready$/)
  return { ...running, url, port: Number(new URL(url).port) }
}

/** The processes that a process has started. */
function childrenOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

const commandOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')

function listenerOf(pid: number | undefined): number {
  const found = childrenOf(pid).find((child) => commandOf(child).includes('--listener'))
  if (found === undefined) throw new Error('the agent has no process that listens')
  return found
}

/** The memory of a process that no file backs, in kB. @see proc_pid_status(5) */
const memoryOf = (pid: number) =>
  Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

/** A connection that is there when this is over, unless it has been closed from the other side. */
async function connection(port: number, text = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  await new Promise((resolve) => socket.on('connect', resolve).on('close', resolve))
  socket.write(text)
  return socket
}

describe('the pages of the agent', () => {
  test('are metrics, health and readiness, and nothing else', async () => {
    const { url, end } = await ready()
    const metrics = await fetch(`${url}/metrics`)
    expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const names = parseExposition(await metrics.text()).map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['x_calico_route_plugin_in_place', 'x_calico_route_ready']))
    const info = parseExposition((await page(`${url}/metrics`)).text).find(({ name }) => name.endsWith('agent_info'))
    expect(`x-calico-route ${info?.samples[0]?.labels.version}`).toBe(VERSION)

    for (const path of ['/healthz', '/readyz', '/readyz?verbose'])
      expect(await page(url + path)).toEqual({ status: 200, text: 'ok\n' })
    for (const path of ['/', '/metrics/', '/etc/passwd', '/../metrics/x'])
      expect(await page(url + path)).toEqual({ status: 404, text: '/metrics, /healthz or /readyz\n' })
    const head = await fetch(`${url}/metrics`, { method: 'HEAD' })
    expect({ status: head.status, text: await head.text() }).toEqual({ status: 200, text: '' })
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect((await fetch(`${url}/metrics`, { method })).status).toBe(405)
    await end()
    await expect(page(`${url}/healthz`)).rejects.toThrow('fetch failed')
  })

  test('say why the node is not ready', async () => {
    const { bin, file } = pluginDirectory()
    const running = agent(words(bin, '--metrics', '0', '--interval', '0.5', '--sets-from', '/run/no-such-sets'))
    const url = await listening(running)
    await running.until(/^not ready: the sets have not been read yet$/)
    await expect.poll(() => page(`${url}/readyz`)).toEqual({ status: 503, text: 'the sets have not been read yet\n' })
    expect((await page(`${url}/metrics`)).text).toContain('x_calico_route_ready 0\n')
    expect((await page(`${url}/healthz`)).status).toBe(200)
    expect(existsSync(file)).toBe(true)
  })

  test('are on loopback alone, unless told otherwise', async () => {
    const { child } = await ready()
    // in hexadecimal, the bytes of an address turned round
    const listens = (pid: number) =>
      readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
        .split('\n')
        .filter((line) => / 0A /.test(line))
    expect(listens(listenerOf(child.pid)).map((line) => line.trim().split(/\s+/)[1]?.split(':')[0])).toContain(
      '0100007F',
    )

    const everywhere = agent(words(pluginDirectory().bin, '--metrics', '[::]:0'))
    expect(await listening(everywhere)).toMatch(/^http:\/\/\[::\]:\d+$/)
    const six = agent(words(pluginDirectory().bin, '--metrics', '[::1]:0'))
    expect(await page(`${await listening(six)}/healthz`)).toMatchObject({ status: 200 })
  })
})

describe('the process that listens', () => {
  test('is nobody’s, and has no capability and nothing of the agent’s environment', async () => {
    const { child } = await ready()
    const pid = listenerOf(child.pid)
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const ids = (key: string) => new RegExp(`^${key}:(.*)$`, 'm').exec(status)?.[1]?.trim()
    expect(ids('Uid')?.split('\t')).toEqual(Array(4).fill('65534'))
    expect(ids('Gid')?.split('\t')).toEqual(Array(4).fill('65534'))
    expect(ids('Groups')).toBe('')
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(`${set} ${ids(set)}`).toMatch(/ 0+$/)
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
    expect(environment.sort()).toEqual(['LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'])
    expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max data size +\d+ +\d+ +bytes/m)
  })

  test.each<NodeJS.Signals>(['SIGTERM', 'SIGKILL'])('ends with the agent: %s', async (signal) => {
    const { child } = await ready()
    const pid = listenerOf(child.pid)
    child.kill(signal)
    await child
    await expect.poll(() => existsSync(`/proc/${pid}/exe`), { interval: 20 }).toBe(false)
  })

  test('is replaced when it ends, on the same port', async () => {
    const { child, until, url, port } = await ready()
    process.kill(listenerOf(child.pid), 'SIGKILL')
    expect(await until('the process that listens has ended')).toMatchObject({ level: 'error' })
    await until(`metrics: listening on 127.0.0.1:${port}`)
    await expect.poll(() => page(`${url}/readyz`)).toEqual({ status: 200, text: 'ok\n' })
  })

  test('says of an agent that hangs that it is neither well nor ready', { timeout: 90_000 }, async () => {
    const { child, url } = await ready()
    child.kill('SIGSTOP')
    const silent = { status: 503, text: 'the agent has been silent\n' }
    await expect.poll(() => page(`${url}/readyz`), { timeout: 60_000, interval: 1000 }).toEqual(silent)
    expect(await page(`${url}/healthz`)).toEqual(silent)
    child.kill('SIGCONT')
    await expect.poll(() => page(`${url}/readyz`), { timeout: 20_000 }).toEqual({ status: 200, text: 'ok\n' })
  })

  test('answers beside a thousand connections that say nothing, or never end what they say', async () => {
    const { child, port, url, since } = await ready()
    const pid = listenerOf(child.pid)
    const before = memoryOf(pid)
    const sockets = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => connection(port, i % 2 ? '' : 'GET /metrics HTTP/1.1\r\nHost: x\r\nX: ')),
    )
    const started = performance.now()
    for (let i = 0; i < 20; i += 1) expect((await page(`${url}/metrics`)).status).toBe(200)
    expect(performance.now() - started).toBeLessThan(4000)
    // All the requests would take 80 MB as objects, and all the answers half a gigabyte.
    expect(memoryOf(pid) - before).toBeLessThan(20_000)
    expect(listenerOf(child.pid)).toBe(pid)
    const alive = () => sockets.filter(({ destroyed }) => !destroyed).length
    await expect.poll(alive).toBeLessThanOrEqual(64)
    // Those that are left have ten seconds in all, however much they go on talking.
    const talking = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('x')
    }, 500)
    await expect.poll(alive, { timeout: 20_000 }).toBe(0)
    clearInterval(talking)
    expect(since()).toEqual([])
    expect(listenerOf(child.pid)).toBe(pid)
  })

  test('lets go of who does not read what was asked for', async () => {
    const { child, port, url } = await ready()
    const pid = listenerOf(child.pid)
    const before = memoryOf(pid)
    const sockets = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const socket = await connection(port)
        socket.pause()
        socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000))
        return socket
      }),
    )
    await sleep(500)
    expect((await page(`${url}/metrics`)).status).toBe(200)
    // All the requests would take 80 MB as objects, and all the answers half a gigabyte.
    expect(memoryOf(pid) - before).toBeLessThan(20_000)
    expect(listenerOf(child.pid)).toBe(pid)
    for (const socket of sockets) socket.resume()
    await expect.poll(() => sockets.filter(({ destroyed }) => !destroyed).length, { timeout: 20_000 }).toBe(0)
  })

  test.each([
    ['headers without end', `GET /metrics HTTP/1.1\r\n${'X: y\r\n'.repeat(10_000)}`],
    ['a path without end', `GET /${'x'.repeat(100_000)}`],
    ['no HTTP', '\x16\x03\x01\x02\x00\x01'],
    [
      'a body without end',
      `POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${'5\r\nhello\r\n'.repeat(10_000)}`,
    ],
    ['an upgrade', 'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'],
    ['another method', 'CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('closes a connection with %s, and goes on', async (_, text) => {
    const { child, port, url } = await ready()
    const pid = listenerOf(child.pid)
    const socket = await connection(port, text)
    socket.resume()
    // Long before a request that is not complete has used up its time.
    await expect.poll(() => socket.destroyed, { timeout: 6000 }).toBe(true)
    expect((await page(`${url}/readyz`)).status).toBe(200)
    expect(listenerOf(child.pid)).toBe(pid)
  })
})

describe('where nobody can listen, the agent works on and says why', () => {
  test('since another process has the port: the plugin is kept, and the port taken once it is free', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void other.close())
    await new Promise((resolve) => other.once('listening', resolve))
    const { port } = other.address() as { port: number }
    const { bin, file } = pluginDirectory()
    const running = agent(words(bin, '--metrics', `${port}`))
    const says = `--metrics: cannot listen on 127.0.0.1 port ${port}: another process has that port; end it, or give another port`
    await expect
      .poll(running.all, { timeout: 30_000 })
      .toEqual(
        expect.arrayContaining([
          expect.objectContaining({ level: 'error', msg: says, part: 'metrics' }),
          expect.objectContaining({ msg: 'ready' }),
        ]),
      )
    expect(existsSync(file)).toBe(true)
    other.close()
    const url = await listening(running)
    expect(url).toBe(`http://127.0.0.1:${port}`)
    await expect.poll(() => page(`${url}/readyz`)).toEqual({ status: 200, text: 'ok\n' })
    expect((await page(`${url}/metrics`)).text).toMatch(/^x_calico_route_agent_troubles_total\{part="metrics"\} [1-9]/m)
    expect(running.all().filter(({ msg }) => msg === says)).toHaveLength(1)
    await running.end()
  })

  test.each([
    ['192.0.2.1:1234', '192.0.2.1 port 1234: that is no address of this node; give one of its own'],
    ['80', '127.0.0.1 port 80: only root may listen there; give a port from 1024 on'],
  ])('since it cannot be had: %s', async (address, says) => {
    const { until } = agent(words(pluginDirectory().bin, '--metrics', address))
    expect(await until(`--metrics: cannot listen on ${says}`)).toMatchObject({ level: 'error', part: 'metrics' })
  })

  test('since it cannot become nobody without CAP_SETUID', async () => {
    const shell = 'exec setpriv --bounding-set=-setuid --inh-caps=-setuid "$@"'
    const { until } = agent(words(pluginDirectory().bin, '--metrics', '0'), { shell })
    await until('--metrics: a process of uid 65534 cannot be started: spawn EPERM; add CAP_SETUID and CAP_SETGID')
  })
})
