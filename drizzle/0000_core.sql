CREATE TABLE "accounts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"name" text,
	"role" text NOT NULL,
	"person_id" uuid,
	"disabled" boolean DEFAULT false NOT NULL,
	"totp" boolean DEFAULT false NOT NULL,
	"password_hash" text NOT NULL,
	CONSTRAINT "accounts_email" UNIQUE("email"),
	CONSTRAINT "accounts_role" CHECK ("accounts"."role" in ('owner', 'admin', 'operator', 'auditor', 'member')),
	CONSTRAINT "accounts_email_lower" CHECK ("accounts"."email" = lower("accounts"."email"))
);
--> statement-breakpoint
CREATE TABLE "bridges" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"generation" integer DEFAULT 1 NOT NULL,
	"last_seen_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "card_keys" (
	"view" text NOT NULL,
	"key" text NOT NULL,
	"card_id" uuid NOT NULL,
	CONSTRAINT "card_keys_view_key_card_id_pk" PRIMARY KEY("view","key","card_id"),
	CONSTRAINT "card_keys_view" CHECK ("card_keys"."view" in ('hex', 'decimal'))
);
--> statement-breakpoint
CREATE TABLE "cards" (
	"id" uuid PRIMARY KEY NOT NULL,
	"person_id" uuid NOT NULL,
	"number" text NOT NULL,
	"form" text DEFAULT 'hex' NOT NULL,
	"label" text,
	"status" text DEFAULT 'active' NOT NULL,
	"valid_from" timestamp (3) with time zone,
	"valid_until" timestamp (3) with time zone,
	CONSTRAINT "cards_number" UNIQUE("number","form"),
	CONSTRAINT "cards_status" CHECK ("cards"."status" in ('active', 'blocked', 'lost', 'returned')),
	CONSTRAINT "cards_canonical" CHECK (("cards"."form" = 'hex' and "cards"."number" ~ '^([0-9A-F]{2}){1,32}$') or ("cards"."form" = 'decimal' and "cards"."number" ~ '^[1-9][0-9]{0,77}$')),
	CONSTRAINT "cards_validity" CHECK ("cards"."valid_until" > "cards"."valid_from")
);
--> statement-breakpoint
CREATE TABLE "events" (
	"id" uuid PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"reader_id" uuid,
	"card_number" text NOT NULL,
	"card_id" uuid,
	"person_id" uuid,
	"decision" text NOT NULL,
	"reason" text NOT NULL,
	"source" text NOT NULL,
	"bridge_id" uuid NOT NULL,
	"open_ms" integer NOT NULL,
	CONSTRAINT "events_reason" CHECK ("events"."reason" in ('late', 'unknown_reader', 'reader_disabled', 'lockdown', 'unknown_card', 'ambiguous_card', 'card_blocked', 'card_lost', 'card_returned', 'card_not_yet_valid', 'card_expired', 'person_inactive', 'person_not_yet_valid', 'person_expired', 'no_rule', 'outside_schedule', 'granted', 'unavailable')),
	CONSTRAINT "events_source" CHECK ("events"."source" in ('online', 'offline')),
	CONSTRAINT "events_decision" CHECK ("events"."decision" = case "events"."reason" when 'granted' then 'granted' else 'denied' end)
);
--> statement-breakpoint
CREATE TABLE "group_people" (
	"group_id" uuid NOT NULL,
	"person_id" uuid NOT NULL,
	CONSTRAINT "group_people_person_id_group_id_pk" PRIMARY KEY("person_id","group_id")
);
--> statement-breakpoint
CREATE TABLE "groups" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "people" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"email" text,
	"employee_number" text,
	"active" boolean DEFAULT true NOT NULL,
	"valid_from" timestamp (3) with time zone,
	"valid_until" timestamp (3) with time zone,
	CONSTRAINT "people_employee_number" UNIQUE("employee_number"),
	CONSTRAINT "people_validity" CHECK ("people"."valid_until" > "people"."valid_from")
);
--> statement-breakpoint
CREATE TABLE "readers" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"profile" text NOT NULL,
	"topic" text NOT NULL,
	"reply_topic" text,
	"card_view" text NOT NULL,
	"timezone" text NOT NULL,
	"direction" text DEFAULT 'none' NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"open_ms" integer NOT NULL,
	CONSTRAINT "readers_topic" UNIQUE("topic"),
	CONSTRAINT "readers_profile" CHECK ("readers"."profile" in ('plain')),
	CONSTRAINT "readers_card_view" CHECK ("readers"."card_view" in ('hex', 'decimal')),
	CONSTRAINT "readers_direction" CHECK ("readers"."direction" in ('in', 'out', 'none')),
	CONSTRAINT "readers_open_ms" CHECK ("readers"."open_ms" between 0 and 600000),
	CONSTRAINT "readers_no_echo" CHECK ("readers"."reply_topic" <> "readers"."topic")
);
--> statement-breakpoint
CREATE TABLE "rule_readers" (
	"rule_id" uuid NOT NULL,
	"reader_id" uuid NOT NULL,
	CONSTRAINT "rule_readers_rule_id_reader_id_pk" PRIMARY KEY("rule_id","reader_id")
);
--> statement-breakpoint
CREATE TABLE "rules" (
	"id" uuid PRIMARY KEY NOT NULL,
	"group_id" uuid NOT NULL,
	"schedule_id" uuid
);
--> statement-breakpoint
CREATE TABLE "schedules" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"windows" jsonb NOT NULL,
	CONSTRAINT "schedules_windows" CHECK (jsonb_typeof("schedules"."windows") = 'array')
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"account_id" uuid NOT NULL,
	"refresh_hash" text NOT NULL,
	"previous_hash" text,
	"refreshed_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "sessions_refresh" UNIQUE("refresh_hash"),
	CONSTRAINT "sessions_previous" UNIQUE("previous_hash")
);
--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "card_keys" ADD CONSTRAINT "card_keys_card_id_cards_id_fk" FOREIGN KEY ("card_id") REFERENCES "public"."cards"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "cards" ADD CONSTRAINT "cards_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "group_people" ADD CONSTRAINT "group_people_group_id_groups_id_fk" FOREIGN KEY ("group_id") REFERENCES "public"."groups"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "group_people" ADD CONSTRAINT "group_people_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "rule_readers" ADD CONSTRAINT "rule_readers_rule_id_rules_id_fk" FOREIGN KEY ("rule_id") REFERENCES "public"."rules"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "rule_readers" ADD CONSTRAINT "rule_readers_reader_id_readers_id_fk" FOREIGN KEY ("reader_id") REFERENCES "public"."readers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "rules" ADD CONSTRAINT "rules_group_id_groups_id_fk" FOREIGN KEY ("group_id") REFERENCES "public"."groups"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "rules" ADD CONSTRAINT "rules_schedule_id_schedules_id_fk" FOREIGN KEY ("schedule_id") REFERENCES "public"."schedules"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "accounts_person" ON "accounts" USING btree ("person_id");--> statement-breakpoint
CREATE INDEX "card_keys_card" ON "card_keys" USING btree ("card_id");--> statement-breakpoint
CREATE INDEX "cards_person" ON "cards" USING btree ("person_id");--> statement-breakpoint
CREATE INDEX "events_at" ON "events" USING btree ("at","id");--> statement-breakpoint
CREATE INDEX "events_reader" ON "events" USING btree ("reader_id","at","id");--> statement-breakpoint
CREATE INDEX "events_person" ON "events" USING btree ("person_id","at","id");--> statement-breakpoint
CREATE INDEX "events_reason" ON "events" USING btree ("reason","at","id");--> statement-breakpoint
CREATE INDEX "group_people_group" ON "group_people" USING btree ("group_id","person_id");--> statement-breakpoint
CREATE INDEX "groups_name" ON "groups" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "people_name" ON "people" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "readers_name" ON "readers" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "readers_reply_topic" ON "readers" USING btree ("reply_topic");--> statement-breakpoint
CREATE INDEX "rule_readers_reader" ON "rule_readers" USING btree ("reader_id");--> statement-breakpoint
CREATE INDEX "rules_group" ON "rules" USING btree ("group_id");--> statement-breakpoint
CREATE INDEX "rules_schedule" ON "rules" USING btree ("schedule_id");--> statement-breakpoint
CREATE INDEX "schedules_name" ON "schedules" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "sessions_account" ON "sessions" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "sessions_expires" ON "sessions" USING btree ("expires_at");