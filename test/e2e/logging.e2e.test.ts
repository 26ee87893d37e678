import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Cnitool, cnitoolBuilt } from './cnitool.ts'
import { conflist, nic, ROUTES, xCalicoRoute } from './conflist.ts'
import { REACH_ALL, REACH_SERVICE, reach } from './pod.ts'

const records = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

// libcni shows the stderr of a plugin that succeeded, and drops that of one that failed
describe.skipIf(!cnitoolBuilt)('what a runtime sees of the log', () => {
  let cnitool: Cnitool
  beforeEach(async () => {
    cnitool = await Cnitool.start()
  })
  afterEach(() => cnitool.node.close())

  const attach = async (conf: object) => {
    const network = cnitool.configure(conflist('k8s-pod-network', '1.0.0', nic.calico, xCalicoRoute(conf)))
    const netns = await cnitool.node.pod('testvm')
    return { node: cnitool.node, netns, network, added: await cnitool.run('add', network, netns) }
  }

  it('nothing on stderr at the default level; the file gets one record a call', async () => {
    const { network, netns, added } = await attach({ logFile: '/run/info.log' })
    expect(added).toMatchObject({ exitCode: 0, stderr: '' })
    for (const verb of ['check', 'del'] as const) {
      expect(await cnitool.run(verb, network, netns)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    }
    const common = { level: 'info', network, netns, ifname: 'eth0', outcome: 'ok' }
    expect(records(cnitool.node.read('/run/info.log'))).toMatchObject(
      ['ADD', 'CHECK', 'DEL'].map((verb) => ({ ...common, verb })),
    )
  })

  it('the same records on stderr and in the file with logLevel debug', async () => {
    const { added } = await attach({ logLevel: 'debug', logFile: '/run/debug.log' })
    expect(added.exitCode).toBe(0)
    expect(records(added.stderr)).toEqual(records(cnitool.node.read('/run/debug.log')))
    expect(records(added.stderr)).toMatchObject([{ verb: 'ADD', outcome: 'ok' }])
  })

  it('one warning with what dryRun would do, and a pod that is as it was', async () => {
    const { added, ...pod } = await attach({ dryRun: true })
    expect(added.exitCode).toBe(0)
    expect(records(added.stderr)).toMatchObject([{ level: 'warn', verb: 'ADD', routes: expect.anything() }])
    expect(added.stderr).toContain('198.51.100.0/24')
    expect(await reach(pod)).toEqual(REACH_ALL)
  })

  it.each([
    ['in a directory that is not there', '/run/no/such/directory/log', 'true'],
    ['that is a directory', '/run/directory', 'mkdir /run/directory'],
    ['that is a symbolic link', '/run/link', 'ln -s /run/linked /run/link'],
    ['that is a FIFO nobody reads', '/run/fifo', 'mkfifo /run/fifo'],
    ['that is a device', '/dev/full', 'true'],
    [
      'on a file system that is read-only',
      '/run/read-only/log',
      'mkdir /run/read-only; mount -t tmpfs -o ro none /run/read-only',
    ],
    ['on a file system that is full', '/run/full/log', FULL('/run/full')],
  ])('a log file %s costs a warning, not the pod', async (_, logFile, prepare) => {
    await cnitool.node.run(['sh', '-ec', prepare])
    const { added, ...pod } = await attach({ logFile })
    expect(added.exitCode).toBe(0)
    expect(records(added.stderr)).toEqual([
      {
        time: expect.any(String),
        level: 'warn',
        message: expect.stringContaining(`logFile: cannot write ${logFile}: `),
      },
    ])
    expect(await reach(pod)).toEqual(REACH_SERVICE)
    expect(cnitool.node.list('/run')).not.toContain('linked')
  })

  it('24 ADDs at once into one file: whole lines, one for each', async () => {
    // 60 kB a record: far beyond what a pipe would take in one piece
    const many = Array.from({ length: 700 }, (_, index) => ({ dst: `172.${16 + (index >> 8)}.${index & 255}.0/24` }))
    const conf = { logFile: '/run/crowd.log', routes: [...ROUTES, ...many] }
    const network = cnitool.configure(conflist('crowd', '1.0.0', nic.ptp, xCalicoRoute(conf)))
    const pods = await Promise.all(Array.from({ length: 24 }, (_, index) => cnitool.node.pod(`crowd${index}`)))

    const added = await Promise.all(pods.map((netns) => cnitool.run('add', network, netns)))

    expect(added.map(({ exitCode, stderr }) => ({ exitCode, stderr }))).toEqual(
      pods.map(() => ({ exitCode: 0, stderr: '' })),
    )
    const written = records(cnitool.node.read('/run/crowd.log'))
    expect(written.map(({ netns }) => netns).sort()).toEqual(pods.sort())
    for (const record of written) expect(JSON.stringify(record).length).toBeGreaterThan(40_000)
  })
})

function FULL(directory: string): string {
  return `mkdir ${directory}; mount -t tmpfs -o size=4k none ${directory}; head -c 4096 /dev/zero >${directory}/rest`
}
