/**
 * As much of an API server as plugins ask: objects by their paths, over HTTPS, for who has the token.
 * Arguments: the port, a file with certificate and key, the token, a file of objects by path, which is read for each request.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'

const [port = '', pem = '', token = '', objects = ''] = process.argv.slice(2)

const answer = (url: string, authorization: string | undefined): [number, object] => {
  if (authorization !== `Bearer ${token}`) return [401, { kind: 'Status', reason: 'Unauthorized' }]
  const object = JSON.parse(readFileSync(objects, 'utf8'))[url]
  return object === undefined ? [404, { kind: 'Status', reason: 'NotFound' }] : [200, object]
}

const identity = readFileSync(pem)
createServer({ cert: identity, key: identity }, ({ url = '', headers }, response) => {
  const [status, body] = answer(url, headers.authorization)
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}).listen(Number(port), '127.0.0.1')
