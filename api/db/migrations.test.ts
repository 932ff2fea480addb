import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { contracting } from '../testing/contracting.ts'

// Old and new version run side by side while an upgrade is rolled out, so a migration only adds. What it stops using goes with
// a later release, when no version that uses it is supported any more.

/** The last migration from before that was a rule. */
const BEFORE = '0005'

const newer = readdirSync('drizzle').filter((file) => file.endsWith('.sql') && file.slice(0, 4) > BEFORE)

test('there are migrations to look at', () => expect(newer).toContain('0006_operations.sql'))

test.each(newer)('%s only adds, and lets scans through', (file) => {
  expect(contracting(readFileSync(`drizzle/${file}`, 'utf8'))).toEqual([])
})

test.each([
  'DROP TABLE "people";',
  'ALTER TABLE "people" DROP COLUMN "name";',
  'ALTER TABLE "people" RENAME COLUMN "name" TO "full_name";',
  'ALTER TABLE "people" RENAME TO "persons";',
  'ALTER TABLE "people" ALTER COLUMN "email" SET NOT NULL;',
  'ALTER TABLE "people" ALTER COLUMN "name" SET DATA TYPE varchar(20);',
  'ALTER TABLE "people" ALTER COLUMN "active" DROP DEFAULT;',
  'ALTER TYPE "mood" ADD VALUE \'glad\';',
  'ALTER TABLE "people" ADD COLUMN "place" text NOT NULL;',
  'ALTER TABLE "people" ADD COLUMN\n\t"place" text NOT NULL;',
  'ALTER TABLE "readers" DROP CONSTRAINT "readers_topic";',
  'DROP INDEX "people_name";',
  'DROP TRIGGER "people_changed" ON "people";',
  'DROP FUNCTION "note_site_change";',
  'ALTER TABLE "people" ADD CONSTRAINT "people_short" CHECK (length("name") < 20);',
  'ALTER TABLE "people" ADD CONSTRAINT "people_name" UNIQUE("name");',
  'CREATE UNIQUE INDEX "people_email" ON "people" USING btree ("email");',
  'TRUNCATE "people";',
  'delete from "people";',
  'CREATE INDEX "events_card" ON "events" USING btree ("card_number");',
  'ALTER TABLE "audit" ADD CONSTRAINT "audit_bounds" CHECK ("number" > 0);',
  'ALTER TABLE "events" ADD COLUMN "line" bigint NOT NULL GENERATED ALWAYS AS IDENTITY;',
  '-- contracts: nothing\nDROP TABLE "people";',
])('refused: %s', (statement) => {
  expect(contracting(`CREATE TABLE "other" ();\n--> statement-breakpoint\n${statement}`)).toHaveLength(
    /^ALTER TABLE "audit"/.test(statement) ? 2 : 1,
  )
})

test.each([
  'CREATE TABLE "people" ("id" uuid NOT NULL);--> statement-breakpoint\nCREATE UNIQUE INDEX "one" ON "people" USING btree ("id");',
  'ALTER TABLE "people" ADD COLUMN "place" text;',
  'ALTER TABLE "people" ADD COLUMN "floor" integer DEFAULT 0 NOT NULL;',
  'CREATE INDEX "readers_place" ON "readers" USING btree ("place");',
  'ALTER TABLE "readers" DROP CONSTRAINT "readers_profile";--> statement-breakpoint\nALTER TABLE "readers" ADD CONSTRAINT "readers_profile" CHECK (true);',
  'ALTER TABLE "readers" ADD COLUMN "door" uuid;--> statement-breakpoint\nALTER TABLE "readers" ADD CONSTRAINT "fk" FOREIGN KEY ("door") REFERENCES "doors"("id");',
  'CREATE OR REPLACE FUNCTION "f"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM "people"; END $$;',
  '-- DROP TABLE "people" comes with the next release.\nALTER TABLE "people" ADD COLUMN "place" text;',
  '-- contracts: no version since 0.3.0 reads it.\nALTER TABLE "people" DROP COLUMN "place";',
  '-- locks: some 20 s for ten million events, which bridges decide by themselves.\nCREATE INDEX "events_card" ON "events" USING btree ("card_number");',
])('good: %s', (file) => expect(contracting(file)).toEqual([]))
