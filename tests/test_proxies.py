"""Whose address counts where a request came through proxies: that of the last hop which is none of ours."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from bench.servers import Server, jalon_environment
from tests.api.served import a_report

_ONE_AN_HOUR = 'UPDATE city SET settings = settings || \'{"limits": {"address_reports_per_hour": 1}}\''

Send = Callable[..., int]


@pytest.fixture
def serve(cities, cluster, database_name: str, app_url: str, tmp_path: Path) -> Iterator[Callable[[str], Send]]:
    """Start a server that trusts some proxies, in cities that take one report an hour from each address."""
    with cluster.connect(database_name) as connection:
        connection.execute(_ONE_AN_HOUR)
    started: list[Server] = []

    def serve(trusted: str) -> Send:
        environment = jalon_environment(app_url, tmp_path / "data", trusted_proxies=trusted)
        server = Server(environment, tmp_path / f"serve-{len(started)}.log")
        server.start()
        started.append(server)
        server.wait_until_ready()

        def send(*lines: str) -> int:
            headers: Sequence[tuple[str, str]] = [("X-Forwarded-For", line) for line in lines]
            return httpx.post(f"{server.url}/v1/reports", json=a_report(), headers=headers, timeout=60).status_code

        return send

    yield serve
    for server in started:
        server.ask_to_stop()
        server.wait_until_stopped()


def test_what_a_sender_claims_before_the_proxy_wrote_is_not_believed(serve):
    send = serve("127.0.0.1")

    assert send("198.51.100.1, 203.0.113.7") == 201
    assert send("198.51.100.2, 203.0.113.7") == 429
    assert send("203.0.113.7, 203.0.113.8") == 201


def test_our_own_proxies_are_passed_over_in_one_line_or_several(serve):
    send = serve("127.0.0.1, 10.0.0.0/8")

    assert send("203.0.113.7, 10.0.0.5") == 201
    assert send("203.0.113.7, 10.9.9.9, 10.0.0.5") == 429
    assert send("198.51.100.3, 203.0.113.7", "10.0.0.5") == 429
    assert send("203.0.113.8", "10.0.0.5") == 201


def test_of_a_sender_who_is_no_proxy_nothing_is_believed(serve):
    send = serve("192.0.2.1")

    assert send("203.0.113.7") == 201
    assert send("203.0.113.8") == 429


def test_customers_are_told_apart_by_their_ipv6_network(serve):
    send = serve("127.0.0.1")

    assert send("2001:db8:0:1::1") == 201
    assert send("2001:db8:0:1:ffff::1") == 429
    assert send("2001:db8:0:2::1") == 201
