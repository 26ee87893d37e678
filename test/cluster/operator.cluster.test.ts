/** What an operator does with the plugin in a cluster, from the first command to the last, as the documents have it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { Cluster } from './cluster.ts'
import { partOf, scriptOf, shownIn } from './documents.ts'
import { installStandIns } from './stand-ins.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start(installStandIns)
})
afterAll(() => cluster?.close())
