"""Hot spots over HTTP."""

from issues.actors import Role
from tests.api.served import PLATEAU, a_report, fields_of, problem_of


async def test_staff_see_where_issues_lie_close_together_as_geojson(api, hire):
    for n in range(3):
        await api.post("/v1/reports", json=a_report(service_code="voirie-autre", lat=PLATEAU["lat"] + 0.0003 * n))

    answer = await (await hire()).get("/v1/hotspots", headers={"Accept-Language": "en"})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/geo+json")
    [spot] = answer.json()["features"]
    longitude, latitude = spot["geometry"]["coordinates"]
    assert (round(longitude, 5), round(latitude, 5)) == (PLATEAU["long"], 45.5234)
    properties = spot["properties"]
    assert (properties["issue_count"], properties["report_count"]) == (3, 3)
    assert properties["service_name"] == "Other street or alley problem"
    assert 33.0 < properties["radius_m"] < 34.0


async def test_hot_spots_are_for_staff_and_refuse_what_makes_no_sense(api, hire, register):
    crew = await hire(Role.CREW, crew="voirie-1")

    problem_of(await api.get("/v1/hotspots"), 401, "sign-in-needed")
    problem_of(await (await register()).api.get("/v1/hotspots"), 403, "role-needed")
    refused = problem_of(await crew.get("/v1/hotspots", params={"reach_m": 0, "min_issues": 1}), 422, "invalid-fields")
    assert fields_of(refused) == {"reach_m", "min_issues"}
    assert (await crew.get("/v1/hotspots")).json()["features"] == []
