/** Whether the API server has what a manifest says. */
import type { Part } from '../support/manifests.ts'

/** `path: what is written there, what is stored there`, one for each difference. What the server has added is none. */
export function lost(written: unknown, stored: unknown, path = ''): string[] {
  if (typeof written !== 'object' || written === null || typeof stored !== 'object' || stored === null) {
    return Object.is(written, stored) ? [] : [`${path}: ${JSON.stringify(written)}, ${JSON.stringify(stored)}`]
  }
  return Object.entries(written).flatMap(([key, value]) =>
    lost(value, (stored as Part)[key], path === '' ? key : `${path}.${key}`),
  )
}

/** An object as the server stores it: of a Secret it takes texts, and keeps them in base64. */
export function asStored(object: Part): Part {
  if (object.kind !== 'Secret' || !object.stringData) return object
  const { stringData, ...secret } = object
  const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
  return { ...secret, data: Object.fromEntries(encoded) }
}
