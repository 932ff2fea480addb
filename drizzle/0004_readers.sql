CREATE TABLE "enrolments" (
	"id" uuid PRIMARY KEY NOT NULL,
	"reader_id" uuid NOT NULL,
	"person_id" uuid NOT NULL,
	"label" text,
	"state" text DEFAULT 'waiting' NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"card_id" uuid,
	"note" text,
	CONSTRAINT "enrolments_state" CHECK ("enrolments"."state" in ('waiting', 'enrolled', 'refused', 'cancelled', 'expired'))
);
--> statement-breakpoint
CREATE TABLE "pins" (
	"person_id" uuid PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"set_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "pins_hash" UNIQUE("hash")
);
--> statement-breakpoint
CREATE TABLE "seen_readers" (
	"id" uuid PRIMARY KEY NOT NULL,
	"profile" text NOT NULL,
	"topic" text NOT NULL,
	"unit" text,
	"first_seen_at" timestamp (3) with time zone NOT NULL,
	"last_seen_at" timestamp (3) with time zone NOT NULL,
	"messages" integer DEFAULT 1 NOT NULL,
	"dismissed" boolean DEFAULT false NOT NULL,
	"bridge_id" uuid NOT NULL
);
--> statement-breakpoint
ALTER TABLE "readers" DROP CONSTRAINT "readers_topic";--> statement-breakpoint
ALTER TABLE "card_keys" DROP CONSTRAINT "card_keys_view";--> statement-breakpoint
ALTER TABLE "events" DROP CONSTRAINT "events_reason";--> statement-breakpoint
ALTER TABLE "events" DROP CONSTRAINT "events_source";--> statement-breakpoint
ALTER TABLE "events" DROP CONSTRAINT "events_decision";--> statement-breakpoint
ALTER TABLE "readers" DROP CONSTRAINT "readers_profile";--> statement-breakpoint
ALTER TABLE "readers" DROP CONSTRAINT "readers_card_view";--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "unit" text;--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "settings" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "pin_schedule_id" uuid;--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "pin_alone" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "key_generation" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "enrolments" ADD CONSTRAINT "enrolments_reader_id_readers_id_fk" FOREIGN KEY ("reader_id") REFERENCES "public"."readers"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "enrolments" ADD CONSTRAINT "enrolments_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pins" ADD CONSTRAINT "pins_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "enrolments_waiting" ON "enrolments" USING btree ("reader_id") WHERE "enrolments"."state" = 'waiting';--> statement-breakpoint
CREATE INDEX "enrolments_created" ON "enrolments" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "enrolments_reader" ON "enrolments" USING btree ("reader_id");--> statement-breakpoint
CREATE INDEX "enrolments_person" ON "enrolments" USING btree ("person_id");--> statement-breakpoint
CREATE UNIQUE INDEX "seen_readers_device" ON "seen_readers" USING btree ("profile","topic",coalesce("unit", ''));--> statement-breakpoint
CREATE INDEX "seen_readers_last" ON "seen_readers" USING btree ("last_seen_at","id");--> statement-breakpoint
ALTER TABLE "readers" ADD CONSTRAINT "readers_pin_schedule_id_schedules_id_fk" FOREIGN KEY ("pin_schedule_id") REFERENCES "public"."schedules"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "readers_pin_schedule" ON "readers" USING btree ("pin_schedule_id");--> statement-breakpoint
CREATE UNIQUE INDEX "readers_topic" ON "readers" USING btree ("topic",coalesce("unit", ''));--> statement-breakpoint
ALTER TABLE "card_keys" ADD CONSTRAINT "card_keys_view" CHECK ("card_keys"."view" in ('hex', 'hex-unpadded', 'hex-reversed', 'decimal', 'decimal-reversed', 'decimal4', 'hex4-reversed', 'em32-hex', 'em32-decimal', 'w26', 'w34', 'text'));--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_reason" CHECK ("events"."reason" in ('late', 'unknown_reader', 'reader_disabled', 'lockdown', 'unknown_card', 'ambiguous_card', 'card_blocked', 'card_lost', 'card_returned', 'card_not_yet_valid', 'card_expired', 'person_inactive', 'person_not_yet_valid', 'person_expired', 'no_rule', 'outside_schedule', 'pin_required', 'pin_locked', 'wrong_pin', 'granted', 'unavailable', 'superseded', 'enrolled', 'reader_granted', 'reader_denied'));--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_source" CHECK ("events"."source" in ('online', 'offline', 'reader'));--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_decision" CHECK ("events"."decision" = case when "events"."reason" in ('granted', 'reader_granted') then 'granted' else 'denied' end);--> statement-breakpoint
ALTER TABLE "readers" ADD CONSTRAINT "readers_card_view" CHECK ("readers"."card_view" in ('hex', 'hex-unpadded', 'hex-reversed', 'decimal', 'decimal-reversed', 'decimal4', 'hex4-reversed', 'em32-hex', 'em32-decimal', 'w26', 'w34', 'text'));--> statement-breakpoint
-- As before, and what a reader decided by itself is never corrected: it happened so. It may take the place of what was only supposed.
CREATE OR REPLACE FUNCTION "correct_event"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF ROW(NEW."id", NEW."at", NEW."received_at", NEW."reader_id", NEW."card_number", NEW."bridge_id")
			IS DISTINCT FROM ROW(OLD."id", OLD."at", OLD."received_at", OLD."reader_id", OLD."card_number", OLD."bridge_id")
		OR NEW."source" NOT IN ('offline', 'reader') OR NOT NEW."answered" OR OLD."source" = 'reader'
		OR NOT (OLD."source" = 'online' OR NOT OLD."answered" OR (OLD."decision" = 'granted' AND NEW."reason" IN ('late', 'unavailable')))
	THEN
		RAISE EXCEPTION 'Rows of "events" are only ever added.' USING ERRCODE = 'restrict_violation';
	END IF;
	INSERT INTO "event_corrections" ("event_id", "at", "before") VALUES (OLD."id", now(), to_jsonb(OLD));
	RETURN NEW;
END
$$;
