"""`jalon city`: from a folder of raw files to a city that routes, by flags or by questions, and never half of one."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import psycopg
import pyogrio
import pytest
import shapely
import yaml
from pyproj import Transformer

from db.dumps import libpq_url
from tests.issues.packs.small_pack import ADDRESSES, EAST_SIDE, WEST_SIDE

NAMED = ("--name", "Essai", "--source", "Ville d’Essai", "--licence", "CC BY 4.0")


def write(path, driver, crs, shapes, kind, **columns):
    """Write shapes in another coordinate system; without one, the file does not say it."""
    flat = Transformer.from_crs("EPSG:4326", crs or "EPSG:32188", always_xy=True)
    shapes = [shapely.transform(s, lambda xy: np.column_stack(flat.transform(xy[:, 0], xy[:, 1]))) for s in shapes]
    pyogrio.raw.write(
        path,
        geometry=np.array([shapely.to_wkb(shape) for shape in shapes], dtype=object),
        field_data=[np.array(cells, dtype=object) for cells in columns.values()],
        fields=list(columns),
        geometry_type=kind,
        driver=driver,
        crs=crs,
    )


@pytest.fixture
def raw(tmp_path):
    """Raw files of a small town, in three formats and coordinate systems."""
    folder = tmp_path / "brut"
    folder.mkdir()
    halves = [WEST_SIDE[0], EAST_SIDE[0]]
    write(folder / "arrondissements.shp", "ESRI Shapefile", "EPSG:32188", halves, "Polygon", NOM=["L’Orée", "Est"])
    street = shapely.LineString([(-73.66, 45.50), (-73.66, 45.55)])
    write(folder / "rues.gpkg", "GPKG", "EPSG:32618", [street], "LineString", nom_rue=["Rue A"])
    (folder / "adresses.csv").write_text(ADDRESSES)
    return folder


@pytest.fixture
def typed(monkeypatch):
    """What somebody types at the questions."""

    def type_lines(*lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    return type_lines


def test_from_raw_files_to_a_loaded_city_whose_points_hold(jalon, raw):
    made = jalon("city", "init", str(raw), *NAMED)
    loaded = jalon("city", "load", str(raw))
    tried = jalon("city", "test", str(raw))

    assert (made.code, loaded.code, tried.code) == (0, 0, 0), made
    assert "routes.csv, SOURCES.md, points.csv written" in made.out
    assert "arrondissements.shp\tdistricts\t2 polygons\tEPSG:32188\tnames: NOM" in made.out
    assert "jurisdiction: essai.ca (guessed; --jurisdiction)" in made.err
    assert "services\t0\t" in loaded.out
    assert "Open issues stay" not in loaded.err
    assert loaded.out.endswith("essai.ca: loaded\n")
    assert tried.out.endswith("2 of 2 points as expected\n")


HYDRO = """\
rules:
  - {services: lampadaire, asset: {kind: lampadaires, owner: hydro-quebec, within_m: 20}, department: hydro}
  - {services: borne-incendie, asset: {kind: bornes, owner: aqueduc, within_m: 20}, department: hydro}
"""
ASKED = """\
lat,long,service,district,department,crew
45.5201,-73.66,lampadaire,arrondissements:l-oree,hydro,
45.5204,-73.66,lampadaire,arrondissements:l-oree,travaux-publics,
45.5301,-73.661,lampadaire,arrondissements:l-oree,travaux-publics,
45.5301,-73.64,borne-incendie,arrondissements:est,hydro,
"""


def test_parks_and_assets_of_raw_files_are_found_and_routed_by(jalon, raw, owner_url, tmp_path):
    parks = [({"NOM": name}, shapely.Point(x, 45.51).buffer(0.001)) for name, x in [("Parc Jarry", -73.62)]]
    features = [{"type": "Feature", "properties": of, "geometry": shapely.geometry.mapping(s)} for of, s in parks]
    (raw / "parcs.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (raw / "lampadaires.csv").write_text(
        "no;proprietaire;longitude;latitude\n1;Hydro-Québec;-73,66;45,52\n2;Ville;-73,661;45,53\n"
    )
    write(
        raw / "bornes.shp", "ESRI Shapefile", "EPSG:32188", [shapely.Point(-73.64, 45.53)], "Point", ENTITE=["aqueduc"]
    )
    (raw / "batiments.csv").write_text("nom,lon,lat\nAréna du Nord,-73.63,45.52\n")

    jalon("city", "init", str(raw), *NAMED)
    (raw / "routes.yml").write_text(HYDRO)
    (raw / "points.csv").write_text(ASKED)
    with (raw / "departments.yml").open("a") as departments:
        departments.write("  - {code: hydro, names: {fr: Hydro, en: Hydro}}\n")
    loaded, tried = jalon("city", "load", str(raw)), jalon("city", "test", str(raw))
    exported = jalon("city", "export", str(raw), str(tmp_path / "out"))

    assert (loaded.code, exported.code) == (0, 0), loaded
    assert tried.out.endswith("4 of 4 points as expected\n"), tried
    assert jalon("city", "test", str(tmp_path / "out")).out.endswith("4 of 4 points as expected\n")
    with psycopg.connect(libpq_url(owner_url)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM place_name")}
    assert names == {"Parc Jarry", "Aréna du Nord", "L’Orée", "Est"}


def test_a_shapefile_of_which_only_the_table_changed_is_another_pack(jalon, raw):
    jalon("city", "init", str(raw), *NAMED)
    jalon("city", "load", str(raw))
    names = raw / "arrondissements.dbf"
    names.write_bytes(names.read_bytes().replace(b"Est", b"Sud"))

    again = jalon("city", "load", str(raw))

    assert ("sud" in again.out, "Open issues stay" in again.err) == (True, True)


def test_a_dry_run_writes_nothing(jalon, raw):
    before = sorted(raw.iterdir())

    made = jalon("city", "init", str(raw), *NAMED, "--dry-run")

    assert made.code == 0
    assert "jurisdiction_id: essai.ca" in made.out
    assert sorted(raw.iterdir()) == before


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((*NAMED, "--crs", "voies.shp=EPSG:32188"), "there is no file voies.shp"),
        ((*NAMED, "--crs", "adresses.csv=MTM"), "MTM is no coordinate system"),
        ((*NAMED, "--role", "rues.gpkg=roads"), "outline, districts, streets"),
        ((*NAMED, "--crs", "adresses.csv"), "FILE=VALUE"),
        ((*NAMED, "--role", "arrondissements.shp=unused"), "no districts with names"),
    ],
)
def test_what_is_missing_or_wrong_is_refused_by_the_name_of_its_flag(jalon, raw, flags, told):
    refused = jalon("city", "init", str(raw), *flags)

    assert refused.code == 1
    assert told in refused.err
    assert not (raw / "city.yml").exists()


@pytest.mark.filterwarnings("ignore:'crs' was not provided:UserWarning")
def test_all_that_no_file_tells_is_asked_for_at_once_and_a_coordinate_system_never_guessed(jalon, raw):
    write(raw / "arrondissements.shp", "ESRI Shapefile", None, [WEST_SIDE[0], EAST_SIDE[0]], "Polygon", NOM=["A", "B"])
    (raw / "arrondissements.prj").unlink()

    refused = jalon("city", "init", str(raw), "--licence", "CC0")
    made = jalon("city", "init", str(raw), *NAMED, "--crs", "arrondissements.shp=EPSG:32188")

    asked = ("--name TEXT", "--source TEXT", "--licence TEXT", "--crs arrondissements.shp=EPSG:32188")
    assert (refused.code, [flag in refused.err for flag in asked]) == (1, [True, True, False, True])
    assert made.code == 0
    assert yaml.safe_load((raw / "city.yml").read_text())["layers"][0]["crs"] == "EPSG:32188"


def test_answers_may_stand_in_a_file(jalon, raw, tmp_path):
    answers = tmp_path / "answers.yml"
    answers.write_text(
        "{name: Essai, name_en: Trial, jurisdiction: essai.qc.ca, timezone: America/Halifax, source: Ville,"
        " licence: CC0, roles: {adresses.csv: unused}}"
    )

    made = json.loads(jalon("city", "init", str(raw), "--answers", str(answers), "--json").out)

    city = yaml.safe_load((raw / "city.yml").read_text())
    assert (made["written"], made["loadable"]) == (True, True)
    assert (city["jurisdiction_id"], city["names"]["en"], city["timezone"]) == (
        "essai.qc.ca",
        "Trial",
        "America/Halifax",
    )
    assert "addresses" not in city


def test_at_a_terminal_everything_is_asked_and_enter_takes_the_guess(jalon, raw, typed):
    typed("", "", "unused", "Essai", "", "", "", "Ville d’Essai", "CC BY 4.0")

    made = jalon("city", "init", str(raw), "--ask")

    city = yaml.safe_load((raw / "city.yml").read_text())
    assert made.code == 0
    assert (city["names"], city["timezone"]) == ({"fr": "Essai", "en": "Essai"}, "America/Toronto")
    assert "streets" not in city


def test_of_several_layers_it_is_asked_which_one_decides(jalon, raw, typed):
    write(raw / "zones.geojson", "GeoJSON", "EPSG:4326", [WEST_SIDE[0]], "Polygon", nom=["Zone"])
    typed(
        "", "", "", "zones", "districts", "nothing", "zones.geojson", "Essai", "", "", "", "Ville d’Essai", "CC BY 4.0"
    )

    assert jalon("city", "init", str(raw), "--ask").code == 0

    assert yaml.safe_load((raw / "city.yml").read_text())["responsible_layer"] == "zones"


def test_a_map_that_cannot_be_written_is_said_in_a_line(jalon, raw, tmp_path):
    jalon("city", "init", str(raw), *NAMED)

    refused = jalon("city", "check", str(raw), "--map", str(tmp_path / "nowhere" / "map.html"))

    _checking, told = refused.err.splitlines()
    assert (refused.code, told.endswith("cannot be written (No such file or directory).")) == (1, True)


def test_a_pack_that_is_there_is_kept(jalon, raw):
    jalon("city", "init", str(raw), *NAMED)
    (raw / "services.yml").write_text("mine")

    refused = jalon("city", "init", str(raw), *NAMED)

    assert (refused.code, "--force" in refused.err) == (1, True)
    assert (raw / "services.yml").read_text() == "mine"


def test_a_dry_load_says_what_would_change_and_changes_nothing(jalon, raw):
    jalon("city", "init", str(raw), *NAMED)

    dry = json.loads(jalon("city", "load", str(raw), "--dry-run", "--json").out)

    assert (dry["new"], dry["loaded"]) == (True, False)
    assert {change["what"]: change["after"] for change in dry["changes"]}["addresses"] == 2
    assert jalon("city", "list").out == ""


def test_a_dry_load_makes_no_database(command, raw, monkeypatch, tmp_path):
    monkeypatch.setenv("JALON_DATA_DIR", str(tmp_path / "none"))
    command("city", "init", str(raw), *NAMED)

    dry = json.loads(command("city", "load", str(raw), "--dry-run", "--json").out)

    assert (dry["new"], dry["loaded"]) == (True, False)
    assert {change["what"]: change["before"] for change in dry["changes"]}["addresses"] == 0
    assert not (tmp_path / "none").exists()


def test_a_dry_load_migrates_nothing(jalon, raw, owner_url):
    jalon("city", "init", str(raw), *NAMED)
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")

    dry = jalon("city", "load", str(raw), "--dry-run")

    assert (dry.code, "stands at migration 0001" in dry.err) == (1, True)
    with psycopg.connect(libpq_url(owner_url)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


def test_check_draws_its_map_and_test_tells_who_is_wrong(jalon, raw, tmp_path):
    jalon("city", "init", str(raw), *NAMED)
    points = raw / "points.csv"
    points.write_text(points.read_text().replace("voirie-1", "neige-1", 1))

    checked = jalon("city", "check", str(raw), "--map", str(tmp_path / "map.html"))
    wrong = json.loads(jalon("city", "test", str(raw), "--json").out)

    assert checked.code == 0
    assert checked.err.startswith(f"Checking {raw} (")
    assert f"{tmp_path / 'map.html'}: the map is written" in checked.err
    assert "<svg" in (tmp_path / "map.html").read_text()
    assert (wrong["points"], wrong["wrong"]) == (2, 1)
    assert wrong["verdicts"][0]["expected"][-1] == "travaux-publics/neige-1"


def test_each_command_answers_programs_and_tries_without_writing(jalon, raw, tmp_path):
    jalon("city", "init", str(raw), *NAMED)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    commands = {
        "init": (*NAMED, "--force"),
        "check": ("--map", str(tmp_path / "map.html")),
        "load": (),
        "test": (),
        "export": (str(tmp_path / "out"),),
    }

    told = {
        name: json.loads(jalon("city", name, str(raw), *more, "--json", "--dry-run").out)
        for name, more in commands.items()
    }

    assert (told["init"]["written"], told["load"]["loaded"], told["export"]["written"]) == (False, False, False)
    assert (told["check"]["loadable"], told["test"]["wrong"]) == (True, 0)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_cannot_be_loaded_is_told_to_programs_by_every_command(jalon, raw, tmp_path):
    jalon("city", "init", str(raw), *NAMED)
    (raw / "departments.yml").write_text("departments: []\n")

    for name, more in {"check": (), "load": (), "test": (), "export": (str(tmp_path / "out"),)}.items():
        refused = jalon("city", name, str(raw), *more, "--json")
        told = json.loads(refused.out)
        assert (refused.code, told["loadable"]) == (1, False), name
        assert told["problems"]


def test_points_that_cannot_be_read_are_told_to_programs(jalon, raw):
    jalon("city", "init", str(raw), *NAMED)
    (raw / "points.csv").write_text("lat,long\n1,2\n")

    refused = jalon("city", "test", str(raw), "--json")

    assert refused.code == 1
    assert json.loads(refused.out)["problems"][0]["file"] == "points.csv"


def test_an_export_goes_into_an_empty_folder_only(jalon, raw, tmp_path):
    jalon("city", "init", str(raw), *NAMED)

    written = jalon("city", "export", str(raw), str(tmp_path / "out"))
    refused = jalon("city", "export", str(raw), str(tmp_path / "out"))

    assert (written.code, refused.code) == (0, 1)
    assert jalon("city", "check", str(tmp_path / "out")).code == 0
