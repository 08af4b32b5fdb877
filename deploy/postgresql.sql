-- Once, as a superuser of your own PostgreSQL 15 or newer with PostGIS 3.3 or newer:
--   runuser -u postgres -- psql -v ON_ERROR_STOP=1 -f deploy/postgresql.sql
-- It asks twice for each of two passwords, which reach neither the list of processes nor the server's log.
-- Without a terminal it reads them from its standard input, a line each.
-- jalon_owner owns the tables and migrates; jalon_web serves, owns nothing, and is held by row-level security.
-- For open data it takes the role jalon_open, which can read the views of the schema open and nothing else.
CREATE ROLE jalon_app NOLOGIN;
CREATE ROLE jalon_open NOLOGIN;
CREATE ROLE jalon_owner LOGIN;
CREATE ROLE jalon_web LOGIN IN ROLE jalon_app, jalon_open;
\password jalon_owner
\password jalon_web
CREATE DATABASE jalon OWNER jalon_owner;
REVOKE ALL ON DATABASE jalon FROM PUBLIC;
GRANT CONNECT ON DATABASE jalon TO jalon_web;
\connect jalon
CREATE EXTENSION postgis;
CREATE EXTENSION btree_gist;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION unaccent;
