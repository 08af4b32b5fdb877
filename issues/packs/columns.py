"""Guessing which column of a city's file holds what, from how cities call them and from what stands there.

Pure. A guess is shown to whoever makes the pack and written into `city.yml`, where it can be changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from issues.packs.sources import code_of

# What a column is called, the surest first; compared without case, accents and what stands between words.
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "name": (
        "nom", "name", "nomarr", "nomarrondissement", "nomdistrict", "nomquartier", "nomqr", "nomsecteur", "nomparc",
        "libelle", "label", "toponyme", "nomoff", "nomofficiel", "title", "titre", "designation", "description",
    ),
    "name_fr": ("nomfr", "namefr", "nomfrancais", "libellefr"),
    "name_en": ("nomen", "nameen", "nomanglais", "libelleen"),
    "code": (
        "code", "codeid", "abrev", "abbrev", "no", "num", "number", "numero", "nodist", "nodistrict", "noarr", "noqr",
        "noarrondissement", "noquartier", "id", "ident", "identifiant", "fid", "objectid",
    ),
    "street_name": (
        "nomvoie", "nomrue", "nomcomplet", "odonyme", "rue", "street", "streetname", "addrstreet", "fullname", "voie",
        "nom", "name", "toponyme", "libelle",
    ),
    "kind": ("highway", "type", "typevoie", "classe", "class", "classification", "categorie", "category"),
    "number": (
        "numero", "number", "nocivique", "civique", "numerocivique", "numciv", "nociv", "housenumber",
        "addrhousenumber", "streetnumber", "adresse1", "addrnum", "no", "num", "numrue",
    ),
    "street": (
        "rue", "street", "nomrue", "nomvoie", "voie", "addrstreet", "odonyme", "streetname", "nomcomplet", "nom",
        "name", "toponyme",
    ),
    "owner": (
        "owner", "proprietaire", "proprio", "proprietai", "gestionnaire", "gestionnai", "ownedby", "maintainedby",
        "operator", "exploitant", "entite",
    ),
    "lon": ("lon", "long", "longitude", "lng", "x", "coordx", "xcoord", "locx", "pointx", "est", "easting"),
    "lat": ("lat", "latitude", "y", "coordy", "ycoord", "locy", "pointy", "nord", "northing"),
    "left_from": ("leftfrom", "debgch", "gauchede", "lfadd", "fromleft", "degauche", "nodebgauche", "lfromadd"),
    "left_to": ("leftto", "fingch", "gauchea", "ltadd", "toleft", "agauche", "nofingauche", "ltoadd"),
    "right_from": ("rightfrom", "debdrt", "droitede", "rfadd", "fromright", "dedroite", "nodebdroite", "rfromadd"),
    "right_to": ("rightto", "findrt", "droitea", "rtadd", "toright", "adroite", "nofindroite", "rtoadd"),
}  # fmt: skip

_BEGINNINGS: Final = {"name": ("nom", "name", "nm"), "code": ("code",)}

_CODE: Final = re.compile(r"[^\s,;:/]{1,100}")

# What stands in each column, as text; only a good number of rows of a large file.
Cells = Mapping[str, Sequence[str]]


def column_called(what: str, cells: Cells) -> str | None:
    """The column whose name says that it holds something (`number`, `street`, `lon`, ...); None without any."""
    by_key = {code_of(column).replace("-", ""): column for column in reversed(list(cells))}
    return next((by_key[name] for name in _NAMES[what] if name in by_key), None)


def district_columns(cells: Cells) -> dict[str, str | dict[str, str]] | None:
    """Guess the columns of districts: `names`, and `code` where one tells them apart; None where nothing names them."""
    french, english = column_called("name_fr", cells), column_called("name_en", cells)
    code = next((column for column in _likely("code", cells) if _tells_apart(cells[column])), None)
    if french and english:
        return {"names": {"fr": french, "en": english}} | ({"code": code} if code else {})
    likely = _likely("name", cells)
    candidates = [
        *(column for column in likely if _is_worded(cells[column])),
        *(column for column in likely if any(cells[column])),  # wards are called by their numbers
        *(column for column in cells if _is_worded(cells[column]) and len(set(cells[column])) == len(cells[column])),
    ]
    name = next(iter(candidates), code)
    if name is None:
        return None
    return {"code": code, "names": name} if code else {"names": name}


def street_columns(cells: Cells) -> dict[str, str] | None:
    """Guess the columns of streets: `name`, and `kind` and civic ranges where there are any; None without names."""
    name = column_called("street_name", cells)
    if name is None:
        return None
    sides = {side: column_called(side, cells) for side in ("left_from", "left_to", "right_from", "right_to")}
    guessed = {"name": name, "kind": column_called("kind", cells)} | (sides if all(sides.values()) else {})
    return {key: column for key, column in guessed.items() if column is not None}


def address_columns(cells: Cells, *, positions: bool) -> dict[str, str] | None:
    """Guess the columns of addresses; None where they are none.

    Args:
        cells: What stands in the columns.
        positions: Whether columns have to hold them, as in a CSV file.
    """
    return _told(cells, needed=("number", "street"), positions=positions)


def asset_columns(cells: Cells, *, positions: bool) -> dict[str, str] | None:
    """Guess the columns of things that somebody owns; None where nothing says who, or a table has no positions."""
    return _told(cells, needed=("owner",), perhaps=("name",), positions=positions)


def place_columns(cells: Cells, *, positions: bool) -> dict[str, str] | None:
    """Guess the column of places' names; None where there is none, or a table has no positions."""
    return _told(cells, needed=("name",), positions=positions)


def _told(
    cells: Cells, *, needed: Sequence[str], perhaps: Sequence[str] = (), positions: bool
) -> dict[str, str] | None:
    wanted = [*needed, *(("lon", "lat") if positions else ())]
    found = {key: column for key in [*wanted, *perhaps] if (column := column_called(key, cells)) is not None}
    return found if found.keys() >= set(wanted) else None


def _likely(what: str, cells: Cells) -> list[str]:
    """The columns that a name of a list fits, the surest first, then those that begin as such names do."""
    by_key = {code_of(column).replace("-", ""): column for column in reversed(list(cells))}
    exact = [by_key[name] for name in _NAMES[what] if name in by_key]
    begin = [column for key, column in by_key.items() if key.startswith(_BEGINNINGS[what]) and column not in exact]
    return exact + begin


def _tells_apart(cells: Sequence[str]) -> bool:
    return len(set(cells)) == len(cells) > 0 and all(map(_CODE.fullmatch, cells))


def _is_worded(cells: Sequence[str]) -> bool:
    """Whether most cells hold words; the few that are empty are said by `check`, one by one."""
    return 2 * sum(any(c.isalpha() for c in cell) for cell in cells) > len(cells)
