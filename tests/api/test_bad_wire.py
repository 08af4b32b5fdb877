"""What is no HTTP, or not what it announced, is refused over a real connection, and nothing is stored of it."""

import asyncio
import json

import pytest
import uvicorn
from httpx import Response

from api.app import create_app
from api.wire import ProblemHttpProtocol
from db.base import new_id
from tests.api.served import PICTURE, a_report, fields_of, problem_of, serving


@pytest.fixture
async def address(settings):
    """Host and port of a server that runs as `jalon serve` runs it."""
    config = uvicorn.Config(create_app(settings), http=ProblemHttpProtocol, log_config=None, access_log=False, port=0)
    async with serving(config) as address:
        yield address


async def exchange(address, request: bytes, *, hang_up: bool = False) -> Response:
    """Send bytes as they are and read the answer until the server closes; with `hang_up`, do not wait for one."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    await writer.drain()
    answer = b"HTTP/1.1 0 None\r\n\r\n" if hang_up else await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Response(int(status_line.split()[1]), headers=headers, content=body)


def put(path: str, body: bytes, *, announced: int, method: str = "PUT", **headers: str) -> bytes:
    lines = {"Host": "jalon.test", "Content-Length": announced, "Connection": "close", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def is_alive(address) -> bool:
    return (await exchange(address, put("/healthz", b"", announced=0, method="GET"))).status_code == 200


async def test_a_report_longer_than_announced_is_refused_whole(address, stored):
    body = json.dumps(a_report()).encode()

    answer = await exchange(
        address,
        put("/v1/reports", body + b" " * 40, announced=len(body), method="POST", Content_Type="application/json"),
    )

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert fields_of(answer.json()) == {"body"}
    assert "plus long" in answer.json()["detail"]
    assert await is_alive(address)
    assert (await stored())["report_home"] == 0


async def test_a_photo_longer_than_announced_is_refused_whole(address, register, stored):
    secret, photo = (await register()).api.secret, PICTURE * 100

    answer = await exchange(
        address,
        put(
            f"/v1/photos/{new_id()}",
            photo,
            announced=len(PICTURE),
            Authorization=f"Bearer {secret}",
            Accept_Language="en",
        ),
    )

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "longer" in answer.json()["detail"]
    assert await is_alive(address)
    assert (await stored())["photo"] == 0


async def test_a_photo_shorter_than_announced_leaves_nothing(address, register, stored, settings):
    secret = (await register()).api.secret
    request = put(f"/v1/photos/{new_id()}", PICTURE, announced=len(PICTURE) + 1000, Authorization=f"Bearer {secret}")

    await exchange(address, request, hang_up=True)

    assert await is_alive(address)
    assert (await stored())["photo"] == 0
    assert [path for path in (settings.data_dir / "photos" / "originals").rglob("*") if path.is_file()] == []


async def test_too_long_a_report_is_refused_while_it_comes_and_the_long_field_named(address, stored):
    body = json.dumps(a_report(description="a" * 5_000_000)).encode()

    answer = await exchange(
        address, put("/v1/reports", body, announced=len(body), method="POST", Content_Type="application/json")
    )

    assert fields_of(problem_of(answer, 413, "body-too-large")) == {"description"}
    assert await is_alive(address)
    assert (await stored())["report_home"] == 0


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n{}\r\n"])
async def test_what_is_no_http_is_answered_as_a_problem(address, noise):
    answer = await exchange(address, noise)

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert await is_alive(address)
