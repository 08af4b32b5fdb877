"""Many people see one hole at the same moment, and two server processes must open one issue for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load import Target
from bench.races import PEOPLE, races_around, register, run_race
from bench.servers import Server, jalon_environment, running
from geo.points import LonLat

# parc La Fontaine, marché Jean-Talon, parc Jarry, mont Royal
PLACES = [LonLat(-73.5690, 45.5270), LonLat(-73.6148, 45.5362), LonLat(-73.6280, 45.5340), LonLat(-73.5900, 45.5050)]


@pytest.fixture
def two_servers(cities, app_url: str, tmp_path: Path) -> Iterator[Target]:
    """Two server processes; connections go to one and the other in turn."""
    environment = jalon_environment(app_url, tmp_path / "data")
    servers = [Server(environment, tmp_path / f"serve-{number}.log") for number in (1, 2)]
    with running(servers):
        yield Target("127.0.0.1", [server.port for server in servers])


def test_a_flood_opens_one_issue_at_one_place_and_across_a_border_of_one_service_and_of_siblings(
    two_servers, cluster, database_name
):
    phones = register(two_servers, PEOPLE)
    races = [races_around(place)[kind] for kind, place in enumerate(PLACES)]

    with cluster.connect(database_name) as connection:
        outcomes = [run_race(two_servers, connection, phones, race) for race in races]

    assert len({outcome.race.name for outcome in outcomes}) == 4
    assert {outcome.race.name: outcome.fault for outcome in outcomes if outcome.fault} == {}
