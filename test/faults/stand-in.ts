/** An `ip` that relays a batch to the real one, line by line, and at one moment does as a fault wants. */
import { existsSync, readFileSync } from 'node:fs'

/** A moment of a call: before a line of one of its conversations with ip(8) is carried out, or at the end of it. */
export interface Moment {
  readonly conversation: number
  readonly line: number | 'end'
}

/**
 * Shell, and when it is run: at a moment, or whenever ip(8) is given a line that begins so. `continue` leaves the line out. The
 * path is that of the namespace.
 */
export type Injection = (Moment | { readonly every: string }) & { readonly action: string | ((path: string) => string) }

/**
 * The stand-in, for `hostWhereIpIs`. Each line is carried out by a real ip(8) of its own, so that it is known what was done
 * before the moment and what was not: `ip -batch` itself does not tell. For the plugin there is no difference: line numbers,
 * exit status and the way of `-force` are the real one's.
 */
export function standIn(path: string, injections: readonly Injection[]): string {
  const branches = injections.map((injection, index) => {
    const pattern = 'every' in injection ? `*' ${injection.every}'*` : `'${injection.conversation} ${injection.line} '*`
    const { action } = injection
    return `${pattern})\necho ${index} >>$DIRECTORY/fired\n${typeof action === 'string' ? action : action(path)}\n;;`
  })
  const inject = `case "$conversation $n $line" in\n${branches.join('\n')}\nesac`
  return `
    conversation=1
    if [ -e $DIRECTORY/conversation ]; then
      read -r conversation <$DIRECTORY/conversation
      conversation=$((conversation + 1))
    fi
    echo $conversation >$DIRECTORY/conversation
    echo $$ >>$DIRECTORY/pids
    n=0 status=0
    case "$*" in *-force) go_on=yes ;; *) go_on= ;; esac
    failed() { # WORDS...
      echo "$*" >&2
      echo "Command failed -:$n" >&2
      [ "$go_on" ] || exit 1
      status=1
    }
    while IFS= read -r line; do
      n=$((n + 1))
      echo "$conversation $line" >>$DIRECTORY/lines
${inject}
      "$REAL_IP" "$@" 2>$DIRECTORY/stderr.$$ <<END && continue
$line
END
      [ $? -lt 128 ] || exit 1 # SIGPIPE: nobody reads any more
      failed "$(grep -v '^Command failed' $DIRECTORY/stderr.$$)"
    done
    n=end line=
${inject}
    exit $status`
}

/** What the stand-in has written down in the directory of its host. */
export interface Heard {
  /** The lines that ip(8) was given, by conversation. */
  readonly lines: readonly (readonly string[])[]
  /** Injections that did not come to pass: of such a fault nothing would be known. */
  readonly missed: readonly string[]
}

export function heardIn(directory: string, injections: readonly Injection[]): Heard {
  const lines: string[][] = []
  for (const told of noted(directory, 'lines')) {
    const [, conversation, line = ''] = /^(\d+) (.*)$/.exec(told) ?? []
    const at = Number(conversation) - 1
    if (at >= 0) lines[at] = [...(lines[at] ?? []), line]
  }
  const fired = noted(directory, 'fired')
  const missed = injections.flatMap((injection, index) =>
    'every' in injection || fired.includes(`${index}`) ? [] : [`injection ${index} did not come to pass`],
  )
  return { lines, missed }
}

/** The processes of the stand-in that live on. */
export function livingIn(directory: string): string[] {
  return noted(directory, 'pids').filter((pid) => existsSync(`/proc/${pid}`))
}

function noted(directory: string, file: string): string[] {
  const path = `${directory}/${file}`
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}

/** What ip(8) itself can do wrong. */
export const CHILD = {
  fails: "failed 'RTNETLINK answers: No buffer space available'; continue",
  hangs: 'exec sleep 60',
  'is killed': 'kill -9 $$',
  'prints garbage': 'echo default via 169.254.1.1 dev eth0',
  'prints half a line and ends': `printf '[{"dst":"def'; exit 0`,
  'closes stdout': 'exec >/dev/null',
} as const
export type ChildFault = keyof typeof CHILD

/** What befalls the plugin. Its child goes on, unless it is killed as well, as when the runtime's whole cgroup is. */
export const ENDS = {
  'the plugin gets SIGKILL': 'kill -9 $PPID',
  'the plugin gets SIGTERM': 'kill -TERM $PPID',
  'plugin and ip get SIGKILL': 'kill -9 $PPID $$',
} as const

/** What befalls the pod, and the lines for ip(8) that do it. The path is taken away for the plugin alone. */
export const EVENTS = {
  'eth0 is set down': ['link set eth0 down'],
  'eth0 is renamed': ['link set eth0 down', 'link set eth0 name eth9'], // not every kernel renames what is up
  'eth0 is deleted': ['link del eth0'],
  'the namespace has no path any more': [],
} as const

/** Shell: has lines, if there are any, carried out by the real ip(8). */
export const carryOut = (lines: readonly string[]): string =>
  lines.length > 0 ? `"$REAL_IP" -batch - <<END\n${lines.join('\n')}\nEND` : ''
