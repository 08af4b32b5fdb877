"""Bodies that come compressed."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.encodings import BodyDecoder
from api.middleware import JSON_LIMIT_BYTES
from api.problems.refusals import BodyUndecodable
from db.base import new_id
from tests.api.served import PICTURE, a_report, fields_of, problem_of


def deflated(content: bytes, *, bits: int = zlib.MAX_WBITS) -> bytes:
    """Content in zlib's format, or, with negative bits, as the bare stream that some senders call by the same name."""
    packer = zlib.compressobj(wbits=bits)
    return packer.compress(content) + packer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "zlib": ("deflate", deflated),
    "bare": ("deflate", lambda content: deflated(content, bits=-zlib.MAX_WBITS)),
    "identity": ("identity", bytes),
}


def a_packed_report(pack=gzip.compress, **changes) -> bytes:
    return pack(json.dumps(a_report(**changes)).encode())


async def send(api, body: bytes, encoding: str = "gzip", *, path: str = "/v1/reports", kind: str = "application/json"):
    return await api.post(path, content=body, headers={"Content-Encoding": encoding, "Content-Type": kind})


@pytest.mark.parametrize("name", PACKED)
async def test_a_report_may_come_compressed(api, name):
    encoding, pack = PACKED[name]

    answer = await send(api, a_packed_report(pack), encoding)

    assert answer.status_code == 201, answer.text


async def test_other_calls_with_json_take_compressed_bodies_too(api, hire):
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]["id"]

    answer = await send(await hire(), gzip.compress(b'{"status": "acknowledged"}'), path=f"/v1/issues/{issue}/status")

    assert answer.json()["status"] == "acknowledged", answer.text


@pytest.mark.parametrize("name", ["gzip", "zlib", "bare"])
async def test_a_bomb_is_refused_as_too_large(api, stored, name):
    encoding, pack = PACKED[name]
    bomb = pack(b'{"description": "' + b"a" * 30_000_000 + b'"}')
    assert len(bomb) < JSON_LIMIT_BYTES

    answer = await send(api, bomb, encoding)

    document = problem_of(answer, 413, "body-too-large")
    assert fields_of(document) == {"description"}
    assert (await stored())["report"] == 0


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "base64"])
async def test_another_encoding_is_refused_with_those_that_are_taken(api, encoding):
    answer = await send(api, a_packed_report(), encoding)

    problem_of(answer, 415, "encoding-not-supported")
    assert answer.headers["accept-encoding"] == "gzip, deflate"


async def test_photos_do_not_come_compressed(register, stored):
    device = await register()
    path = f"/v1/photos/{new_id()}"

    answer = await device.api.put(
        path, content=gzip.compress(PICTURE), headers={"Content-Encoding": "gzip", "Content-Type": "image/jpeg"}
    )

    problem_of(answer, 415, "encoding-not-supported")
    assert answer.headers["accept-encoding"] == "identity"
    assert (await stored())["photo"] == 0


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda body: body[:-4], id="cut off in its checksum"),
        pytest.param(lambda body: body[:-20], id="cut off"),
        pytest.param(lambda body: body[:-8] + bytes(8), id="another checksum"),
        pytest.param(lambda body: body + b"x", id="going on after its end"),
        pytest.param(lambda _: b'{"service_code": "nid-de-poule"}', id="not compressed at all"),
        pytest.param(lambda _: b"\x1f", id="one byte"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
async def test_what_is_not_compressed_as_it_says_is_unreadable(api, stored, spoil):
    answer = await send(api, spoil(a_packed_report()))

    problem_of(answer, 400, "malformed-body")
    assert (await stored())["report"] == 0


@given(
    content=st.binary(max_size=2000),
    cuts=st.lists(st.integers(0, 2100), max_size=8),
    name=st.sampled_from(["gzip", "zlib", "bare"]),
)
def test_it_does_not_matter_in_which_pieces_a_body_comes(content, cuts, name):
    encoding, pack = PACKED[name]
    packed = pack(content)
    ends = [*sorted(cut % (len(packed) + 1) for cut in cuts), len(packed)]
    decoder = BodyDecoder(encoding, is_json=True)

    decoded = b""
    for start, end in zip([0, *ends], ends, strict=False):
        decoded += decoder.decode(packed[start:end], at_most=4000, is_last=False)
    decoded += decoder.decode(b"", at_most=4000, is_last=True)

    assert decoded == content


@given(size=st.integers(0, 50_000), at_most=st.integers(1, 2000))
def test_no_more_is_decoded_than_asked_for(size, at_most):
    decoder = BodyDecoder("gzip", is_json=True)

    decoded = decoder.decode(gzip.compress(bytes(size)), at_most=at_most, is_last=True)

    assert len(decoded) == min(size, at_most)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_noise_is_decoded_or_refused(noise, encoding):
    try:
        decoded = BodyDecoder(encoding, is_json=True).decode(noise, at_most=1000, is_last=True)
    except BodyUndecodable:
        return
    assert len(decoded) <= 1000
