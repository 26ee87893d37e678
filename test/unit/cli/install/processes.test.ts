import { expect, test } from 'vitest'
import { optionIn, socketPath } from '../../../../src/cli/install/processes.ts'

test.each([
  ['containerd', undefined],
  ['containerd -c /a', '/a'],
  ['containerd --config /a --log-level debug', '/a'],
  ['containerd --config=/a=b', '/a=b'],
  ['containerd --config-other=/a', undefined],
  ['containerd -c /a --config=/b', '/b'],
  ['containerd -c', undefined],
])('the configuration that %j names is %j', (line, expected) => {
  expect(optionIn(line.split(' '), '--config', '-c')).toBe(expected)
})

test.each([
  ['unix:///run/containerd/containerd.sock', '/run/containerd/containerd.sock'],
  ['unix:///var/run/crio/crio.sock', '/run/crio/crio.sock'],
  ['/var/run/crio/crio.sock', '/run/crio/crio.sock'],
])('the socket %s is %s', (endpoint, expected) => {
  expect(socketPath(endpoint)).toBe(expected)
})
