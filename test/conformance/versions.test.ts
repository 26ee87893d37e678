import { conform } from './conform.ts'
import { CNI, error, nothing, PROMISE, result, SPEC, VERBS, VERSIONS, type Vector, version } from './vector.ts'

/** Since when a verb exists. */
const SINCE = { ADD: '0.1.0', DEL: '0.1.0', VERSION: '0.1.0', CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' }
const SOURCE = {
  ADD: SPEC.add,
  DEL: SPEC.del,
  VERSION: SPEC.versionResult,
  CHECK: SPEC.check,
  GC: SPEC.gc,
  STATUS: SPEC.status,
}
const SUCCESS = { ADD: result(), DEL: nothing, CHECK: nothing, GC: nothing, STATUS: nothing }

const matrix: Vector[] = VERSIONS.flatMap((cniVersion) =>
  VERBS.map((verb): Vector => {
    const call = { verb, conf: { cniVersion } }
    if (verb === 'VERSION') {
      return {
        ...call,
        it: `VERSION in ${cniVersion} is answered in ${cniVersion}`,
        source: SOURCE[verb],
        ...(cniVersion === '1.1.0' ? {} : { differs: 'pkg/version prints its newest, whatever the caller speaks' }),
        gives: version(cniVersion),
      }
    }
    return cniVersion >= SINCE[verb]
      ? { ...call, it: `${verb} in ${cniVersion} succeeds`, source: SOURCE[verb], gives: SUCCESS[verb] }
      : {
          ...call,
          it: `${verb} in ${cniVersion} does not exist yet`,
          source: CNI.skel,
          gives: error(1, `config version does not allow ${verb}`),
        }
  }),
)

/** Only the exact name of a version is that version. */
const unsupported: Vector[] = [
  ...[
    '1.2.0',
    '2.0.0',
    '9.9.9',
    '1.0',
    '1',
    '1.0.0.0',
    '01.0.0',
    'v1.0.0',
    '1.0.0-rc1',
    ' 1.0.0',
    '1.0.0\n',
    'banana',
  ].map(
    (cniVersion): Vector => ({
      it: `ADD in version ${JSON.stringify(cniVersion)} is incompatible`,
      source: CNI.reconcile,
      verb: 'ADD',
      conf: { cniVersion },
      gives: error(1),
    }),
  ),
  ...[undefined, '', '0.1.0', '0.2.0'].map(
    (cniVersion): Vector => ({
      it: `ADD in version ${JSON.stringify(cniVersion) ?? '0.1.0 by not naming one'} is incompatible: nothing was chained then`,
      source: PROMISE,
      verb: 'ADD',
      conf: { cniVersion },
      gives: error(1),
    }),
  ),
  ...[undefined, '', null].map(
    (cniVersion): Vector => ({
      it: `ADD in version ${JSON.stringify(cniVersion) ?? 'none'} is told which to write, and of none that nobody wrote`,
      source: PROMISE,
      verb: 'ADD',
      conf: { cniVersion },
      gives: error(1, /^cniVersion: missing; write "1\.0\.0"$/, /^x-calico-route supports 0\.3\.0, /),
    }),
  ),
  {
    it: 'an incompatible version is named together with those that would do',
    source: CNI.reconcile,
    verb: 'ADD',
    conf: { cniVersion: '9.9.9' },
    gives: error(1, '', /9\.9\.9.*0\.4\.0.*1\.0\.0/),
  },
  ...[1, 1.1, ['1.0.0'], { major: 1 }, true].map(
    (cniVersion): Vector => ({
      it: `a version ${JSON.stringify(cniVersion)} is not decoded`,
      source: CNI.decodeVersion,
      verb: 'ADD',
      conf: { cniVersion },
      gives: error(6, 'cniVersion'),
    }),
  ),
  {
    it: 'a version null is none, or no string',
    source: PROMISE,
    verb: 'ADD',
    conf: { cniVersion: null },
    gives: error([1, 6], /cniVersion|version/i),
  },
]

/** Verbs that came later have to compare versions, so there are texts that are none. */
const compared: Vector[] = (['CHECK', 'GC', 'STATUS'] as const).flatMap((verb): Vector[] => [
  ...['banana', 'v1.0.0', '1.0.0-rc1', '1.0.0.0', '1.1.0 ', '1..0'].map(
    (cniVersion): Vector => ({
      it: `${verb} cannot decode version ${JSON.stringify(cniVersion)}`,
      source: CNI.parseVersion,
      verb,
      conf: { cniVersion },
      gives: error(6),
    }),
  ),
  ...[undefined, '', '0.2.0', '0.1'].map(
    (cniVersion): Vector => ({
      it: `${verb} does not exist in version ${JSON.stringify(cniVersion) ?? '0.1.0 by not naming one'}`,
      source: CNI.skel,
      verb,
      conf: { cniVersion },
      gives: error(1, `config version does not allow ${verb}`),
    }),
  ),
  ...['1.2.0', '9.9.9', '1.1', '01.1.0'].map(
    (cniVersion): Vector => ({
      it: `${verb} in version ${cniVersion} is incompatible`,
      source: CNI.skel,
      verb,
      conf: { cniVersion },
      gives: error(1),
    }),
  ),
  ...['-1.1.0', '99999999999999999999.0.0'].map(
    (cniVersion): Vector => ({
      it: `${verb} in version ${cniVersion} is not decoded or not supported`,
      source: CNI.parseVersion,
      verb,
      conf: { cniVersion },
      gives: error([1, 6]),
    }),
  ),
  {
    it: `${verb} cannot decode a version that is a number`,
    source: CNI.decodeVersion,
    verb,
    conf: { cniVersion: 1.1 },
    gives: error(6),
  },
])

/** A DEL that fails stops the runtime from deleting what the plugins before this one have made. */
const tolerated: Vector[] = [undefined, '', '0.2.0', '9.9.9', 'banana', 1, null].map((cniVersion) => ({
  it: `DEL in version ${JSON.stringify(cniVersion) ?? '0.1.0 by not naming one'} succeeds`,
  source: PROMISE,
  verb: 'DEL',
  conf: { cniVersion },
  gives: nothing,
}))

conform('versions', [...matrix, ...unsupported, ...compared, ...tolerated])
