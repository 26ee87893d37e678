import type { Socket } from 'node:net'

/**
 * What the other side of a connection says first; "no answer" if it says nothing in the socket's own time limit.
 * @param ofError what an error amounts to
 */
export function answerOn(socket: Socket, ofError: (error: NodeJS.ErrnoException) => string): Promise<string> {
  return new Promise((resolve) => {
    const settle = (answer: string) => {
      resolve(answer)
      socket.destroy()
    }
    socket.setEncoding('utf8')
    socket.once('data', settle)
    socket.once('timeout', () => settle('no answer'))
    socket.once('error', (error) => settle(ofError(error)))
  })
}
