"""The text of a small, spotless pack."""

from __future__ import annotations

import json
from pathlib import Path

import shapely

from issues.packs.check import PackReport, check_pack
from issues.packs.pack import Pack
from issues.packs.problems import Severity

CITY = """\
jurisdiction_id: ville.example
names: {fr: Ville, en: City}
timezone: America/Toronto
responsible_layer: secteurs
layers:
  - code: secteurs
    names: {fr: Secteurs, en: Sectors}
    file: secteurs.geojson
    columns: {code: code, names: nom}
    source: Ville
    licence: CC BY 4.0
neighbours: {file: voisines.geojson, columns: {code: code, names: nom}, source: Ville, licence: CC BY 4.0}
streets: {file: rues.geojson, columns: {name: nom, kind: genre}, source: Ville, licence: CC BY 4.0}
addresses:
  file: adresses.csv
  columns: {number: numero, street: rue, lon: lon, lat: lat}
  source: Ville
  licence: CC BY 4.0
"""
SERVICES = """\
defaults:
  match: {radius_m: 30, join: 0.7}
  deadline_days: 7
groups:
  - code: voirie
    names: {fr: Voirie, en: Roads}
    services:
      - code: nid-de-poule
        names: {fr: Nid-de-poule, en: Pothole}
        keywords: [trou, hole]
        siblings: [chaussee]
        match: {kind: stretch, window_days: 60}
        attributes:
          - {code: note, names: {fr: Note, en: Note}, kind: text}
      - code: chaussee
        names: {fr: Chaussée, en: Roadway}
        siblings: [nid-de-poule]
        deadline_days: 0
  - code: proprete
    names: {fr: Propreté, en: Cleanliness}
    services:
      - code: graffiti
        names: {fr: Graffiti, en: Graffiti}
        match: {joins: never}
        private: true
"""
DEPARTMENTS = """\
departments:
  - code: travaux-publics
    names: {fr: Travaux publics, en: Public works}
    crews:
      - {code: voirie-1, names: {fr: Voirie Ouest, en: Roads West}}
      - {code: voirie-2, names: {fr: Voirie Est, en: Roads East}}
  - code: centre-311
    names: {fr: Centre 311, en: 311 centre}
"""
ROUTES = """\
services,districts,department,crew
group:voirie,ouest,travaux-publics,voirie-1
group:voirie,secteurs:est,travaux-publics,voirie-2
*,*,centre-311,
"""
NAMED_PLACES = "{file: parcs.geojson, columns: {name: nom}, source: Ville, licence: CC BY 4.0}"
ADDRESSES = "numero,rue,lat,lon\n1,Rue A,45.51,-73.66\n2A,Rue A,45.512,-73.66\n"


def geojson(*features):
    """A FeatureCollection of (shape, properties)."""
    return json.dumps(
        {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "properties": properties, "geometry": json.loads(shapely.to_geojson(shape))}
                for shape, properties in features
            ],
        }
    )


def district(code, west, east, **properties):
    """A feature of the sectors' file: a box of one height."""
    return shapely.box(west, 45.50, east, 45.55), {"code": code, "nom": code.capitalize(), **properties}


WEST_SIDE, EAST_SIDE = district("ouest", -73.70, -73.65), district("est", -73.65, -73.60)


def sound(folder: Path) -> Pack:
    """The pack in a folder, which has no errors."""
    pack = check_pack(folder).pack
    assert pack is not None
    return pack


def said(report: PackReport) -> list[tuple[Severity, str, str, str]]:
    """What was found in a pack, as tests tell it apart."""
    return [(problem.severity, problem.file, problem.where, problem.what) for problem in report.problems]
