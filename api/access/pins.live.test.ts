import { eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { readConfig } from '../config.ts'
import { PIN_ALONE, type Reason } from '../contract/scan.ts'
import { attempts, audit, pins, readers } from '../db/schema.ts'
import { APP_KEY, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn } from '../testing/caller.ts'
import { type Bridge, registerBridge, scanOf } from '../testing/sealed.ts'
import { hashesOfPin } from './pins.ts'

// PINs through the front doors: set by an administrator, typed at a door, guessed at by somebody else.

const PREVIOUS = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 53 + 29) % 256)).toString('base64')
const WRONG = '864209'

let api: TestApi
let admin: Caller
let bridge: Bridge
let staff: string
/** Asks for a PIN around the clock; the same elsewhere; never asks; takes a PIN alone. */
const at = { door: '', gate: '', hall: '', alone: '' }

let made = 0xe000
/** Somebody with a card who may pass everywhere, and with a PIN. */
const somebody = async (pin?: string) => {
  const number = (++made).toString(16).toUpperCase()
  const { id } = (await admin.post('/people', { name: `Ada ${number}` })).body
  await admin.post('/cards', { personId: id, number })
  await admin.put(`/groups/${staff}/people/${id}`)
  const { body } = await setPin(id, pin)
  return { id, card: String(made), pin: pin ?? String(body['pin']) }
}
const setPin = (id: string, pin?: unknown) =>
  admin.send('PUT', `/people/${id}/pin`, { body: JSON.stringify(pin === undefined ? {} : { pin }) })

const type = async (card: string, pin?: string, readerId = at.door): Promise<Reason> =>
  (await bridge.check(scanOf(readerId, card, pin === undefined ? {} : { pin }))).reason
const typeAlone = (pin: string, readerId = at.alone) => type(PIN_ALONE, pin, readerId)
const times = async (count: number, work: () => Promise<Reason>) => {
  const reasons: Reason[] = []
  for (let n = 0; n < count; n++) reasons.push(await work())
  return reasons
}
/** Nobody has tried anything lately, but for what one test does. */
const forget = () => api.db.delete(attempts)

beforeAll(async () => {
  api = await startTestApi({ APP_KEY_PREVIOUS: PREVIOUS })
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  const allDay = [{ days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }]
  const pinScheduleId = (await admin.post('/schedules', { name: 'Always', windows: allDay })).body.id
  staff = (await admin.post('/groups', { name: 'Staff' })).body.id
  const reader = async (name: string, more: Partial<typeof readers.$inferInsert>) => {
    const { id } = (await admin.post('/readers', { name, topic: `pins/${name}` })).body
    await api.db.update(readers).set(more).where(eq(readers.id, id))
    return id
  }
  at.door = await reader('door', { pinScheduleId })
  at.gate = await reader('gate', { pinScheduleId })
  at.hall = await reader('hall', { pinScheduleId: null })
  at.alone = await reader('alone', { pinScheduleId, pinAlone: true })
  await admin.post('/rules', { groupId: staff, readerIds: Object.values(at) })
})

describe('a PIN', () => {
  test('is made by Lintel if none is given, shown once, and opens with the card', async () => {
    const ada = await somebody()
    expect(ada.pin).toMatch(/^[1-9]\d{5}$/)
    expect(await type(ada.card, ada.pin)).toBe('granted')
    expect(JSON.stringify((await admin.get(`/people/${ada.id}`)).body)).not.toContain(ada.pin)
  })

  test('may be chosen, and is not said again; it takes the place of the one before', async () => {
    const ada = await somebody('0427')
    const { status, body } = await setPin(ada.id, '52861')
    expect({ status, body }).toEqual({ status: 200, body: { pin: null } })
    expect((await setPin(ada.id, '52861')).status).toBe(200)
    expect([await type(ada.card, '0427'), await type(ada.card, '52861')]).toEqual(['wrong_pin', 'granted'])
  })

  test.each([
    ['of three digits', '123'],
    ['of nine digits', '102938475'],
    ['with a letter', '12a4'],
    ['of digits that are not ASCII', '٠٤٢٧'],
    ['that is a number', 4827],
    ['of one digit over and over', '0000'],
    ['that counts up', '1234'],
    ['that counts down', '4321'],
  ])('%s is refused', async (_, pin) => {
    expectProblem(await setPin(crypto.randomUUID(), pin), 422, 'pin')
  })

  test('that somebody else has is refused, and it is not said whose it is', async () => {
    const [ada, ben] = [await somebody('73501'), await somebody()]
    const reply = await setPin(ben.id, '73501')
    expectProblem(reply, 409)
    expect(reply.body['detail']).toMatch(/choose another/)
    expect(JSON.stringify(reply.body)).not.toContain(ada.id)
    expect(await type(ben.card, ben.pin)).toBe('granted')
    await api.db
      .update(pins)
      .set({ hash: await before('73501') })
      .where(eq(pins.personId, ada.id))
    expectProblem(await setPin(ben.id, '73501'), 409)
  })

  test('is of a person that there is, and may be taken away once', async () => {
    expectProblem(await setPin(crypto.randomUUID()), 404)
    const ada = await somebody()
    expect((await admin.delete(`/people/${ada.id}/pin`)).status).toBe(204)
    expectProblem(await admin.delete(`/people/${ada.id}/pin`), 404)
    expect(await type(ada.card, ada.pin)).toBe('wrong_pin')
  })

  test('is set by nobody but who may change people', async () => {
    const ada = await somebody()
    const operator = await signIn(api, 'operator')
    for (const method of ['PUT', 'DELETE']) {
      expectProblem(await operator.send(method, `/people/${ada.id}/pin`, { body: '{}' }), 403)
    }
  })

  test('is nowhere to be found: not in the record, the audit log, the counts, nor where it is kept', async () => {
    const ada = await somebody('918273')
    await type(ada.card, '918273')
    await type(ada.card, '645372')
    await typeAlone('918273')
    const tables = await Promise.all(
      ['events', 'audit', 'attempts', 'pins'].map((name) => api.db.execute(sql.raw(`select t::text from ${name} t`))),
    )
    const all = JSON.stringify(tables)
    expect(all).toContain(ada.id)
    expect(all).not.toMatch(/918273|645372/)
    const rows = await api.db.select().from(audit).where(eq(audit.targetId, ada.id))
    expect(rows.at(-1)).toMatchObject({ action: 'people.pin.set', before: { pin: false }, after: { pin: true } })
  })

  const before = async (pin: string) => {
    const [, hash = ''] = await hashesOfPin(
      readConfig({ APP_KEY, APP_KEY_PREVIOUS: PREVIOUS }, { production: false }),
      pin,
    )
    return hash
  }

  test('from before APP_KEY was replaced is good, and is then kept under the new key', async () => {
    const ada = await somebody('370915')
    const hashOf = async () => (await api.db.select().from(pins).where(eq(pins.personId, ada.id)))[0]?.hash
    const now = await hashOf()
    await api.db
      .update(pins)
      .set({ hash: await before('370915') })
      .where(eq(pins.personId, ada.id))
    expect(await type(ada.card, '370916')).toBe('wrong_pin')
    expect(await type(ada.card, '370915')).toBe('granted')
    expect(await hashOf()).toBe(now)
  })
})

describe('at a door that asks for one', () => {
  test('a card alone is not enough, nor with a wrong PIN or somebody else’s', async () => {
    const [ada, ben] = [await somebody(), await somebody()]
    expect(await type(ada.card)).toBe('pin_required')
    expect(await type(ada.card, WRONG)).toBe('wrong_pin')
    expect(await type(ada.card, ben.pin)).toBe('wrong_pin')
    expect(await type('99999999', ada.pin)).toBe('unknown_card')
    expect(await typeAlone(ada.pin, at.door)).toBe('unknown_card')
    expect((await admin.get(`/explain?readerId=${at.door}&card=${ada.card}`)).body).toMatchObject({
      reason: 'pin_required',
      pin: 'asked',
    })
  })

  test('what is typed elsewhere is not looked at, and does not count', async () => {
    const ada = await somebody()
    expect(new Set(await times(6, () => type(ada.card, WRONG, at.hall)))).toEqual(new Set(['granted']))
    expect(await type(ada.card, ada.pin)).toBe('granted')
  })

  test('a PIN alone says who it is where that is allowed', async () => {
    const ada = await somebody()
    const scan = scanOf(at.alone, PIN_ALONE, { pin: ada.pin })
    expect(await bridge.check(scan)).toMatchObject({ decision: 'granted', reason: 'granted', openMs: 3_000 })
    const { body } = await admin.get(`/events/${scan.id}`)
    expect(body).toMatchObject({ personId: ada.id, cardId: null, cardNumber: PIN_ALONE, reason: 'granted' })
    expect(await typeAlone(WRONG)).toBe('wrong_pin')
    await admin.patch(`/people/${ada.id}`, { active: false })
    expect(await typeAlone(ada.pin)).toBe('person_inactive')
    expect(await type(PIN_ALONE, undefined, at.alone)).toBe('unknown_card')
  })
})

describe('whoever guesses', () => {
  test('at one person’s PIN has five tries, at whatever doors; others are not held up', async () => {
    await forget()
    const [ada, ben] = [await somebody(), await somebody()]
    expect(await times(5, () => type(ada.card, WRONG))).toEqual(Array(5).fill('wrong_pin'))
    expect(await type(ada.card, ada.pin)).toBe('pin_locked')
    expect(await type(ada.card, ada.pin, at.gate)).toBe('pin_locked')
    expect([await type(ada.card), await type(ada.card, undefined, at.hall)]).toEqual(['pin_required', 'granted'])
    expect(await type(ben.card, ben.pin)).toBe('granted')

    const later = (seconds: number) =>
      api.db.execute(sql.raw(`update attempts set last_at = last_at - interval '${seconds} s'`))
    await later(40)
    expect(await type(ada.card, ada.pin)).toBe('pin_locked')
    await later(21)
    expect(await type(ada.card, WRONG)).toBe('wrong_pin')
    await later(61)
    expect(await type(ada.card, ada.pin)).toBe('pin_locked')
    await later(60)
    expect(await type(ada.card, ada.pin)).toBe('granted')
  })

  test('and then knows it has all tries again', async () => {
    await forget()
    const ada = await somebody()
    for (let n = 0; n < 2; n++) {
      expect(await times(4, () => type(ada.card, WRONG))).toEqual(Array(4).fill('wrong_pin'))
      expect(await type(ada.card, ada.pin)).toBe('granted')
    }
  })

  test('with many at once has no more tries', async () => {
    await forget()
    const ada = await somebody()
    const many = inject('runtime') === 'node' ? 100 : 25
    const guesses = Array.from({ length: many }, () => type(ada.card, WRONG))
    const reasons = await Promise.all(guesses)
    expect(reasons.filter((reason) => reason === 'wrong_pin')).toHaveLength(5)
    expect(reasons.filter((reason) => reason === 'pin_locked')).toHaveLength(many - 5)
  })

  test('asks again about a scan and gets the first answer, which counts once', async () => {
    await forget()
    const ada = await somebody()
    const scan = scanOf(at.door, ada.card, { pin: WRONG })
    const first = await bridge.check(scan)
    for (const pin of [WRONG, ada.pin, WRONG, WRONG, WRONG, WRONG]) {
      expect(await bridge.check({ ...scan, pin })).toEqual(first)
    }
    expect(await times(4, () => type(ada.card, WRONG))).toEqual(Array(4).fill('wrong_pin'))
    expect(await type(ada.card, ada.pin)).toBe('pin_locked')
  })

  test('at one reader with many cards has twenty tries', async () => {
    await forget()
    const people = [await somebody(), await somebody(), await somebody(), await somebody(), await somebody()]
    const [one, ...others] = people
    for (const { card } of others) await times(5, () => type(card, WRONG))
    expect(await type(one?.card ?? '', one?.pin)).toBe('pin_locked')
    expect(await type(one?.card ?? '', one?.pin, at.gate)).toBe('granted')
  })

  test('with a PIN alone has five tries at a reader, and its own PIN does not give them back', async () => {
    await forget()
    const ada = await somebody()
    expect(await times(4, () => typeAlone(WRONG))).toEqual(Array(4).fill('wrong_pin'))
    expect([await typeAlone(ada.pin), await typeAlone(WRONG)]).toEqual(['granted', 'wrong_pin'])
    expect(await typeAlone(ada.pin)).toBe('pin_locked')
    expect(await type(ada.card, ada.pin, at.alone)).toBe('granted')
  })
})
