"""The form of a city pack's smaller sheets, and what all of them share, as the person who fills them in sees it.

A pack is a folder: `city.yml`, `services.yml`, `departments.yml`, `routes.csv`, and the files of places that
`city.yml` names. `cities/README.md` explains it with examples.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

# Raised when the meaning of a pack's files changes, so that packs loaded before are read again.
FORMAT_VERSION = 8

CITY, SERVICES, DEPARTMENTS, ROUTES = "city.yml", "services.yml", "departments.yml", "routes.csv"
POINTS = "points.csv"

LANGUAGES = ("fr", "en")


def _translated(names: dict[str, str]) -> dict[str, str]:
    missing = [language for language in LANGUAGES if language not in names]
    if missing:
        raise ValueError(f"the translation is missing: {', '.join(missing)}")
    return names


Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
CODE_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Code = Annotated[str, StringConstraints(pattern=CODE_PATTERN)]
Names = Annotated[dict[str, Word], AfterValidator(_translated)]


class Sheet(BaseModel):
    """What all sheets share: an unknown key is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CrewSheet(Sheet):
    """Who does the work."""

    code: Code
    names: Names


class DepartmentSheet(Sheet):
    """Who answers for a problem."""

    code: Code
    names: Names
    crews: list[CrewSheet] = Field(default_factory=list)


class DepartmentsSheet(Sheet):
    """`departments.yml`."""

    departments: list[DepartmentSheet] = Field(min_length=1)


class RouteSheet(Sheet):
    """A line of `routes.csv`: whose work these services are, in these districts.

    `services` and `districts` are lists separated by spaces; `*` is all of them, `group:x` the services of a
    group, and a district is one of the responsible layer unless written `layer:code`.
    """

    services: Annotated[str, StringConstraints(min_length=1)]
    districts: Annotated[str, StringConstraints(min_length=1)]
    department: Code
    crew: Code | None = None


def _of_a_layer(district: str) -> str:
    layer, _, code = district.partition(":")
    if not layer or not code:
        raise ValueError("a district is written with its layer, as in arrondissements:verdun")
    return district


class PointSheet(Sheet):
    """A line of `points.csv`: a place, and who has to answer there; nothing expected means outside the city.

    A district is written `layer:code`.
    """

    lat: Annotated[float, Field(ge=-90, le=90)]
    long: Annotated[float, Field(ge=-180, le=180)]
    service: Code
    district: Annotated[str, AfterValidator(_of_a_layer)] | None = None
    department: Code | None = None
    crew: Code | None = None
