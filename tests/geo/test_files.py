"""Files of places: whatever a city keeps them in, they come out in WGS 84, longitude first."""

from __future__ import annotations

import gzip
import json
import zipfile

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from geo.axes import on_earth
from geo.files import CrsUnknown, UnreadablePlaces, list_tables, read_features, repair_polygon

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

    (feature,) = read_features(tmp_path / "a.geojson").features

    assert feature.number == 1
    assert feature.properties == {"nom": "Ville-Marie", "numero": "09", "secteur": 3}
    assert shapely.equals(feature.geometry, SQUARE)


def test_unpacks_gzip(tmp_path):
    (tmp_path / "a.geojson.gz").write_bytes(gzip.compress(geojson(SQUARE, nom="x").encode()))

    (feature,) = read_features(tmp_path / "a.geojson.gz").features

    assert shapely.equals(feature.geometry, SQUARE)


@pytest.mark.parametrize(("name", "driver"), [("a.gpkg", "GPKG"), ("a.shp", "ESRI Shapefile"), ("a.fgb", "FlatGeobuf")])
def test_brings_other_coordinate_systems_to_wgs84(tmp_path, name, driver):
    write_in_mtm8(tmp_path / name, driver)

    (feature,) = read_features(tmp_path / name).features

    assert feature.properties["nom"] == "Ville-Marie"
    assert shapely.hausdorff_distance(feature.geometry, SQUARE) < 1e-8


def test_a_feature_may_have_no_shape(tmp_path):
    (tmp_path / "a.geojson").write_text(geojson(SQUARE, None, nom="x"))

    assert [feature.geometry is None for feature in read_features(tmp_path / "a.geojson").features] == [False, True]


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

    assert len(read_features(tmp_path / "a.gpkg", table="a").features) == 1


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


def write_shapefile(path, name="Orée-des-Bois", *, encoding="UTF-8", crs="EPSG:4326"):
    pyogrio.raw.write(
        path,
        geometry=np.array([shapely.to_wkb(SQUARE)], dtype=object),
        field_data=[np.array([name], dtype=object)],
        fields=["nom"],
        geometry_type="Polygon",
        driver="ESRI Shapefile",
        encoding=encoding,
        crs=crs,
    )


def pack_into(archive, *paths):
    with zipfile.ZipFile(archive, "w") as target:
        for path in paths:
            for part in path.parent.glob(f"{path.stem}.*"):
                target.write(part, f"données/{part.name}")


def test_reads_a_zipped_shapefile_with_its_accents(tmp_path):
    write_shapefile(tmp_path / "a.shp")
    pack_into(tmp_path / "b.zip", tmp_path / "a.shp")

    read = read_features(tmp_path / "b.zip")

    assert read.features[0].properties == {"nom": "Orée-des-Bois"}
    assert read.crs == "EPSG:4326"
    assert (read.columns, read.remarks) == (["nom"], [])


def test_of_several_in_an_archive_one_has_to_be_named(tmp_path):
    write_shapefile(tmp_path / "a.shp", "A")
    write_shapefile(tmp_path / "c.shp", "C")
    pack_into(tmp_path / "b.zip", tmp_path / "a.shp", tmp_path / "c.shp")

    with pytest.raises(UnreadablePlaces, match="which one"):
        read_features(tmp_path / "b.zip")

    assert list_tables(tmp_path / "b.zip") == ["a", "c"]
    assert read_features(tmp_path / "b.zip", table="c").features[0].properties == {"nom": "C"}


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "CP1252", "CP850"])
def test_reads_a_shapefile_in_the_encoding_it_states(tmp_path, encoding):
    write_shapefile(tmp_path / "a.shp", encoding=encoding)

    assert read_features(tmp_path / "a.shp").features[0].properties["nom"] == "Orée-des-Bois"


def test_utf_8_that_passes_for_something_else_is_read_as_it_is_and_it_is_said(tmp_path):
    write_shapefile(tmp_path / "a.shp", encoding="UTF-8")
    (tmp_path / "a.cpg").write_text("ISO-8859-1")

    read = read_features(tmp_path / "a.shp")

    assert read.features[0].properties["nom"] == "Orée-des-Bois"
    assert "UTF-8" in " ".join(read.remarks)


def test_an_encoding_that_is_given_counts(tmp_path):
    write_shapefile(tmp_path / "a.shp", encoding="CP850")
    (tmp_path / "a.cpg").unlink()

    assert read_features(tmp_path / "a.shp", encoding="CP850").features[0].properties["nom"] == "Orée-des-Bois"


def test_reads_kml(tmp_path):
    corners = " ".join(f"{x},{y},0" for x, y in SQUARE.exterior.coords)
    (tmp_path / "a.kml").write_text(
        "<kml xmlns='http://www.opengis.net/kml/2.2'><Document><Placemark><name>Orée</name><Polygon><outerBoundaryIs>"
        f"<LinearRing><coordinates>{corners}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>"
        "</Document></kml>"
    )

    (feature,) = read_features(tmp_path / "a.kml").features

    assert feature.properties["Name"] == "Orée"
    assert shapely.equals(feature.geometry, SQUARE)


@pytest.mark.filterwarnings("ignore:'crs' was not provided:UserWarning")
def test_a_coordinate_system_that_is_given_counts_whatever_the_file_says(tmp_path):
    write_in_mtm8(tmp_path / "a.shp", "ESRI Shapefile", crs=None)
    write_in_mtm8(tmp_path / "b.geojson", "GeoJSON", crs=None)

    for name in ("a.shp", "b.geojson"):
        (feature,) = read_features(tmp_path / name, crs="EPSG:32188").features
        assert shapely.hausdorff_distance(feature.geometry, SQUARE) < 1e-8


@pytest.mark.filterwarnings("ignore:'crs' was not provided:UserWarning")
def test_metres_that_pass_for_degrees_are_refused_not_guessed(tmp_path):
    write_in_mtm8(tmp_path / "a.geojson", "GeoJSON", crs=None)

    with pytest.raises(CrsUnknown, match="cannot be those of EPSG:4326"):
        read_features(tmp_path / "a.geojson")


def test_rings_that_do_not_end_where_they_began_are_closed_and_it_is_said(tmp_path):
    corners = [list(corner) for corner in SQUARE.exterior.coords][:-1]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [corners]}}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))

    read = read_features(tmp_path / "a.geojson")

    assert shapely.equals(read.features[0].geometry, SQUARE)
    assert "closed" in " ".join(read.remarks)


def test_a_hole_that_is_its_outline_once_more_is_dropped():
    repaired, reason = repair_polygon(shapely.Polygon(SQUARE.exterior, [SQUARE.exterior]))

    assert shapely.equals(repaired, SQUARE)
    assert reason is not None
