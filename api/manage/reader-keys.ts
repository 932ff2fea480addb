import { Hono } from 'hono'
import { base64url } from 'jose'
import * as v from 'valibot'
import { isSigning, nextGeneration, offGeneration, readerKey } from '../access/reader-keys.ts'
import { audited } from '../audit/audited.ts'
import { changed, locked } from '../audit/rows.ts'
import { OWN_PROTOCOL } from '../contract/reader-keys.ts'
import { readers as table } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { refuse } from '../errors.ts'
import { may } from '../login/guard.ts'
import { recentProof } from '../login/proof.ts'
import type { AppEnv } from '../platform.ts'
import { Id, param } from '../validate.ts'

const ReaderKey = v.object({ id: Id, key: v.string() })

/** The key of a reader that speaks Lintel's own protocol. It is derived, never stored, so it cannot be shown again. */
export const readerKeys = new Hono<AppEnv>()
  .post(
    '/:id/key',
    may('readers:write'),
    recentProof,
    doc(
      'readers',
      'Give a reader of the profile `lintel` a new key, shown in this answer and never again; it must sign from now on, and an older key is good no more',
      { schema: ReaderKey },
    ),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const row = await audited(c, 'readers.key', async (tx) => {
        const { profile, keyGeneration } = await locked(tx, table, 'reader', id)
        if (profile !== OWN_PROTOCOL) {
          refuse(409, `Only readers of the profile ${OWN_PROTOCOL} sign what they say, and this one has ${profile}.`)
        }
        return changed(tx, table, 'reader', id, { keyGeneration: nextGeneration(keyGeneration) })
      })
      const key = await readerKey(c.env.config.APP_KEY, id, row.keyGeneration)
      return c.json({ id, key: base64url.encode(key) })
    },
  )
  .delete(
    '/:id/key',
    may('readers:write'),
    recentProof,
    doc('readers', 'Let a reader go without signing; its key is good for nothing any more', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'readers.key.delete', async (tx) => {
        const { keyGeneration } = await locked(tx, table, 'reader', id)
        if (!isSigning(keyGeneration)) refuse(409, 'This reader has no key.')
        return changed(tx, table, 'reader', id, { keyGeneration: offGeneration(keyGeneration) })
      })
      return c.body(null, 204)
    },
  )
