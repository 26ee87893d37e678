import { fileURLToPath } from 'node:url'
import { conform } from './conform.ts'
import { CNI, error, nothing, PROMISE, SPEC, type Vector } from './vector.ts'

const conf = (more: object = {}) => ({ cniVersion: '1.1.0', prevResult: undefined, ...more })
const LISTED = [{ containerID: 'c0ffee0123456789', ifname: 'eth0' }]

const gc: Vector[] = [
  ...Object.entries({
    'the valid attachments': { 'cni.dev/valid-attachments': LISTED },
    'the key of earlier releases of libcni': { 'cni.dev/attachments': LISTED },
    'both keys, as libcni 1.3': { 'cni.dev/valid-attachments': LISTED, 'cni.dev/attachments': LISTED },
    'no valid attachment': { 'cni.dev/valid-attachments': [] },
    'the null of a nil slice': { 'cni.dev/valid-attachments': null, 'cni.dev/attachments': null },
    'no key at all': {},
  }).map(
    ([what, keys]): Vector => ({
      it: `GC with ${what} succeeds`,
      source: what.includes('valid attachment') ? SPEC.gc : CNI.libcni,
      verb: 'GC',
      conf: conf(keys),
      gives: nothing,
    }),
  ),
  ...Object.entries({
    'a word': 'c0ffee0123456789',
    'a list of nulls': [null],
    'a list of empty objects': [{}],
    'an object': { containerID: 'c0ffee0123456789', ifname: 'eth0' },
  }).map(
    ([what, attachments]): Vector => ({
      it: `GC succeeds although the valid attachments are ${what}: there is nothing to collect`,
      source: PROMISE,
      verb: 'GC',
      conf: conf({ 'cni.dev/valid-attachments': attachments }),
      gives: nothing,
    }),
  ),
  {
    it: 'GC touches no pod, listed or not',
    source: SPEC.gc,
    after: [{ verb: 'ADD', conf: { prevResult: { cniVersion: '1.1.0' } } }],
    verb: 'GC',
    conf: conf({ 'cni.dev/valid-attachments': [] }),
    gives: nothing,
  },
  {
    it: 'GC does not mind a namespace that is gone',
    source: SPEC.gc,
    verb: 'GC',
    env: { CNI_NETNS: '/run/netns/gone' },
    conf: conf(),
    gives: nothing,
  },
  {
    it: 'GC with an empty CNI_PATH is refused',
    source: SPEC.gc,
    verb: 'GC',
    env: { CNI_PATH: '' },
    conf: conf(),
    gives: error(4, 'CNI_PATH'),
  },
]

/** Starts the plugin on the same host, if it had not that tool. */
const without = (tool: string): string =>
  `exec sh ${fileURLToPath(new URL('host-without.sh', import.meta.url))} ${tool} "$0" "$1"`

const status: Vector[] = [
  {
    it: 'STATUS of a plugin that can serve ADD succeeds',
    source: SPEC.status,
    verb: 'STATUS',
    conf: conf(),
    gives: nothing,
  },
  {
    it: 'STATUS does not mind a namespace that is gone',
    source: SPEC.status,
    verb: 'STATUS',
    env: { CNI_NETNS: '/run/netns/gone' },
    conf: conf(),
    gives: nothing,
  },
  {
    it: 'STATUS refuses a configuration that ADD would refuse',
    source: PROMISE,
    verb: 'STATUS',
    conf: conf({ routes: [{ dst: '10.50.0.1/16' }] }),
    gives: error(7, 'routes[0].dst'),
  },
  ...['ip', 'nsenter'].flatMap((tool): Vector[] => [
    {
      it: `STATUS tells that the host has no ${tool}`,
      source: PROMISE,
      verb: 'STATUS',
      conf: conf(),
      shell: without(tool),
      gives: error(50, '', new RegExp(`\\b${tool}\\b`)),
    },
    {
      it: `ADD tells that the host has no ${tool}`,
      source: PROMISE,
      verb: 'ADD',
      conf: { defaultRoute: 'remove' },
      shell: without(tool),
      gives: error(103, new RegExp(`\\b${tool}\\b`)),
    },
    {
      it: `DEL does not fail because the host has no ${tool}`,
      source: PROMISE,
      verb: 'DEL',
      shell: without(tool),
      gives: nothing,
      logs: /(?:)/,
    },
  ]),
  ...['sys_admin', 'net_admin'].flatMap((capability): Vector[] => [
    {
      it: `STATUS tells that the plugin lacks CAP_${capability.toUpperCase()}`,
      source: PROMISE,
      verb: 'STATUS',
      conf: conf(),
      shell: `exec setpriv --bounding-set=-${capability} "$0"`,
      gives: error(50, new RegExp(`CAP_${capability}`, 'i')),
    },
    {
      it: `ADD without CAP_${capability.toUpperCase()} fails, and leaves the pod as it is`,
      source: PROMISE,
      verb: 'ADD',
      conf: { defaultRoute: 'remove', routes: [{ dst: '10.50.0.0/16' }] },
      shell: `exec setpriv --bounding-set=-${capability} "$0"`,
      gives: error([4, 100, 103]),
    },
  ]),
]

conform('GC and STATUS', [...gc, ...status])
