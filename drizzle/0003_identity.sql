CREATE TABLE "api_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"scopes" jsonb,
	"prefix" text NOT NULL,
	"hash" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"created_by" uuid,
	"expires_at" timestamp (3) with time zone,
	"last_used_at" timestamp (3) with time zone,
	CONSTRAINT "api_keys_hash" UNIQUE("hash"),
	CONSTRAINT "api_keys_role" CHECK ("api_keys"."role" in ('owner', 'admin', 'operator', 'auditor', 'member'))
);
--> statement-breakpoint
CREATE TABLE "attempts" (
	"key" text PRIMARY KEY NOT NULL,
	"count" integer NOT NULL,
	"since" timestamp (3) with time zone NOT NULL,
	"last_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit" (
	"number" bigint PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"actor_kind" text NOT NULL,
	"actor_id" uuid,
	"address" text,
	"action" text NOT NULL,
	"target_kind" text,
	"target_id" uuid,
	"before" jsonb,
	"after" jsonb,
	"previous" text NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "audit_actor_kind" CHECK ("audit"."actor_kind" in ('account', 'key', 'stranger', 'system'))
);
--> statement-breakpoint
CREATE TABLE "event_corrections" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "event_corrections_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"event_id" uuid NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"before" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "mail_tokens" (
	"hash" text PRIMARY KEY NOT NULL,
	"account_id" uuid NOT NULL,
	"purpose" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "mail_tokens_purpose" CHECK ("mail_tokens"."purpose" in ('invitation', 'reset'))
);
--> statement-breakpoint
CREATE TABLE "recovery_codes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"account_id" uuid NOT NULL,
	"hash" text NOT NULL,
	"used_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "refresh_tokens" (
	"hash" text PRIMARY KEY NOT NULL,
	"session_id" uuid NOT NULL,
	"exchanged_at" timestamp (3) with time zone
);
--> statement-breakpoint
-- Sessions have no room for the tokens of before: everybody signs in again.
DELETE FROM "sessions";--> statement-breakpoint
ALTER TABLE "sessions" DROP CONSTRAINT "sessions_refresh";--> statement-breakpoint
ALTER TABLE "sessions" DROP CONSTRAINT "sessions_previous";--> statement-breakpoint
ALTER TABLE "accounts" ALTER COLUMN "password_hash" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "totp_secret" text;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "totp_next" text;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "totp_step" integer;--> statement-breakpoint
ALTER TABLE "bridges" ADD COLUMN "previous_until" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "answered" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "created_at" timestamp (3) with time zone NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "used_at" timestamp (3) with time zone NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "proven_at" timestamp (3) with time zone NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "address" text;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "user_agent" text;--> statement-breakpoint
ALTER TABLE "mail_tokens" ADD CONSTRAINT "mail_tokens_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "recovery_codes" ADD CONSTRAINT "recovery_codes_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "refresh_tokens" ADD CONSTRAINT "refresh_tokens_session_id_sessions_id_fk" FOREIGN KEY ("session_id") REFERENCES "public"."sessions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_keys_name" ON "api_keys" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "attempts_last" ON "attempts" USING btree ("last_at");--> statement-breakpoint
CREATE INDEX "audit_at" ON "audit" USING btree ("at","number");--> statement-breakpoint
CREATE INDEX "audit_actor" ON "audit" USING btree ("actor_id","number");--> statement-breakpoint
CREATE INDEX "audit_target" ON "audit" USING btree ("target_id","number");--> statement-breakpoint
CREATE INDEX "audit_action" ON "audit" USING btree ("action","number");--> statement-breakpoint
CREATE INDEX "event_corrections_event" ON "event_corrections" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "mail_tokens_account" ON "mail_tokens" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "recovery_codes_account" ON "recovery_codes" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "refresh_tokens_session" ON "refresh_tokens" USING btree ("session_id");--> statement-breakpoint
ALTER TABLE "sessions" DROP COLUMN "refresh_hash";--> statement-breakpoint
ALTER TABLE "sessions" DROP COLUMN "previous_hash";--> statement-breakpoint
ALTER TABLE "sessions" DROP COLUMN "refreshed_at";--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_totp" CHECK (not "accounts"."totp" or "accounts"."totp_secret" is not null);
--> statement-breakpoint
-- Drizzle knows no triggers: these are written by hand.
CREATE FUNCTION "chain_audit"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	"last" record;
BEGIN
	-- One after the other, until each one's transaction ends: a chain has one end.
	PERFORM pg_advisory_xact_lock(1818850401);
	SELECT "number", "hash" INTO "last" FROM "audit" ORDER BY "number" DESC LIMIT 1;
	NEW."number" := coalesce("last"."number", 0) + 1;
	NEW."previous" := coalesce("last"."hash", repeat('0', 64));
	NEW."hash" := encode(sha256(convert_to("audit_text"(NEW), 'UTF8')), 'hex');
	RETURN NEW;
END
$$;--> statement-breakpoint
-- What of a row is hashed: everything but the hash itself, as one JSON array.
CREATE FUNCTION "audit_text"("row" "audit") RETURNS text LANGUAGE sql STABLE AS $$
	SELECT jsonb_build_array("row"."number", "row"."previous",
		to_char("row"."at" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), "row"."actor_kind", "row"."actor_id",
		"row"."address", "row"."action", "row"."target_kind", "row"."target_id", "row"."before", "row"."after")::text
$$;--> statement-breakpoint
CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'Rows of "%" are only ever added.', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;--> statement-breakpoint
-- A bridge may correct what the API had decided in vain, what was only supposed, and an opening that did not happen.
CREATE FUNCTION "correct_event"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF ROW(NEW."id", NEW."at", NEW."received_at", NEW."reader_id", NEW."card_number", NEW."bridge_id")
			IS DISTINCT FROM ROW(OLD."id", OLD."at", OLD."received_at", OLD."reader_id", OLD."card_number", OLD."bridge_id")
		OR NEW."source" <> 'offline' OR NOT NEW."answered"
		OR NOT (OLD."source" = 'online' OR NOT OLD."answered" OR (OLD."decision" = 'granted' AND NEW."reason" IN ('late', 'unavailable')))
	THEN
		RAISE EXCEPTION 'Rows of "events" are only ever added.' USING ERRCODE = 'restrict_violation';
	END IF;
	INSERT INTO "event_corrections" ("event_id", "at", "before") VALUES (OLD."id", now(), to_jsonb(OLD));
	RETURN NEW;
END
$$;--> statement-breakpoint
CREATE TRIGGER "audit_chained" BEFORE INSERT ON "audit" FOR EACH ROW EXECUTE FUNCTION "chain_audit"();--> statement-breakpoint
CREATE TRIGGER "audit_kept" BEFORE UPDATE OR DELETE ON "audit" FOR EACH ROW EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
CREATE TRIGGER "audit_not_emptied" BEFORE TRUNCATE ON "audit" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
CREATE TRIGGER "events_corrected" BEFORE UPDATE ON "events" FOR EACH ROW EXECUTE FUNCTION "correct_event"();--> statement-breakpoint
CREATE TRIGGER "events_kept" BEFORE DELETE ON "events" FOR EACH ROW EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
CREATE TRIGGER "events_not_emptied" BEFORE TRUNCATE ON "events" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
CREATE TRIGGER "event_corrections_kept" BEFORE UPDATE OR DELETE ON "event_corrections" FOR EACH ROW EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
CREATE TRIGGER "event_corrections_not_emptied" BEFORE TRUNCATE ON "event_corrections" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
