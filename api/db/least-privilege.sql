-- A role for Lintel that can do its work and nothing else: it owns nothing, so it can neither disable a trigger nor drop a
-- table, and what is only ever added (the audit log, the record of scans) it can neither change nor remove.
--
-- Migrate as the owner of the tables, then run this as the owner, after every migration again:
--   psql "$OWNER_DATABASE_URL" -v ON_ERROR_STOP=1 -f api/db/least-privilege.sql
-- Once: alter role lintel_app login password '…'; and that role is in the DATABASE_URL of `npm run api`.
do $$ begin
  if not exists (select from pg_roles where rolname = 'lintel_app') then create role lintel_app; end if;
end $$;
-- Nobody makes a temporary table that is taken for one of Lintel's.
do $$ begin execute format('revoke temporary on database %I from public, lintel_app', current_database()); end $$;
revoke all on all tables in schema public from lintel_app;
grant usage on schema public to lintel_app;
grant select, insert, update, delete on all tables in schema public to lintel_app;
revoke update, delete on audit, event_corrections, device_events from lintel_app;
-- What a bridge hands over may correct an event, by the rules of a trigger that keeps what was there before.
revoke delete on events from lintel_app;
-- What is too old goes, and a person is erased, through these alone; they let nothing else through. (Whoever restores a backup has
-- functions that anybody may call: so not only the migration says that nobody else may.)
revoke all on function remove_events, remove_device_events, remove_audit, erase_events, erase_audit from public;
grant execute on function remove_events, remove_device_events, remove_audit, erase_events, erase_audit to lintel_app;
-- To see whether the database is up to date, and not to migrate it.
grant usage on schema drizzle to lintel_app;
grant select on drizzle.__drizzle_migrations to lintel_app;
-- Backups read where the numbering of rows stands.
grant select on all sequences in schema public, drizzle to lintel_app;
