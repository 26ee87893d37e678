/**
 * Chained CNI plugin that gives the pod a default route over each gateway of prevResult, with the configuration's
 * "metric": a second NIC that has a default of its own, and does not disturb the first one's.
 */
import { execFileSync } from 'node:child_process'
import { call, print, readConf, version } from './cni.ts'

if (call.command === 'VERSION') version()
else if (call.command === 'ADD') {
  const { prevResult, metric } = readConf()
  const gateways = (prevResult?.ips ?? []).flatMap(({ gateway }) => gateway ?? [])
  const lines = gateways.map((gw) => `route add ${defaultOf(gw)} via ${gw} dev ${call.ifname} metric ${metric}\n`)
  execFileSync('nsenter', [`--net=${call.netns}`, 'ip', '-batch', '-'], { input: lines.join('') })
  print({
    ...prevResult,
    routes: [...(prevResult?.routes ?? []), ...gateways.map((gw) => ({ dst: defaultOf(gw), gw }))],
  })
}

function defaultOf(gateway: string): string {
  return gateway.includes(':') ? '::/0' : '0.0.0.0/0'
}
