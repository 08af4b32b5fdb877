-- One report as bare as the database can take it: the limit that `make bench-intake` compares with.
--
-- The same search for neighbours as issues/neighbours.py and the same rows as issues/filing.py, in one transaction;
-- by the owner of the tables, so without row-level security; without locks on cells, without foreign keys (they are
-- triggers), without looking who is asking. Ids ascend with time, as those of phones and servers do. pgbench sends it
-- as prepared statements (-M prepared), with these variables: city, west, south, east, north (where), kinds (number of
-- services), codes (of the services), services (for each an array of those it may join: itself and its siblings, or
-- none), radii (metres), windows (days), near (metres within which a report joins), layer, district and department (of
-- a new issue), year, sequence, epoch (first half of an id, at the start), tick (0).
\set tick :tick + 1
\set first :epoch + :tick
\set report random(1, 9223372036854775807)
\set event random(1, 9223372036854775807)
\set issue random(1, 9223372036854775807)
\set kind random(1, :kinds)
\set lon :west + (:east - :west) * random(0, 1000000) / 1000000.0
\set lat :south + (:north - :south) * random(0, 1000000) / 1000000.0
BEGIN;
INSERT INTO report_home (id, city_id, sender, fingerprint, tracking_hash)
VALUES ((lpad(to_hex(:first::bigint), 16, '0') || lpad(to_hex(:report::bigint), 16, '0'))::uuid, :city::integer,
        'device:01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f', decode(repeat('ab', 32), 'hex'), decode(repeat('cd', 32), 'hex'))
ON CONFLICT (id) DO NOTHING;
SELECT count(*) FILTER (WHERE distance_m <= :near::float8) > 0 AS joins,
       COALESCE((array_agg(id ORDER BY distance_m, id) FILTER (WHERE distance_m <= :near::float8))[1]::text, '')
           AS joined,
       max(address) AS address, max(words) AS words
FROM (
SELECT near.id, near.service_code, near.distance_m, near.accuracy_m, near.last_report_at, opener.address, opener.words
FROM unnest((:services::text[])[:kind::integer]::text[]) AS service(code)
CROSS JOIN LATERAL (
    SELECT id, service_code, accuracy_m, last_report_at,
           ST_Distance(place, ST_Point(:lon::float8, :lat::float8, 4326)::geography) AS distance_m
    FROM issue
    WHERE city_id = :city::integer AND service_code = service.code
      AND status IN ('received', 'acknowledged', 'scheduled', 'in_progress') AND merged_into IS NULL
      AND ST_DWithin(place, ST_Point(:lon::float8, :lat::float8, 4326)::geography, (:radii::float8[])[:kind::integer])
      AND last_report_at >= now() - make_interval(days => (:windows::integer[])[:kind::integer]) AND NOT private
    ORDER BY place <-> ST_Point(:lon::float8, :lat::float8, 4326)::geography, id
    LIMIT 20
) AS near
LEFT JOIN LATERAL (
    SELECT CASE WHEN r.location_source = 'address' THEN p.address_string END AS address, p.description AS words
    FROM report r JOIN report_personal p ON p.city_id = r.city_id AND p.report_id = r.id
    WHERE r.city_id = :city::integer AND r.issue_id = near.id
    ORDER BY r.received_at, r.id LIMIT 1
) AS opener ON true
) AS neighbour
\gset
\if :joins
WITH joined AS (
    UPDATE issue SET report_count = report_count + 1, last_report_at = greatest(last_report_at, now()),
                     updated_at = greatest(updated_at, now())
    WHERE city_id = :city::integer AND id = :joined::uuid
      AND status IN ('received', 'acknowledged', 'scheduled', 'in_progress') AND merged_into IS NULL
    RETURNING city_id, id, service_code
), drawn AS MATERIALIZED (
    SELECT :year::text || '-' || lpad(n::text, greatest(6, length(n::text)), '0') AS number,
           (lpad(to_hex(:first::bigint), 16, '0') || lpad(to_hex(:report::bigint), 16, '0'))::uuid AS report_id
    FROM joined, nextval(:sequence::regclass) AS n
), filed AS (
    INSERT INTO report (city_id, id, number, issue_id, service_code, person_id, channel, location_source, accuracy_m,
                        captured_at, received_at, near_boundary, match)
    SELECT city_id, report_id, number, id, service_code, report_id, 'app', 'gps', 8, now(), now(), false,
           '{"score": 0.94, "reasons": [{"unit": "m", "value": 4.1, "factor": "distance", "weight": 0.4}]}'
    FROM drawn, joined
), personal AS (
    INSERT INTO report_personal (city_id, report_id, place, address_string, description, attributes, name, email, phone)
    SELECT :city::integer, report_id, ST_Point(:lon::float8, :lat::float8, 4326)::geography, NULL,
           'Gros trou devant l''arrêt d''autobus', '{}', NULL, NULL, NULL
    FROM drawn
), told AS (
    INSERT INTO event (city_id, id, issue_id, kind, actor, at, public, data)
    SELECT city_id, (lpad(to_hex(:first::bigint), 16, '0') || lpad(to_hex(:event::bigint), 16, '0'))::uuid, id,
           'report.joined', 'device:01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f', now(), true,
           '{"report_id": "01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f"}'
    FROM drawn, joined
)
SELECT number, joined.* FROM drawn, joined;
\else
WITH drawn AS MATERIALIZED (
    SELECT :year::text || '-' || lpad(n::text, greatest(6, length(n::text)), '0') AS number,
           (lpad(to_hex(:first::bigint), 16, '0') || lpad(to_hex(:report::bigint), 16, '0'))::uuid AS report_id,
           (lpad(to_hex(:first::bigint), 16, '0') || lpad(to_hex(:issue::bigint), 16, '0'))::uuid AS issue_id,
           (:codes::text[])[:kind::integer] AS service_code
    FROM nextval(:sequence::regclass) AS n
), opened AS (
    INSERT INTO issue (city_id, id, number, service_code, status, place, accuracy_m, address, layer, district_code,
                       districts, department_code, crew_code, near_boundary, private, report_count, opened_at,
                       last_report_at, updated_at, expected_at)
    SELECT :city::integer, issue_id, number, service_code, 'received',
           ST_Point(:lon::float8, :lat::float8, 4326)::geography, 8, '1234, rue Saint-Denis', :layer::text, :district::text,
           ARRAY[:layer::text || ':' || :district::text, 'quartiers:1'], :department::text, NULL, false, false, 1, now(), now(), now(),
           now() + interval '7 days'
    FROM drawn
), filed AS (
    INSERT INTO report (city_id, id, number, issue_id, service_code, person_id, channel, location_source, accuracy_m,
                        captured_at, received_at, near_boundary, match)
    SELECT :city::integer, report_id, number, issue_id, service_code, report_id, 'app', 'gps', 8, now(), now(), false,
           NULL
    FROM drawn
), personal AS (
    INSERT INTO report_personal (city_id, report_id, place, address_string, description, attributes, name, email, phone)
    SELECT :city::integer, report_id, ST_Point(:lon::float8, :lat::float8, 4326)::geography, NULL,
           'Gros trou devant l''arrêt d''autobus', '{}', NULL, NULL, NULL
    FROM drawn
), told AS (
    INSERT INTO event (city_id, id, issue_id, kind, actor, at, public, data)
    SELECT :city::integer, (lpad(to_hex(:first::bigint), 16, '0') || lpad(to_hex(:event::bigint), 16, '0'))::uuid,
           issue_id, 'report.opened', 'device:01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f', now(), true,
           '{"report_id": "01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f"}'
    FROM drawn
)
SELECT number FROM drawn;
\endif
COMMIT;
