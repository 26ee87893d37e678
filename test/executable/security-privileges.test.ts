import { afterEach, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { changes, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { type CniVersion, environment, run } from '../support/runtime.ts'
import { failure } from '../support/verbs.ts'

afterEach(removeNamespaces)

/** Root as far as its user number goes, with these capabilities and no way to get others. */
const onlyWith = (...capabilities: string[]) => [
  'setpriv',
  `--bounding-set=-all${capabilities.map((name) => `,+${name}`).join('')}`,
  '--inh-caps=-all',
  '--ambient-caps=-all',
  '--no-new-privs',
]
const shell = (script: string) => ['sh', '-ec', `${script}; exec "$@"`, 'sh']

/** ADD, CHECK, STATUS and DEL in a real pod, each of which must do its work. */
async function wholeLife(via: readonly string[]): Promise<void> {
  const pod = await calicoPod()
  const cniVersion: CniVersion = '1.1.0'
  const config = { cniVersion, routes: [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }] }
  const ours = async () => (await routes(pod.netns)).filter((route) => route.includes('proto 142'))
  const added = await run(environment('ADD', pod), { ...config, prevResult: calicoResult(pod, { cniVersion }) }, via)
  expect(added).toMatchObject({ exitCode: 0, stderr: '' })
  expect(await ours()).toHaveLength(2)

  const prevResult = JSON.parse(added.stdout)
  for (const verb of ['CHECK', 'STATUS', 'DEL'] as const) {
    const answer = await run(environment(verb, pod), { ...config, prevResult }, via)
    expect({ verb, ...answer }).toEqual({ verb, exitCode: 0, stdout: '', stderr: '' })
  }
  expect(await ours()).toEqual([])
}

describe('it does its work', () => {
  test.each([
    ['with CAP_NET_ADMIN and CAP_SYS_ADMIN alone, and no new privileges', onlyWith('net_admin', 'sys_admin')],
    [
      'where every file is read-only',
      [
        'unshare',
        '--mount',
        ...shell(
          'mount --bind / /mnt; mount -o remount,ro,bind /mnt; mount --rbind /proc /mnt/proc; mount --rbind /run /mnt/run',
        ),
        'chroot',
        '/mnt',
      ],
    ],
    ['with 40 file descriptors', ['prlimit', '--nofile=40']],
    ['where no process may be started by another user', ['prlimit', '--nproc=1']],
    ['where memory may not be locked and no core may be dumped', ['prlimit', '--memlock=0', '--core=0']],
    ['without any variable but the CNI ones, and umask 777', shell('umask 777; unset HOME PATH')],
  ])('%s', async (_, via) => {
    await wholeLife(via)
  })
})

describe('without', () => {
  test.each([
    { lacks: 'CAP_SYS_ADMIN', has: 'net_admin', says: 'nsenter: cannot enter' },
    { lacks: 'CAP_NET_ADMIN', has: 'sys_admin', says: 'Operation not permitted' },
  ])('$lacks ADD fails with code 100, the pod untouched, and STATUS names it', async ({ lacks, has, says }) => {
    const pod = await calicoPod()
    const via = onlyWith(has)
    const { before, after } = await changes(pod.netns, async () => {
      const config = { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) }
      const { code, msg } = failure(await run(environment('ADD', pod), config, via))
      expect({ code, msg }).toEqual({ code: 100, msg: expect.stringContaining(says) })
    })
    expect(after).toBe(before)
    const status = failure(await run({ CNI_COMMAND: 'STATUS' }, { cniVersion: '1.1.0' }, via))
    expect(status).toMatchObject({ code: 50, msg: expect.stringContaining(lacks) })
  })
})
