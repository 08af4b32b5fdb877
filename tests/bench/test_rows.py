"""The history that benchmarks measure in."""

from datetime import UTC, datetime

from bench.rows import fill_issues
from bench.stage import CITY

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def fill(connection) -> None:
    fill_issues(connection, CITY, 2000, seed=7, now=NOW, progress=lambda *_: None)


def test_is_a_city_like_any_other(cities, cluster, database_name):
    with cluster.connect(database_name) as connection:
        fill(connection)

        [found] = connection.execute(
            """
            SELECT count(*), count(DISTINCT service_code) > 20,
                   count(*) FILTER (WHERE status IN ('received', 'acknowledged', 'scheduled', 'in_progress')),
                   count(*) FILTER (WHERE NOT ST_Covers(outline, place::geometry)),
                   count(*) FILTER (WHERE district_code IS NULL), max(opened_at) < %s
            FROM issue JOIN city ON city.id = city_id
            """,
            [NOW],
        ).fetchall()
        [missing] = connection.execute(
            """
            SELECT count(*) FROM issue
            LEFT JOIN report ON report.city_id = issue.city_id AND report.issue_id = issue.id
            LEFT JOIN report_home ON report_home.id = report.id
            LEFT JOIN report_personal ON report_personal.city_id = report.city_id AND report_id = report.id
            LEFT JOIN event ON event.city_id = issue.city_id AND event.issue_id = issue.id
            WHERE num_nulls(report.id, report_home.id, report_id, event.id) > 0
            """
        ).fetchall()
        indexes = connection.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'issue'").fetchone()

    total, many_services, open_ones, outside, nowhere, in_the_past = found
    assert (total, many_services, outside, nowhere, in_the_past) == (2000, True, 0, 0, True)
    assert 150 < open_ones < 250
    assert missing == (0,)
    assert indexes > (5,)
