/**
 * Chained CNI plugin that changes nothing: it writes each call it gets to the configuration's "log", one JSON object
 * a line, and hands prevResult on. ADD fails for interfaces that the file "failing" names, as long as it is there.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { call, fail, print, readConf, version } from './cni.ts'

const conf = readConf()
if (call.command === 'VERSION') version()
// a VERSION call bears no configuration but a cniVersion
const { log = '/run/witness.jsonl', failing = '/run/failing' } = conf as { log?: string; failing?: string }
const { command, container, netns, ifname } = call
appendFileSync(log, `${JSON.stringify({ command, container, netns, ifname, conf })}\n`)
if (command === 'ADD') {
  if (existsSync(failing) && readFileSync(failing, 'utf8').split('\n').includes(ifname)) fail(conf, 999, 'made to fail')
  print(conf.prevResult)
}
