-- Once, as a superuser, with psql 15 or newer: the database, the role that owns its tables (for `npm run migrate`), and the one
-- that Lintel runs as, which gets its rights from api/db/least-privilege.sql after each migration. Their passwords are in the
-- environment: OWNER_DB_PASSWORD and APP_DB_PASSWORD.
\getenv owner_password OWNER_DB_PASSWORD
\getenv app_password APP_DB_PASSWORD
set password_encryption = 'scram-sha-256';
create role lintel_owner login password :'owner_password';
create role lintel_app login password :'app_password';
-- For who does not say it themselves, as Hyperdrive: longer than a door waits for an answer nothing takes.
alter role lintel_app set statement_timeout = '5s';
alter role lintel_app set idle_in_transaction_session_timeout = '10s';
create database lintel owner lintel_owner;
revoke all on database lintel from public;
grant connect on database lintel to lintel_app;
-- Where a backup is restored to see whether it is good (SCRATCH_DATABASE_URL).
create database lintel_scratch owner lintel_app;
revoke all on database lintel_scratch from public;
