CREATE TABLE "commands" (
	"id" uuid PRIMARY KEY NOT NULL,
	"action" text NOT NULL,
	"door_id" uuid,
	"reader_id" uuid,
	"reason" text,
	"until" timestamp (3) with time zone,
	"actor_kind" text NOT NULL,
	"actor_id" uuid,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"state" text DEFAULT 'waiting' NOT NULL,
	"detail" text,
	"bridge_id" uuid,
	"settled_at" timestamp (3) with time zone,
	CONSTRAINT "commands_action" CHECK ("commands"."action" in ('open', 'hold', 'lock', 'release')),
	CONSTRAINT "commands_state" CHECK ("commands"."state" in ('waiting', 'taken', 'delivered', 'refused', 'timed_out')),
	CONSTRAINT "commands_actor_kind" CHECK ("commands"."actor_kind" in ('account', 'key', 'stranger', 'system')),
	CONSTRAINT "commands_target" CHECK (("commands"."door_id" is null) <> ("commands"."reader_id" is null))
);
--> statement-breakpoint
CREATE TABLE "device_events" (
	"id" uuid PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"door_id" uuid,
	"reader_id" uuid,
	"bridge_id" uuid,
	"command_id" uuid,
	"note" text,
	"number" bigint GENERATED ALWAYS AS IDENTITY (sequence name "device_events_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	CONSTRAINT "device_events_kind_known" CHECK ("device_events"."kind" in ('door_opened', 'door_closed', 'door_forced', 'door_forced_ended', 'door_held_open_soon', 'door_held_open', 'door_held_open_ended', 'exit_requested', 'tampered', 'tamper_ended', 'door_mode', 'door_unlocked', 'door_refused', 'door_no_answer', 'opened_by_command', 'opened_by_home_assistant', 'reader_online', 'reader_offline', 'door_online', 'door_offline', 'bridge_online', 'bridge_offline', 'broker_lost', 'broker_back'))
);
--> statement-breakpoint
CREATE TABLE "door_states" (
	"door_id" uuid PRIMARY KEY NOT NULL,
	"online" boolean,
	"online_since" timestamp (3) with time zone,
	"last_seen_at" timestamp (3) with time zone,
	"contact" text,
	"contact_since" timestamp (3) with time zone,
	"tampered" boolean,
	"alarm" text
);
--> statement-breakpoint
CREATE TABLE "doors" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"profile" text NOT NULL,
	"settings" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"timezone" text NOT NULL,
	"open_ms" integer NOT NULL,
	"held_open_ms" integer NOT NULL,
	"pre_alarm_ms" integer NOT NULL,
	"hold_schedule_id" uuid,
	"mode" text DEFAULT 'scheduled' NOT NULL,
	"mode_until" timestamp (3) with time zone,
	"home_assistant" text DEFAULT 'off' NOT NULL,
	"broker_generation" integer DEFAULT 1 NOT NULL,
	CONSTRAINT "doors_mode" CHECK ("doors"."mode" in ('scheduled', 'held', 'locked')),
	CONSTRAINT "doors_home_assistant" CHECK ("doors"."home_assistant" in ('off', 'show', 'command')),
	CONSTRAINT "doors_open_ms" CHECK ("doors"."open_ms" between 0 and 600000),
	CONSTRAINT "doors_alarms" CHECK ("doors"."held_open_ms" between 0 and 86400000 and "doors"."pre_alarm_ms" between 0 and 86400000)
);
--> statement-breakpoint
CREATE TABLE "lockdown_readers" (
	"lockdown_id" uuid NOT NULL,
	"reader_id" uuid NOT NULL,
	CONSTRAINT "lockdown_readers_reader_id_lockdown_id_pk" PRIMARY KEY("reader_id","lockdown_id")
);
--> statement-breakpoint
CREATE TABLE "lockdowns" (
	"id" uuid PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"everywhere" boolean NOT NULL,
	"reason" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"created_by" uuid,
	"until" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"ended_by" uuid,
	CONSTRAINT "lockdowns_kind" CHECK ("lockdowns"."kind" in ('lockdown', 'evacuation')),
	CONSTRAINT "lockdowns_until" CHECK ("lockdowns"."until" > "lockdowns"."created_at")
);
--> statement-breakpoint
CREATE TABLE "reader_states" (
	"reader_id" uuid PRIMARY KEY NOT NULL,
	"online" boolean,
	"online_since" timestamp (3) with time zone,
	"last_seen_at" timestamp (3) with time zone,
	"contact" text,
	"contact_since" timestamp (3) with time zone,
	"tampered" boolean,
	"alarm" text
);
--> statement-breakpoint
ALTER TABLE "bridges" ADD COLUMN "away" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "number" bigint NOT NULL GENERATED ALWAYS AS IDENTITY (sequence name "events_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1);--> statement-breakpoint
ALTER TABLE "people" ADD COLUMN "exempt_from_lockdown" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "door_id" uuid;--> statement-breakpoint
ALTER TABLE "readers" ADD COLUMN "broker_generation" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "commands" ADD CONSTRAINT "commands_door_id_doors_id_fk" FOREIGN KEY ("door_id") REFERENCES "public"."doors"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "commands" ADD CONSTRAINT "commands_reader_id_readers_id_fk" FOREIGN KEY ("reader_id") REFERENCES "public"."readers"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "door_states" ADD CONSTRAINT "door_states_door_id_doors_id_fk" FOREIGN KEY ("door_id") REFERENCES "public"."doors"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "doors" ADD CONSTRAINT "doors_hold_schedule_id_schedules_id_fk" FOREIGN KEY ("hold_schedule_id") REFERENCES "public"."schedules"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "lockdown_readers" ADD CONSTRAINT "lockdown_readers_lockdown_id_lockdowns_id_fk" FOREIGN KEY ("lockdown_id") REFERENCES "public"."lockdowns"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "lockdown_readers" ADD CONSTRAINT "lockdown_readers_reader_id_readers_id_fk" FOREIGN KEY ("reader_id") REFERENCES "public"."readers"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "reader_states" ADD CONSTRAINT "reader_states_reader_id_readers_id_fk" FOREIGN KEY ("reader_id") REFERENCES "public"."readers"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "commands_created" ON "commands" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "commands_waiting" ON "commands" USING btree ("created_at") WHERE "commands"."state" = 'waiting';--> statement-breakpoint
CREATE INDEX "commands_door" ON "commands" USING btree ("door_id","created_at");--> statement-breakpoint
CREATE INDEX "commands_reader" ON "commands" USING btree ("reader_id","created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "device_events_number" ON "device_events" USING btree ("number");--> statement-breakpoint
CREATE INDEX "device_events_at" ON "device_events" USING btree ("at","id");--> statement-breakpoint
CREATE INDEX "device_events_door" ON "device_events" USING btree ("door_id","at","id");--> statement-breakpoint
CREATE INDEX "device_events_reader" ON "device_events" USING btree ("reader_id","at","id");--> statement-breakpoint
CREATE INDEX "device_events_kind" ON "device_events" USING btree ("kind","at","id");--> statement-breakpoint
CREATE INDEX "doors_name" ON "doors" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "doors_hold_schedule" ON "doors" USING btree ("hold_schedule_id");--> statement-breakpoint
CREATE INDEX "lockdown_readers_lockdown" ON "lockdown_readers" USING btree ("lockdown_id");--> statement-breakpoint
CREATE INDEX "lockdowns_created" ON "lockdowns" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "lockdowns_in_force" ON "lockdowns" USING btree ("kind") WHERE "lockdowns"."ended_at" is null;--> statement-breakpoint
ALTER TABLE "readers" ADD CONSTRAINT "readers_door_id_doors_id_fk" FOREIGN KEY ("door_id") REFERENCES "public"."doors"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "events_number" ON "events" USING btree ("number");--> statement-breakpoint
CREATE INDEX "readers_door" ON "readers" USING btree ("door_id");--> statement-breakpoint
CREATE TRIGGER "device_events_kept" BEFORE UPDATE OR DELETE ON "device_events" FOR EACH ROW EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
CREATE TRIGGER "device_events_not_emptied" BEFORE TRUNCATE ON "device_events" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
