/**
 * Chained CNI plugin that lets ADD go on only when the chains of all "interfaces" of one pod have come this far, so
 * that the plugins after it run at the same time.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { call, fail, print, readConf, version } from './cni.ts'

if (call.command === 'VERSION') version()
else if (call.command === 'ADD') {
  const conf = readConf()
  const here = `/run/together/${call.container}`
  mkdirSync(here, { recursive: true })
  writeFileSync(`${here}/${call.ifname}`, '')
  for (let tries = 0; !(conf.interfaces as string[]).every((ifname) => existsSync(`${here}/${ifname}`)); tries += 1) {
    if (tries > 5000) fail(conf, 11, 'the other chain did not come this far in 10 seconds')
    await sleep(2)
  }
  print(conf.prevResult)
}
