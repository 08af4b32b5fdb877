"""Phones whose connections break at any byte: what they send again is done once, through two real servers."""

import json
import random
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bench.phones import Phone
from bench.servers import Server, jalon_environment, running
from db.base import new_id
from geo.points import LonLat, offset

REPORTS = 12
COPIES = 5
PARK = LonLat(-73.5690, 45.5270)  # parc La Fontaine
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Told:
    """An answer that came whole."""

    status: int
    body: Any


@dataclass(frozen=True)
class Network:
    """The way to two servers, from any address of this machine; its connections break as the draw says."""

    ports: list[int]
    draw: random.Random

    def send(self, phone: Phone, method: str, path: str, body: Mapping[str, Any], *, source: str = "127.0.0.1") -> Told:
        """Send a request whole and read the answer."""
        with self._connect(source) as line:
            line.sendall(request_of(phone, method, path, body))
            answer = b"".join(iter(lambda: line.recv(65536), b""))
        head, _, content = answer.partition(b"\r\n\r\n")
        return Told(int(head.split()[1]), json.loads(content))

    def send_from_elsewhere(self, phone: Phone, report: Mapping[str, Any]) -> Told:
        """Send a report from another address than all the rest."""
        return self.send(phone, "POST", "/v1/reports", report, source="127.0.0.2")

    def send_and_break(self, phone: Phone, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Send a request and lose the connection: before its end, before the answer, or in the answer's middle."""
        request, moment = request_of(phone, method, path, body), self.draw.randrange(3)
        with self._connect("127.0.0.1") as line:
            if moment == 0:
                line.sendall(request[: self.draw.randrange(len(request))])
            else:
                line.sendall(request)
            if moment == 2:
                line.recv(self.draw.randrange(1, 40))
            # Without this the kernel would deliver what is left; a phone in a tunnel does not.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    def _connect(self, source: str) -> socket.socket:
        return socket.create_connection(
            ("127.0.0.1", self.draw.choice(self.ports)), timeout=TIMEOUT_S, source_address=(source, 0)
        )


def request_of(phone: Phone, method: str, path: str, body: Mapping[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {phone.secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


@pytest.fixture
def network(cities, app_url: str, tmp_path: Path) -> Iterator[Network]:
    """Two server processes, and the bad line to them."""
    environment = jalon_environment(app_url, tmp_path / "data")
    servers = [Server(environment, tmp_path / f"serve-{number}.log") for number in (1, 2)]
    with running(servers):
        yield Network([server.port for server in servers], random.Random(2026))


@pytest.fixture
def phone(network: Network) -> Phone:
    """A phone that has registered."""
    phone = Phone()
    assert network.send(phone, "PUT", f"/v1/devices/{phone.id}", phone.registration).status == 201
    return phone


def a_report(number: int) -> dict[str, Any]:
    """A report at a place of its own."""
    at = offset(PARK, east_m=150.0 * number, north_m=0.0)
    return {"id": str(new_id()), "service_code": "nid-de-poule", "lat": at.lat, "long": at.lon, "accuracy_m": 5.0}


def count(cluster, database_name: str, query: str) -> list[Any]:
    with cluster.connect(database_name) as connection:
        return connection.execute(query).fetchall()


def test_the_same_report_five_times_at_once_on_lines_that_break_is_one_report(network, phone, cluster, database_name):
    reports = [a_report(number) for number in range(REPORTS)]

    def send_copy(copy: int) -> int | None:
        report = reports[copy // COPIES]
        if copy % COPIES:
            return network.send_and_break(phone, "POST", "/v1/reports", report)
        return network.send(phone, "POST", "/v1/reports", report).status

    with ThreadPoolExecutor(2 * COPIES) as lines:
        statuses = set(lines.map(send_copy, range(REPORTS * COPIES)))
        again = list(lines.map(lambda report: network.send_from_elsewhere(phone, report), reports))

    assert statuses <= {200, 201, None}
    assert {told.status for told in again} == {200}
    stored = count(cluster, database_name, "SELECT id, number FROM report")
    assert dict(stored) == {UUID(told.body["report"]["id"]): told.body["report"]["number"] for told in again}
    assert len(stored) == REPORTS
    assert count(cluster, database_name, "SELECT DISTINCT report_count FROM issue") == [(1,)]
    assert count(cluster, database_name, "SELECT count(*) FROM event") == [(REPORTS,)]


def test_an_outbox_sent_again_and_again_on_lines_that_break_is_done_once(network, phone, cluster, database_name):
    reports = [a_report(number) for number in range(REPORTS)]
    items = [{"id": report.pop("id"), "kind": "report", "body": report} for report in reports]
    words = [
        {"id": str(new_id()), "kind": "correction", "target": item["id"], "body": {"add_description": "Côté nord"}}
        for item in items
    ]
    outbox = {"items": [*items, *words]}

    with ThreadPoolExecutor(COPIES) as lines:
        list(lines.map(lambda _: network.send_and_break(phone, "POST", "/v1/sync", outbox), range(3 * COPIES)))
    told = network.send(phone, "POST", "/v1/sync", outbox)

    assert {result["final"] for result in told.body["items"]} == {True}
    assert {result["status"] for result in told.body["items"]} <= {200, 201}
    assert count(cluster, database_name, "SELECT count(*) FROM report") == [(REPORTS,)]
    assert count(cluster, database_name, "SELECT count(*) FROM report_correction") == [(REPORTS,)]
