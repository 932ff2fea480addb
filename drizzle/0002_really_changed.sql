ALTER TABLE "site_changes" ADD COLUMN "mark" uuid DEFAULT gen_random_uuid() NOT NULL;--> statement-breakpoint
-- Drizzle knows no triggers: these are written by hand. A later table that the decision may look at needs them too.
-- A statement that changes nothing is no change: each bridge would read the whole site again for it.
CREATE OR REPLACE FUNCTION "note_site_change"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	"changed" boolean := true;
BEGIN
	CASE TG_OP
		WHEN 'INSERT' THEN "changed" := EXISTS (SELECT FROM "new_rows");
		WHEN 'DELETE' THEN "changed" := EXISTS (SELECT FROM "old_rows");
		-- Rows hold their own key, so as sets they are the same only when each row is.
		WHEN 'UPDATE' THEN "changed" := EXISTS (TABLE "new_rows" EXCEPT TABLE "old_rows");
		ELSE NULL;
	END CASE;
	IF "changed" THEN
		INSERT INTO "site_changes" DEFAULT VALUES;
	END IF;
	RETURN NULL;
END
$$;--> statement-breakpoint
-- One each: a trigger that sees rows sees those of one kind of statement only.
DO $$
DECLARE
	"changing" text;
BEGIN
	FOREACH "changing" IN ARRAY ARRAY['people', 'cards', 'card_keys', 'group_people', 'schedules', 'rules', 'rule_readers', 'readers']
	LOOP
		EXECUTE format('DROP TRIGGER %I ON %I', "changing" || '_changed', "changing");
		EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION note_site_change()', "changing" || '_added', "changing");
		EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION note_site_change()', "changing" || '_changed', "changing");
		EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION note_site_change()', "changing" || '_removed', "changing");
		EXECUTE format('CREATE TRIGGER %I AFTER TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION note_site_change()', "changing" || '_emptied', "changing");
	END LOOP;
END
$$;
