CREATE TABLE "site_changes" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "site_changes_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1)
);
--> statement-breakpoint
ALTER TABLE "events" DROP CONSTRAINT "events_reason";--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "snapshot" text;--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "offline" text DEFAULT 'snapshot' NOT NULL;--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "offline_hours" integer DEFAULT 24 NOT NULL;--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_reason" CHECK ("events"."reason" in ('late', 'unknown_reader', 'reader_disabled', 'lockdown', 'unknown_card', 'ambiguous_card', 'card_blocked', 'card_lost', 'card_returned', 'card_not_yet_valid', 'card_expired', 'person_inactive', 'person_not_yet_valid', 'person_expired', 'no_rule', 'outside_schedule', 'granted', 'unavailable', 'superseded'));--> statement-breakpoint
ALTER TABLE "readers" ADD CONSTRAINT "readers_offline" CHECK ("readers"."offline" in ('deny', 'snapshot'));--> statement-breakpoint
ALTER TABLE "readers" ADD CONSTRAINT "readers_offline_hours" CHECK ("readers"."offline_hours" between 1 and 8760);--> statement-breakpoint
-- Drizzle knows no triggers: these are written by hand. A later table that the decision may look at needs one too.
CREATE FUNCTION "note_site_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO "site_changes" DEFAULT VALUES;
	RETURN NULL;
END
$$;--> statement-breakpoint
CREATE TRIGGER "people_changed" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "people" FOR EACH STATEMENT EXECUTE FUNCTION "note_site_change"();--> statement-breakpoint
CREATE TRIGGER "cards_changed" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "cards" FOR EACH STATEMENT EXECUTE FUNCTION "note_site_change"();--> statement-breakpoint
CREATE TRIGGER "card_keys_changed" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "card_keys" FOR EACH STATEMENT EXECUTE FUNCTION "note_site_change"();--> statement-breakpoint
CREATE TRIGGER "group_people_changed" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "group_people" FOR EACH STATEMENT EXECUTE FUNCTION "note_site_change"();--> statement-breakpoint
CREATE TRIGGER "schedules_changed" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "schedules" FOR EACH STATEMENT EXECUTE FUNCTION "note_site_change"();--> statement-breakpoint
CREATE TRIGGER "rules_changed" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "rules" FOR EACH STATEMENT EXECUTE FUNCTION "note_site_change"();--> statement-breakpoint
CREATE TRIGGER "rule_readers_changed" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "rule_readers" FOR EACH STATEMENT EXECUTE FUNCTION "note_site_change"();--> statement-breakpoint
CREATE TRIGGER "readers_changed" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "readers" FOR EACH STATEMENT EXECUTE FUNCTION "note_site_change"();
