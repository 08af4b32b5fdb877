"""Looking through a city's raw files: what each is for and which column holds what, guessed and never in silence."""

from __future__ import annotations

import json

import pytest
import shapely
import yaml

from issues.packs.check import check_pack
from issues.packs.columns import address_columns, asset_columns, district_columns, place_columns, street_columns
from issues.packs.draft import Answers, NothingToBeMade, draft_pack
from issues.packs.problems import Severity
from issues.packs.survey import Role, responsible_of, survey
from tests.issues.packs.small_pack import geojson

ANSWERS = Answers({"fr": "Essai", "en": "Essai"}, "essai.ca", "America/Toronto", "Ville d’Essai", "CC BY 4.0")
WEST, EAST = shapely.box(-73.70, 45.50, -73.65, 45.55), shapely.box(-73.65, 45.50, -73.60, 45.55)
BOTH = shapely.union_all([WEST, EAST])
STREET = shapely.LineString([(-73.66, 45.50), (-73.66, 45.55)])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"code": ["a", "b"], "nom": ["A", "B"]}, {"code": "code", "names": "nom"}),
        ({"NO_DIST": ["1", "2"], "NM_DIST": ["Le Nord", "Le Sud"]}, {"code": "NO_DIST", "names": "NM_DIST"}),
        ({"NOM_ARR": ["Un", "Deux"], "AIRE": ["1.5", "2.5"]}, {"names": "NOM_ARR"}),
        ({"number": ["1", "2"]}, {"code": "number", "names": "number"}),
        ({"no": ["1", "1"], "nom": ["A", "B"]}, {"names": "nom"}),  # it tells nothing apart
        ({"code": ["l est", "l ouest"], "nom": ["A", "B"]}, {"names": "nom"}),
        (
            {"id": ["1", "2"], "NOM_FR": ["Un", "Deux"], "NOM_EN": ["One", "Two"]},
            {"code": "id", "names": {"fr": "NOM_FR", "en": "NOM_EN"}},
        ),
        ({"name": ["12", "13"]}, {"names": "name"}),
        ({"number": ["1", "0", "0"], "name": ["A", "B", ""]}, {"names": "name"}),  # the empty one is for `check` to say
        ({"TOPONYMIE": ["A-B", "C-D"], "AIRE": ["1", "1"]}, {"names": "TOPONYMIE"}),
        ({"aire": ["1.5", "1.5"]}, None),
        ({}, None),
    ],
)
def test_columns_of_districts(cells, expected):
    assert district_columns(cells) == expected


def test_columns_of_streets_and_addresses():
    sides = {side: ["1"] for side in ("left_from", "left_to", "right_from", "right_to")}

    assert street_columns({"NOM_VOIE": ["Rue A"], "TYPE": ["x"]}) == {"name": "NOM_VOIE", "kind": "TYPE"}
    assert street_columns({"name": ["Rue A"], **sides}) == {"name": "name", **{side: side for side in sides}}
    assert street_columns({"x": ["1"]}) is None
    assert address_columns({"No civique": ["1"], "Nom rue": ["A"]}, positions=False) == {
        "number": "No civique",
        "street": "Nom rue",
    }
    assert address_columns({"numero": ["1"], "rue": ["A"]}, positions=True) is None


def test_columns_of_assets_and_places():
    lamps = {"NO": ["1"], "PROPRIETAI": ["Ville"], "Longitude": ["-73.6"], "Latitude": ["45.5"]}

    assert asset_columns(lamps, positions=True) == {"owner": "PROPRIETAI", "lon": "Longitude", "lat": "Latitude"}
    assert asset_columns({**lamps, "nom": ["L1"]}, positions=False) == {"owner": "PROPRIETAI", "name": "nom"}
    assert asset_columns({"NO": ["1"]}, positions=False) is None
    assert asset_columns({"owner": ["Ville"]}, positions=True) is None
    assert place_columns({"NOM": ["Aréna"]}, positions=False) == {"name": "NOM"}
    assert place_columns({"NOM": ["Aréna"]}, positions=True) is None


@pytest.mark.parametrize(
    ("name", "header", "role"),
    [
        ("lampadaires.csv", "proprietaire,lon,lat", Role.ASSETS),
        ("lampadaires.csv", "modele,lon,lat", Role.UNUSED),
        ("batiments.csv", "nom,lon,lat", Role.PLACES),
        ("mesures.csv", "nom,lon,lat", Role.UNUSED),
        ("batiments.csv", "no_civique,rue,lon,lat,nom", Role.ADDRESSES),
    ],
)
def test_a_table_of_points_is_what_its_columns_and_its_name_say(tmp_path, name, header, role):
    row = ",".join(
        {"lon": "-73.66", "lat": "45.51", "no_civique": "1"}.get(each, "Ville") for each in header.split(",")
    )
    (tmp_path / name).write_text(f"{header}\n{row}\n")

    assert [raw.role for raw in survey(tmp_path)] == [role]


@pytest.fixture
def raw(tmp_path):
    """A folder as a city's open data page fills it."""
    (tmp_path / "limites.geojson").write_text(geojson((BOTH, {"nom": "Essai"})))
    (tmp_path / "arrondissements.geojson").write_text(geojson((WEST, {"NOM": "L’Ouest"}), (EAST, {"NOM": "L’Est"})))
    quarters = [(half, {"id": n, "nom": f"Quartier {n}"}) for n, half in enumerate((WEST, EAST, BOTH.buffer(-0.01)))]
    (tmp_path / "quartiers.geojson").write_text(geojson(*quarters))
    (tmp_path / "rues.geojson").write_text(geojson((STREET, {"nom_rue": "Rue A"})))
    (tmp_path / "adresses.csv").write_bytes(
        "no_civique;rue;longitude;latitude\n1;Montée A;-73,66;45,51\n".encode("cp1252")
    )
    (tmp_path / "LISEZ-MOI.md").write_text("x")
    return tmp_path


def test_each_file_is_found_and_taken_for_what_it_is(raw):
    files = survey(raw)

    assert {found.file: found.role for found in files} == {
        "limites.geojson": Role.OUTLINE,
        "arrondissements.geojson": Role.DISTRICTS,
        "quartiers.geojson": Role.DISTRICTS,
        "rues.geojson": Role.STREETS,
        "adresses.csv": Role.ADDRESSES,
    }
    assert not any(found.crs_unknown for found in files)
    assert responsible_of(files).file == "arrondissements.geojson"


def test_what_is_guessed_is_written_down_and_makes_a_pack_that_can_be_loaded(raw):
    for name, text in draft_pack(survey(raw), ANSWERS).items():
        (raw / name).write_text(text)

    report = check_pack(raw)

    assert [p for p in report.problems if p.severity is Severity.ERROR] == []
    city = yaml.safe_load((raw / "city.yml").read_text())
    assert city["responsible_layer"] == "arrondissements"
    assert city["layers"][0]["columns"] == {"names": "NOM"}
    assert city["addresses"]["encoding"] == "cp1252"
    places = report.pack.places
    assert [d.code for d in places.layers[0].districts] == ["l-ouest", "l-est"]
    assert [(a.number, a.street, a.at.lat) for a in places.addresses] == [("1", "Montée A", 45.51)]
    services = [service for group in report.pack.services.groups for service in group.services]
    assert len(services) >= 25


def test_a_table_in_metres_waits_for_its_coordinate_system(tmp_path):
    (tmp_path / "adresses.csv").write_text("numero,rue,x,y\n1,Rue A,299000,5040000\n")

    (asked,) = survey(tmp_path)
    (told,) = survey(tmp_path, crs={"adresses.csv": "EPSG:32188"})

    assert (asked.crs_unknown, told.crs_unknown) == (True, False)
    assert told.crs_given == "EPSG:32188"


def test_columns_called_x_and_y_are_not_taken_for_degrees(tmp_path):
    (tmp_path / "adresses.csv").write_text("numero,rue,x,y\n1,Rue A,-73.6,45.5\n")

    assert survey(tmp_path)[0].crs_unknown


def test_a_role_that_is_given_counts(raw):
    files = survey(raw, roles={"quartiers.geojson": Role.UNUSED, "arrondissements.geojson": Role.OUTLINE})

    assert {f.file: f.role for f in files if f.role in {Role.OUTLINE, Role.DISTRICTS}} == {
        "arrondissements.geojson": Role.OUTLINE
    }


def test_a_city_without_districts_is_one_district(tmp_path):
    (tmp_path / "limite.geojson").write_text(geojson((BOTH, {"nom": "Essai"})))
    for name, text in draft_pack(survey(tmp_path), ANSWERS).items():
        (tmp_path / name).write_text(text)

    report = check_pack(tmp_path)

    assert [(layer.code, len(layer.districts)) for layer in report.pack.places.layers] == [("ville", 1)]


def test_of_nothing_no_city_is_made(tmp_path):
    (tmp_path / "rues.geojson").write_text(geojson((STREET, {"nom_rue": "Rue A"})))

    with pytest.raises(NothingToBeMade):
        draft_pack(survey(tmp_path), ANSWERS)


def test_what_cannot_be_read_is_listed_with_its_reason(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK")
    (tmp_path / "b.geojson").write_text(json.dumps({"type": "Nothing"}))

    files = survey(tmp_path)

    assert [found.role for found in files] == [Role.UNUSED, Role.UNUSED]
    assert all(found.remarks for found in files)
