#!/bin/sh
# What the Postgres image runs once, when its volume is new.
exec psql -v ON_ERROR_STOP=1 -U postgres -f /deploy/prepare.sql
