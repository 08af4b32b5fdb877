-- Once, as a superuser of your own PostgreSQL 15 or newer with PostGIS 3.3 or newer:
--   runuser -u postgres -- psql -v ON_ERROR_STOP=1 -v owner_password=... -v web_password=... < deploy/postgresql.sql
-- jalon_owner owns the tables and migrates; jalon_web serves, owns nothing, and is held by row-level security.
CREATE ROLE jalon_app NOLOGIN;
CREATE ROLE jalon_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE jalon_web LOGIN PASSWORD :'web_password' IN ROLE jalon_app;
CREATE DATABASE jalon OWNER jalon_owner;
REVOKE ALL ON DATABASE jalon FROM PUBLIC;
GRANT CONNECT ON DATABASE jalon TO jalon_web;
\connect jalon
CREATE EXTENSION postgis;
CREATE EXTENSION btree_gist;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION unaccent;
