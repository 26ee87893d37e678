import { conform } from './conform.ts'
import { CNI, either, error, exactly, PROMISE, result, type Vector } from './vector.ts'

const kept = (prevResult: object): Pick<Vector, 'source' | 'verb' | 'conf' | 'gives'> => ({
  source: PROMISE,
  verb: 'ADD',
  conf: { prevResult },
  gives: exactly(prevResult),
})

/** What the plugin does not know is not its own to change. */
const unknown: Vector[] = [
  {
    it: 'unknown keys of prevResult survive at every level',
    ...kept({
      cniVersion: '1.0.0',
      'example.com/top': { a: [1, { b: null }], '': 0 },
      interfaces: [{ name: 'eth0', 'example.com/link': true }],
      ips: [{ address: '10.1.2.3/24', 'example.com/lease': 3600 }],
      routes: [{ dst: '10.77.0.0/16', 'example.com/why': '"quoted"\n' }],
      dns: { domain: 'x', 'example.com/dns': [[]] },
    }),
  },
  {
    it: 'keys that every JavaScript object has survive as any other',
    ...kept({ cniVersion: '1.0.0', constructor: 1, toString: 'x', hasOwnProperty: null, valueOf: { toString: [] } }),
  },
  {
    it: 'a key __proto__ survives',
    source: PROMISE,
    verb: 'ADD',
    conf: {
      prevResult: JSON.parse('{"cniVersion":"1.0.0","__proto__":{"a":1},"interfaces":[{"name":"eth0","__proto__":2}]}'),
    },
    gives: result(),
    prints: /(?=.*"__proto__":\s*\{"a":\s*1\})(?=.*"__proto__":\s*2)/s,
  },
  ...['9007199254740993', '-123456789012345678901234567890', '0.1234567890123456789', '1e400'].map(
    (number): Vector => ({
      it: `the number ${number} survives, which no double can hold`,
      source: PROMISE,
      verb: 'ADD',
      stdin: (conf) => conf.replace('"prevResult":{', `"prevResult":{"example.com/number":${number},`),
      gives: result(),
      prints: new RegExp(`"example\\.com/number":\\s*${number.replaceAll('.', '\\.')}\\b`),
    }),
  ),
  {
    it: 'a lone surrogate survives, as an escape',
    source: PROMISE,
    verb: 'ADD',
    stdin: (conf) => conf.replace('"prevResult":{', '"prevResult":{"example.com/text":"\\ud800 \\u0000 \\u2028",'),
    gives: result(),
    prints: /"example\.com\/text":\s*"\\ud800 \\u0000 (\\u2028|\u2028)"/,
  },
  {
    it: 'characters beyond ASCII survive',
    ...kept({ cniVersion: '1.0.0', 'größe-网-🦀': '\u{1F980} gefäß \u007f <&>' }),
  },
  {
    it: 'of two equal keys of prevResult the last one survives',
    source: CNI.prevResult,
    verb: 'ADD',
    stdin: (conf) => conf.replace('"prevResult":{', '"prevResult":{"dns":{"domain":"first"},"ips":5,'),
    gives: result(),
  },
  ...[1_000, 10_000, 200_000].map(
    (depth): Vector => ({
      it: `an unknown key of prevResult that is ${depth} arrays deep survives, or is refused before any change`,
      source: PROMISE,
      verb: 'ADD',
      stdin: (conf) => conf.replace('"prevResult":{', `"prevResult":{"deep":${'['.repeat(depth)}${']'.repeat(depth)},`),
      gives: either(result(), error(6)),
      prints: /"deep":\s*\[\[|"code":\s*6\b/,
    }),
  ),
  {
    it: 'a Result of 2 MiB arrives whole',
    ...kept({ cniVersion: '1.0.0', 'example.com/blob': 'x'.repeat(2 * 1024 * 1024) }),
  },
  {
    it: 'a Result of 2 MiB arrives whole where the reader of the pipe is slow and does not block',
    ...kept({ cniVersion: '1.0.0', 'example.com/blob': 'x'.repeat(2 * 1024 * 1024) }),
    shell: `perl -MFcntl -e 'fcntl STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK; exec $ARGV[0]' "$0" | { sleep 0.3; cat; }`,
  },
]

conform('Result, keys that nobody knows', unknown)
