"""Files of places: whatever a city keeps them in, they come out in WGS 84, longitude first."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from geo.files import UnreadablePlaces, on_earth, read_features, repair_polygon

SQUARE = shapely.box(-73.60, 45.50, -73.59, 45.51)
BOW_TIE = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])


def geojson(*shapes, **properties):
    return json.dumps(
        {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "properties": properties, "geometry": s and json.loads(shapely.to_geojson(s))}
                for s in shapes
            ],
        }
    )


def write_in_mtm8(path, driver, *, crs="EPSG:32188"):
    """Write the square in the projection that Montréal's own files use."""
    to_mtm8 = Transformer.from_crs("EPSG:4326", "EPSG:32188", always_xy=True)
    flat = shapely.transform(SQUARE, lambda xy: np.column_stack(to_mtm8.transform(xy[:, 0], xy[:, 1])))
    pyogrio.raw.write(
        path,
        geometry=np.array([shapely.to_wkb(flat)], dtype=object),
        field_data=[np.array(["Ville-Marie"], dtype=object)],
        fields=["nom"],
        geometry_type="Polygon",
        driver=driver,
        crs=crs,
    )


def test_reads_geojson_with_its_properties(tmp_path):
    (tmp_path / "a.geojson").write_text(geojson(SQUARE, nom="Ville-Marie", numero="09", secteur=3))

    (feature,) = read_features(tmp_path / "a.geojson")

    assert feature.number == 1
    assert feature.properties == {"nom": "Ville-Marie", "numero": "09", "secteur": 3}
    assert shapely.equals(feature.geometry, SQUARE)


def test_unpacks_gzip(tmp_path):
    (tmp_path / "a.geojson.gz").write_bytes(gzip.compress(geojson(SQUARE, nom="x").encode()))

    (feature,) = read_features(tmp_path / "a.geojson.gz")

    assert shapely.equals(feature.geometry, SQUARE)


@pytest.mark.parametrize(("name", "driver"), [("a.gpkg", "GPKG"), ("a.shp", "ESRI Shapefile"), ("a.fgb", "FlatGeobuf")])
def test_brings_other_coordinate_systems_to_wgs84(tmp_path, name, driver):
    write_in_mtm8(tmp_path / name, driver)

    (feature,) = read_features(tmp_path / name)

    assert feature.properties["nom"] == "Ville-Marie"
    assert shapely.hausdorff_distance(feature.geometry, SQUARE) < 1e-8


def test_a_feature_may_have_no_shape(tmp_path):
    (tmp_path / "a.geojson").write_text(geojson(SQUARE, None, nom="x"))

    assert [feature.geometry is None for feature in read_features(tmp_path / "a.geojson")] == [False, True]


@pytest.mark.filterwarnings("ignore:'crs' was not provided:UserWarning")
def test_refuses_a_file_that_does_not_name_its_coordinate_system(tmp_path):
    write_in_mtm8(tmp_path / "a.shp", "ESRI Shapefile", crs=None)

    with pytest.raises(UnreadablePlaces, match="coordinate system"):
        read_features(tmp_path / "a.shp")


def test_refuses_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UnreadablePlaces, match="no such file"):
        read_features(tmp_path / "a.geojson")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n", b'{"type": "FeatureCollection", "features": ['])
def test_refuses_what_is_no_file_of_places(tmp_path, content):
    (tmp_path / "a.geojson").write_bytes(content)

    with pytest.raises(UnreadablePlaces) as refusal:
        read_features(tmp_path / "a.geojson")

    assert refusal.value.path == tmp_path / "a.geojson"


def test_reads_the_table_asked_for(tmp_path):
    write_in_mtm8(tmp_path / "a.gpkg", "GPKG")

    with pytest.raises(UnreadablePlaces):
        read_features(tmp_path / "a.gpkg", table="b")

    assert len(read_features(tmp_path / "a.gpkg", table="a")) == 1


def test_a_valid_polygon_stays_as_it_is():
    repaired, reason = repair_polygon(SQUARE)

    assert reason is None
    assert repaired.geom_type == "MultiPolygon"
    assert shapely.equals(repaired, SQUARE)


def test_a_crossing_ring_becomes_what_it_encloses():
    repaired, reason = repair_polygon(BOW_TIE)

    assert reason.startswith("Self-intersection")
    assert shapely.is_valid(repaired)
    assert repaired.area == pytest.approx(2.0)


def test_a_polygon_without_area_becomes_empty():
    repaired, reason = repair_polygon(shapely.Polygon([(0, 0), (1, 1), (0, 0), (0, 0)]))

    assert repaired.is_empty
    assert reason is not None


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (SQUARE, True),
        (shapely.box(-180, -90, 180, 90), True),
        (shapely.box(299_000, 5_040_000, 300_000, 5_041_000), False),
        (shapely.box(45.5, -93.6, 45.6, -93.5), False),
    ],
)
def test_knows_degrees_from_metres(shape, expected):
    assert on_earth(shape) is expected
