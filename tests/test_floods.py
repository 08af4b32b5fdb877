"""Many people see one hole at the same moment, and two server processes must open one issue for it."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load import Exchange, Target, send_all
from bench.phones import Phone
from bench.requests import registration_request, report_request
from bench.servers import Server, jalon_environment, running
from db.base import new_id
from geo.cells import cells_touched
from geo.points import LonLat, offset
from issues.match import LARGEST_RADIUS_M

PEOPLE = 60
SERVICE = "nid-de-poule"
PARK = LonLat(-73.5690, 45.5270)  # parc La Fontaine
MARKET = LonLat(-73.6148, 45.5362)  # marché Jean-Talon


@pytest.fixture
def two_servers(cities, app_url: str, tmp_path: Path) -> Iterator[Target]:
    """Two server processes; connections go to one and the other in turn."""
    environment = jalon_environment(app_url, tmp_path / "data")
    servers = [Server(environment, tmp_path / f"serve-{number}.log") for number in (1, 2)]
    with running(servers):
        yield Target("127.0.0.1", [server.port for server in servers])


def cell_of(at: LonLat) -> list[int]:
    return cells_touched(at, radius_m=0.0, width_m=LARGEST_RADIUS_M)


def either_side_of_a_border(start: LonLat) -> tuple[LonLat, LonLat]:
    """Two positions, a metre apart, in different cells of the grid that is locked."""
    pairs = (
        (offset(start, east_m=metre, north_m=0), offset(start, east_m=metre + 1, north_m=0))
        for metre in range(2 * int(LARGEST_RADIUS_M))
    )
    return next(pair for pair in pairs if cell_of(pair[0]) != cell_of(pair[1]))


def test_two_simultaneous_floods_open_one_issue_each(two_servers, cluster, database_name):
    phones = [Phone() for _ in range(2 * PEOPLE)]
    west, east = either_side_of_a_border(MARKET)
    # Of each place, every second report goes through the other server.
    places = [PARK, PARK, west, west, PARK, PARK, east, east] * (2 * PEOPLE // 8)
    reports = {new_id(): (phone, at) for phone, at in zip(phones, places, strict=True)}
    registrations: deque[Exchange] = deque([registration_request(phone)] for phone in phones)
    send_all(two_servers, registrations, clients=8)

    flood: deque[Exchange] = deque([report_request(phone, id_, SERVICE, at)] for id_, (phone, at) in reports.items())
    answered = send_all(two_servers, flood, clients=len(reports))

    assert answered.statuses == {201: 2 * PEOPLE}
    with cluster.connect(database_name) as connection:
        issue_of = dict(connection.execute("SELECT id, issue_id FROM report").fetchall())
        counts = dict(connection.execute("SELECT id, report_count FROM issue").fetchall())
    assert issue_of.keys() == reports.keys()
    in_park = {issue_of[id_] for id_, (_, at) in reports.items() if at is PARK}
    at_border = {issue_of[id_] for id_, (_, at) in reports.items() if at is not PARK}
    assert (len(in_park), len(at_border)) == (1, 1)
    assert counts == dict.fromkeys(in_park | at_border, PEOPLE)
