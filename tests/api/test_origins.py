"""Pages of any site may call: what a caller may do never hangs on where a page came from."""

import pytest

from tests.api.served import a_report

PAGE = {"Origin": "https://carte.example.org"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/issues?jurisdiction_id=montreal.ca"), ("GET", "/v1/tiles/99/0/0.mvt"), ("DELETE", "/v1/reports")],
)
async def test_a_page_of_another_site_may_read_answers_and_refusals(api, method, path):
    answer = await api.call(method, path, headers=PAGE)

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert {"Retry-After", "Location"} <= set(answer.headers["access-control-expose-headers"].split(", "))


async def test_it_is_told_beforehand_what_it_may_send(api):
    asks = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization, content-type"}

    answer = await api.call("OPTIONS", "/v1/reports", headers=PAGE | asks)

    assert answer.status_code == 200
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]


async def test_who_calls_from_no_page_hears_nothing_of_it(api):
    answer = await api.post("/v1/reports", json=a_report())

    assert answer.status_code == 201
    assert "access-control-allow-origin" not in answer.headers
