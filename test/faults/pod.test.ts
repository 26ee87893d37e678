/** What befalls the pod in mid-call: its NIC is set down, renamed or deleted; the path of its namespace is gone. */
import { Moments } from './moments.ts'
import { SCENARIOS, type Scenario } from './scenarios.ts'
import { carryOut, EVENTS } from './stand-in.ts'
import { callOf, type Table, tables } from './tables.ts'

type Event = keyof typeof EVENTS
const COLUMNS = Object.keys(EVENTS) as Event[]

/** The codes of ADD. What ADD does not find in its last look it looks for once more; after that nothing counts any more. */
function addCode(event: Event, { add, config, rules = false }: Scenario, moments: Moments, row: number): number {
  if (event === 'the namespace has no path any more') return 0 // what is open stays open
  const kind = moments.kind(row)
  // Without routes to have, a NIC without default routes is as configured.
  const content = config.routes === undefined
  if (kind === 'end' || (kind === 'look' && content)) return 0
  // Once the routes are looked at, only rules are, which stay when their NIC goes.
  if (rules && kind !== 'question' && row > moments.rows.indexOf('`route show table all, again`')) return 0
  if (event !== 'eth0 is set down') return 4
  // What the first question showed is gone when it comes to the changes: ip(8) refuses the first.
  if (kind === 'question' && row >= (content ? 1 : 2)) return 100
  const line = kind === 'change' ? (add[moments.before(row)] ?? '') : ''
  if (line.startsWith('route add')) return 100
  return content ? 0 : 7
}

function checkCode(event: Event, { config }: Scenario, moments: Moments, row: number): number {
  const unseen = event === 'the namespace has no path any more' || moments.kind(row) === 'end'
  return unseen || (event === 'eth0 is set down' && config.routes === undefined) ? 0 : 110
}

function befallen(scenario: Scenario, verb: 'ADD' | 'CHECK' | 'DEL'): Table {
  const changes = { ADD: scenario.add, CHECK: [], DEL: scenario.del }[verb]
  const start = verb === 'ADD' ? [] : scenario.add
  const done = { ADD: 'as configured', CHECK: 'as it was', DEL: 'removed' }[verb]
  const moments = new Moments(verb, changes, scenario)
  const states: Record<string, readonly string[]> = {}
  for (const [event, lines] of Object.entries(EVENTS)) {
    states[stateAfter(event, 'as it was')] = [...start, ...lines]
    states[stateAfter(event, done)] = [...start, ...changes, ...lines]
  }
  return {
    title: `${verb}: ${scenario.title}`,
    scenario,
    act: callOf(scenario, verb),
    start,
    states,
    rows: moments.rows,
    columns: COLUMNS,
    cell: (column, row) => {
      const event = column as Event
      const code = verb === 'DEL' ? 0 : (verb === 'ADD' ? addCode : checkCode)(event, scenario, moments, row)
      return {
        code,
        state: stateAfter(event, code === 0 ? done : 'as it was'),
        injections: [{ ...moments.at(row), action: (path) => carryOut(EVENTS[event]) || `umount -l ${path} || exit` }],
      }
    },
  }
}

/** The kernel takes the routes of a NIC away when it goes, or is set down: the state is that of a pod where it went so before. */
function stateAfter(event: string, state: string): string {
  return event.startsWith('eth0') ? `${state} (${event.replace('eth0 is ', '')})` : state
}

tables(
  'pod',
  SCENARIOS.flatMap((scenario) => (['ADD', 'DEL', 'CHECK'] as const).map((verb) => befallen(scenario, verb))),
)
