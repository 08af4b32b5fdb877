"""Another geocoder is asked where the city's own data know no place, and holds nobody up when it is in trouble."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import ValidationError

from api.other_geocoders import GeocoderFailed, GeocoderRests, InvalidGeocoder, OtherGeocoder, TheirPlace
from api.settings import Settings
from geo.points import LonLat, offset
from tests.api.served import a_report

PARC = TheirPlace(LonLat(-73.5873, 45.5048), "Belvédère Kondiaronk, Montréal")
BOX = (-74.0, 45.4, -73.4, 45.8)
_POINT = {"type": "Point", "coordinates": [PARC.at.lon, PARC.at.lat]}
ANSWERS = {
    "photon": {"features": [{"geometry": _POINT, "properties": {"name": "Belvédère Kondiaronk", "city": "Montréal"}}]},
    "nominatim": [{"lat": str(PARC.at.lat), "lon": str(PARC.at.lon), "display_name": PARC.address}],
    "pelias": {"features": [{"geometry": _POINT, "properties": {"name": PARC.address}}]},
}


class _Geocoder(ThreadingHTTPServer):
    """A geocoder on this machine that answers one thing, and notes what it was asked."""

    daemon_threads = True

    def __init__(self, answer, *, status=200):
        super().__init__(("127.0.0.1", 0), _Answering)
        self.answer, self.status = json.dumps(answer).encode(), status
        self.asked = []
        self.was_asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()


class _Answering(BaseHTTPRequestHandler):
    server: _Geocoder

    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.was_asked.set()
        self.server.may_answer.wait(30)
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def answering(answer, **said):
    """A geocoder, and its address without the kind."""
    with _Geocoder(answer, **said) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("kind", ANSWERS)
async def test_each_kind_is_asked_in_its_own_words(kind):
    with answering(ANSWERS[kind]) as (server, url):
        other = OtherGeocoder(f"{kind}+{url}?api_key=k")
        found = await other.find("belvédère", BOX, "fr")
        other.close()

    assert [place.at for place in found] == [PARC.at]
    assert "Kondiaronk" in found[0].address
    [asked] = server.asked
    assert "belv" in asked
    assert "45.4" in asked
    assert "fr" in asked


HERE = LonLat(-73.5231, 45.6543)


def found_at(kind, *, metres=5.0, **words):
    """What a geocoder of a kind answers of a place so far away."""
    at = offset(HERE, east_m=metres, north_m=0.0)
    if kind == "nominatim":
        return {"lat": str(at.lat), "lon": str(at.lon), "display_name": "all of it", "address": words}
    point = {"type": "Point", "coordinates": [at.lon, at.lat]}
    return {"features": [{"geometry": point, "properties": {"name": "a name", **words}}]}


@pytest.mark.parametrize(
    ("kind", "found", "address"),
    [
        ("photon", found_at("photon", housenumber="12", street="Rue Neuve"), "12, rue Neuve"),
        ("photon", found_at("photon", type="street", name="25e Avenue"), "25e Avenue"),
        ("photon", found_at("photon", type="city", name="Montréal"), None),
        ("photon", {"features": []}, None),
        ("nominatim", found_at("nominatim", house_number="12", road="Rue Neuve", city="Montréal"), "12, rue Neuve"),
        ("nominatim", found_at("nominatim", footway="Sentier  du\nParc"), "Sentier du Parc"),
        ("nominatim", found_at("nominatim", city="Montréal"), None),
        ("nominatim", {"error": "Unable to geocode"}, None),
        ("pelias", found_at("pelias", housenumber="12", street="Rue Neuve", layer="address"), "12, rue Neuve"),
        ("pelias", found_at("pelias", layer="venue", name="Aréna Neuf"), "Aréna Neuf"),
        ("pelias", found_at("pelias", layer="locality", name="Montréal"), None),
        ("photon", found_at("photon", metres=90.0, housenumber="12", street="Rue Neuve"), "Rue Neuve"),
        ("photon", found_at("photon", metres=301.0, housenumber="12", street="Rue Neuve"), None),
        ("pelias", found_at("pelias", housenumber=["12"], street={"fr": "Rue Neuve"}), None),
        ("nominatim", {"lat": "x", "lon": "0", "display_name": "x", "address": {"road": "Rue Neuve"}}, GeocoderFailed),
        ("pelias", ["no", "sense"], GeocoderFailed),
    ],
)
async def test_each_kind_tells_the_address_of_a_place(kind, found, address):
    with answering(found) as (server, url):
        other = OtherGeocoder(f"{kind}+{url}")
        if address is GeocoderFailed:
            with pytest.raises(GeocoderFailed):
                await other.address_at(HERE, "fr")
        else:
            assert await other.address_at(HERE, "fr") == address
        other.close()

    [asked] = server.asked
    assert "reverse" in asked
    assert "45.6543" in asked
    assert "fr" in asked


async def test_one_that_is_left_alone_is_not_asked_for_an_address_either():
    with answering({}, status=500) as (server, url):
        other = OtherGeocoder(f"nominatim+{url}", clock=lambda: 0.0)
        for _ in range(3):
            with pytest.raises(GeocoderFailed):
                await other.address_at(HERE, "fr")
        with pytest.raises(GeocoderRests):
            await other.address_at(HERE, "fr")
        other.close()

    assert len(server.asked) == 3


async def test_one_that_is_slow_is_not_waited_for():
    with answering(ANSWERS["photon"]) as (server, url):
        server.may_answer.clear()
        other = OtherGeocoder(f"photon+{url}", timeout_s=0.1)
        began = time.monotonic()
        found = await other.find("belvédère", BOX, "fr")
        other.close()

    assert found == []
    assert time.monotonic() - began < 10.0  # of the 30 that it would take


async def test_one_that_fails_is_left_alone_for_a_while():
    now = [0.0]
    with answering({}, status=500) as (server, url):
        other = OtherGeocoder(f"photon+{url}", clock=lambda: now[0])
        for _ in range(5):
            assert await other.find("belvédère", BOX, "fr") == []
        asked_at_first = len(server.asked)
        server.status, server.answer = 200, json.dumps(ANSWERS["photon"]).encode()
        now[0] = 40.0
        found = await other.find("belvédère", BOX, "fr")
        other.close()

    assert (asked_at_first, [place.at for place in found]) == (3, [PARC.at])


async def test_what_makes_no_sense_is_no_place():
    with answering([{"lat": "nowhere", "lon": "0", "display_name": "x"}, *ANSWERS["nominatim"]]) as (_, url):
        other = OtherGeocoder(f"nominatim+{url}")
        found = await other.find("belvédère", BOX, "fr")
        other.close()

    assert found == []


@pytest.mark.parametrize(
    "url", ["https://photon.example.org", "google+https://x.org", "photon+ftp://x.org", "photon+https://"]
)
def test_an_address_of_no_geocoder_is_refused_at_the_start(url):
    with pytest.raises(InvalidGeocoder):
        OtherGeocoder(url)
    with pytest.raises(ValidationError, match="geocoder_url"):
        Settings(geocoder_url=url)


@pytest.fixture
def with_other(app):
    """Has the served application ask another geocoder."""

    @contextmanager
    def with_other(answer):
        with answering(answer) as (server, url):
            before, other = app.state.serving, OtherGeocoder(f"photon+{url}")
            app.state.serving = replace(before, geocoder=other)
            try:
                yield server
            finally:
                app.state.serving = before
                other.close()

    return with_other


async def test_it_is_asked_for_what_the_citys_own_data_do_not_know(api, with_other):
    with with_other(ANSWERS["photon"]) as server:
        known = (await api.get("/v1/geocode", params={"q": "4475 rue St-Denis"})).json()["features"]
        asked_for_known = list(server.asked)
        [found] = (await api.get("/v1/geocode", params={"q": "Belvédère Kondiaronk"})).json()["features"]
        in_laval = await api.get("/v1/geocode", params={"q": "Belvédère Kondiaronk", "jurisdiction_id": "laval.ca"})

    assert (known[0]["properties"]["found_as"], asked_for_known) == ("address", [])
    assert found["geometry"]["coordinates"] == [PARC.at.lon, PARC.at.lat]
    assert found["properties"]["jurisdiction_id"] == "montreal.ca"
    assert (found["properties"]["found_as"], found["properties"]["score"]) == ("elsewhere", 0.6)
    assert in_laval.json()["features"] == []


async def test_it_is_never_asked_for_a_report(api, with_other):
    report = a_report(lat=None, long=None, accuracy_m=None, location_source=None, address_string="Belvédère Kondiaronk")
    with with_other(ANSWERS["photon"]) as server:
        refused = await api.post("/v1/reports", json=report)

    assert refused.status_code == 422
    assert server.asked == []
