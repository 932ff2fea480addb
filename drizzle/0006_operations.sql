-- locks: three indexes of tables that scans and devices write to, some 10 s at ten million events; bridges decide by their snapshot then.
CREATE TABLE "alerts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"about" text NOT NULL,
	"since" timestamp (3) with time zone NOT NULL,
	"detail" jsonb NOT NULL,
	CONSTRAINT "alerts_once" UNIQUE("kind","about","since"),
	CONSTRAINT "alerts_kind" CHECK ("alerts"."kind" in ('failed_sign_ins', 'unknown_cards', 'far_readers', 'door_forced', 'door_held_open', 'tamper', 'reader_offline', 'bridge_offline', 'upkeep_failed'))
);
--> statement-breakpoint
CREATE TABLE "erasures" (
	"person_id" uuid PRIMARY KEY NOT NULL,
	"cards" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "upkeep" (
	"task" text PRIMARY KEY NOT NULL,
	"tried_at" timestamp (3) with time zone NOT NULL,
	"done_at" timestamp (3) with time zone,
	"error" text,
	"detail" jsonb DEFAULT '{}'::jsonb NOT NULL,
	CONSTRAINT "upkeep_task" CHECK ("upkeep"."task" in ('retention', 'backup', 'backup-verified', 'watch', 'keys'))
);
--> statement-breakpoint
CREATE TABLE "webhook_deliveries" (
	"id" uuid PRIMARY KEY NOT NULL,
	"webhook_id" uuid NOT NULL,
	"alert_id" uuid,
	"body" text NOT NULL,
	"state" text DEFAULT 'waiting' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"next_at" timestamp (3) with time zone NOT NULL,
	"status" integer,
	"error" text,
	"settled_at" timestamp (3) with time zone,
	CONSTRAINT "webhook_deliveries_state" CHECK ("webhook_deliveries"."state" in ('waiting', 'delivered', 'dead'))
);
--> statement-breakpoint
CREATE TABLE "webhooks" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"url" text NOT NULL,
	"secret" text NOT NULL,
	"kinds" jsonb,
	"enabled" boolean DEFAULT true NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "people" ADD COLUMN "erased_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "place" text;--> statement-breakpoint
ALTER TABLE "erasures" ADD CONSTRAINT "erasures_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_webhook_id_webhooks_id_fk" FOREIGN KEY ("webhook_id") REFERENCES "public"."webhooks"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_alert_id_alerts_id_fk" FOREIGN KEY ("alert_id") REFERENCES "public"."alerts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "alerts_at" ON "alerts" USING btree ("at","id");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_due" ON "webhook_deliveries" USING btree ("webhook_id","next_at") WHERE "webhook_deliveries"."state" = 'waiting';--> statement-breakpoint
CREATE INDEX "webhook_deliveries_webhook" ON "webhook_deliveries" USING btree ("webhook_id","created_at","id");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_alert" ON "webhook_deliveries" USING btree ("alert_id");--> statement-breakpoint
CREATE INDEX "webhooks_name" ON "webhooks" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "audit_target_kind" ON "audit" USING btree ("target_kind","number");--> statement-breakpoint
CREATE INDEX "device_events_bridge" ON "device_events" USING btree ("bridge_id","at","id");--> statement-breakpoint
CREATE INDEX "events_denied" ON "events" USING btree ("reader_id","at","id","reason") WHERE "events"."decision" = 'denied';--> statement-breakpoint
-- Of what is removed each day by retention a fifth of the table would be left dead before anybody cleaned up.
ALTER TABLE "events" SET (autovacuum_vacuum_scale_factor = 0.05);--> statement-breakpoint
ALTER TABLE "device_events" SET (autovacuum_vacuum_scale_factor = 0.05);--> statement-breakpoint
-- Drizzle knows no functions: these are written by hand. The record is only ever added to, but by these two ways: what is
-- older than it has to be kept goes, and a person's traces are made a pseudonym's. Both are functions of the tables' owner,
-- which the role of the application may call. The setting is theirs while they run; from anybody else it is not taken.
CREATE OR REPLACE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
	"doing" text := current_setting('lintel.record', true);
BEGIN
	IF "doing" IN ('removing', 'erasing') AND pg_has_role((SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = TG_RELID), 'USAGE') THEN
		IF TG_OP = 'DELETE' AND "doing" = 'removing' THEN RETURN OLD; END IF;
		IF TG_OP = 'UPDATE' AND "doing" = 'erasing' THEN RETURN NEW; END IF;
	END IF;
	RAISE EXCEPTION 'Rows of "%" are only ever added.', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;--> statement-breakpoint
-- As before, and silent while a person is erased.
CREATE OR REPLACE FUNCTION "correct_event"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
	IF current_setting('lintel.record', true) = 'erasing' THEN
		IF pg_has_role((SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = TG_RELID), 'USAGE') THEN RETURN NEW; END IF;
	END IF;
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
$$;--> statement-breakpoint
-- The oldest events from before an instant, at most so many, and their corrections. A week stays whatever is asked. Gives how
-- many, and how far it came: the next time it begins there, past what is dead but still in the index.
CREATE FUNCTION "remove_events"("since" timestamptz, "before" timestamptz, "most" integer, OUT "removed" integer, OUT "reached" timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	PERFORM set_config('lintel.record', 'removing', true);
	WITH "old" AS (
		SELECT e."id" FROM "events" e WHERE e."at" >= "since" AND e."at" < least("before", now() - interval '7 days')
		ORDER BY e."at", e."id" LIMIT "most"
	), "corrections" AS (
		DELETE FROM "event_corrections" c USING "old" WHERE c."event_id" = "old"."id"
	), "gone" AS (
		DELETE FROM "events" e USING "old" WHERE e."id" = "old"."id" RETURNING e."at"
	)
	SELECT count(*), max("gone"."at") INTO "removed", "reached" FROM "gone";
	PERFORM set_config('lintel.record', '', true);
END
$$;--> statement-breakpoint
CREATE FUNCTION "remove_device_events"("since" timestamptz, "before" timestamptz, "most" integer, OUT "removed" integer, OUT "reached" timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	PERFORM set_config('lintel.record', 'removing', true);
	WITH "old" AS (
		SELECT e."id" FROM "device_events" e WHERE e."at" >= "since" AND e."at" < least("before", now() - interval '7 days')
		ORDER BY e."at", e."id" LIMIT "most"
	), "gone" AS (
		DELETE FROM "device_events" e USING "old" WHERE e."id" = "old"."id" RETURNING e."at"
	)
	SELECT count(*), max("gone"."at") INTO "removed", "reached" FROM "gone";
	PERFORM set_config('lintel.record', '', true);
END
$$;--> statement-breakpoint
-- The beginning of the audit log, up to a number. A month stays whatever is asked, and the last row always does.
CREATE FUNCTION "remove_audit"("through" bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	"removed" integer;
BEGIN
	-- Before its rows are locked, as whoever adds one does: or the two would wait for each other.
	PERFORM pg_advisory_xact_lock(1818850401);
	PERFORM set_config('lintel.record', 'removing', true);
	IF EXISTS (SELECT FROM "audit" a WHERE a."number" <= "through" AND a."at" > now() - interval '30 days')
		OR NOT EXISTS (SELECT FROM "audit" a WHERE a."number" > "through")
	THEN
		RAISE EXCEPTION 'The audit log of a month, and its last row, stay.' USING ERRCODE = 'restrict_violation';
	END IF;
	DELETE FROM "audit" a WHERE a."number" <= "through";
	GET DIAGNOSTICS "removed" = ROW_COUNT;
	PERFORM set_config('lintel.record', '', true);
	RETURN "removed";
END
$$;--> statement-breakpoint
-- Makes the card number in these events the pseudonym of a person who was erased: in their own, and in those of nobody. Gives
-- in how many.
CREATE FUNCTION "erase_events"("person" uuid, "ids" uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	"pseudonym" text;
	"erased" integer;
BEGIN
	PERFORM set_config('lintel.record', 'erasing', true);
	SELECT p."name" INTO "pseudonym" FROM "people" p WHERE p."id" = "person" AND p."erased_at" IS NOT NULL;
	IF "pseudonym" IS NULL THEN
		RAISE EXCEPTION 'This person was not erased.' USING ERRCODE = 'restrict_violation';
	END IF;
	UPDATE "event_corrections" c SET "before" = jsonb_set(c."before", '{card_number}', to_jsonb("pseudonym"))
	FROM "events" e
	WHERE c."event_id" = ANY ("ids") AND e."id" = c."event_id" AND (e."person_id" = "person" OR e."person_id" IS NULL);
	UPDATE "events" e SET "card_number" = "pseudonym"
	WHERE e."id" = ANY ("ids") AND (e."person_id" = "person" OR e."person_id" IS NULL);
	GET DIAGNOSTICS "erased" = ROW_COUNT;
	PERFORM set_config('lintel.record', '', true);
	RETURN "erased";
END
$$;--> statement-breakpoint
-- Takes away what these rows of the audit log say, but not that something was done, by whom, to what and when. Gives each row's
-- number and the hash of what is left of it: on record and sealed, that is how audit/verify.ts tells this from an edit.
CREATE FUNCTION "erase_audit"("numbers" bigint[]) RETURNS TABLE ("erased" bigint, "left" text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	-- Before its rows are locked, as whoever adds one does: or the two would wait for each other.
	PERFORM pg_advisory_xact_lock(1818850401);
	PERFORM set_config('lintel.record', 'erasing', true);
	RETURN QUERY
		UPDATE "audit" a SET
			"before" = CASE WHEN a."before" IS NOT NULL THEN '{"erased": true}'::jsonb END,
			"after" = CASE WHEN a."after" IS NOT NULL THEN '{"erased": true}'::jsonb END
		WHERE a."number" = ANY ("numbers") AND a."action" NOT IN ('people.erase', 'retention.run')
			AND (a."before" <> '{"erased": true}' OR a."after" <> '{"erased": true}')
		RETURNING a."number", encode(sha256(convert_to("audit_text"(a), 'UTF8')), 'hex');
	PERFORM set_config('lintel.record', '', true);
END
$$;--> statement-breakpoint
REVOKE ALL ON FUNCTION "remove_events", "remove_device_events", "remove_audit", "erase_events", "erase_audit" FROM PUBLIC;--> statement-breakpoint
-- Whom nothing is known of any more stays so, whatever way somebody tries: a row that is about them waits for their erasure to
-- end, and is then refused.
CREATE FUNCTION "refuse_erased"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
	"since" timestamptz;
BEGIN
	IF TG_TABLE_NAME = 'people' THEN
		"since" := OLD."erased_at";
	ELSIF NEW."person_id" IS NOT NULL THEN
		SELECT p."erased_at" INTO "since" FROM "people" p WHERE p."id" = NEW."person_id" FOR KEY SHARE;
	END IF;
	IF "since" IS NOT NULL THEN
		RAISE EXCEPTION 'This person was erased.' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'people_erased';
	END IF;
	RETURN NEW;
END
$$;--> statement-breakpoint
CREATE TRIGGER "people_stay_erased" BEFORE UPDATE ON "people" FOR EACH ROW EXECUTE FUNCTION "refuse_erased"();--> statement-breakpoint
CREATE TRIGGER "cards_of_nobody_erased" BEFORE INSERT OR UPDATE ON "cards" FOR EACH ROW EXECUTE FUNCTION "refuse_erased"();--> statement-breakpoint
CREATE TRIGGER "pins_of_nobody_erased" BEFORE INSERT OR UPDATE ON "pins" FOR EACH ROW EXECUTE FUNCTION "refuse_erased"();--> statement-breakpoint
CREATE TRIGGER "group_people_not_erased" BEFORE INSERT OR UPDATE ON "group_people" FOR EACH ROW EXECUTE FUNCTION "refuse_erased"();--> statement-breakpoint
CREATE TRIGGER "enrolments_of_nobody_erased" BEFORE INSERT ON "enrolments" FOR EACH ROW EXECUTE FUNCTION "refuse_erased"();--> statement-breakpoint
CREATE TRIGGER "accounts_of_nobody_erased" BEFORE INSERT OR UPDATE OF "person_id" ON "accounts" FOR EACH ROW EXECUTE FUNCTION "refuse_erased"();--> statement-breakpoint
-- Temporary tables come before all others where nobody says otherwise, so whoever may make one could put theirs in the place of ours.
ALTER FUNCTION "chain_audit" SET search_path = public, pg_temp;--> statement-breakpoint
ALTER FUNCTION "note_site_change" SET search_path = public, pg_temp;
