"""Places and what is offered there, on the wire."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from api.cities import NamedCity
from api.geocoding import NamedPlace
from api.language import in_language
from api.models.fields import Outgoing
from api.models.lists import Point
from geo.geocode import FoundAs
from issues.catalogue import ServiceEntry
from issues.deadlines import Priority
from issues.questions import Question, QuestionKind


class CityOut(Outgoing):
    """A city."""

    jurisdiction_id: str
    name: str


class OtherDistrict(Outgoing):
    """A district that a place may lie in as well."""

    code: str
    name: str
    distance_m: float


class DepartmentRef(Outgoing):
    """Who answers for a problem."""

    code: str
    name: str


class CrewRef(Outgoing):
    """Who does the work."""

    code: str
    name: str


class PlacedDistrict(Outgoing):
    """The district of one layer that a position lies in."""

    layer: str
    code: str
    name: str
    responsible: bool = Field(description="Whether this layer decides who answers for the place.")
    near_boundary: bool = Field(
        description="Whether the accuracy reaches another district of the layer, or the place lies in a gap."
    )
    edge_m: float = Field(description="Metres from the place to the district's edge.")
    gap_m: float | None = Field(
        description="Of a place in no district that this is the nearest of, the metres to it; null where it is inside."
    )
    others: list[OtherDistrict] = Field(description="The other districts within the accuracy, the nearest first.")


class RuleOut(Outgoing):
    """The rule that says who is responsible."""

    origin: str = Field(description="Where the city's pack says it: file and line, or number.")
    name: str | None = Field(description="What the city calls it.")


class NearThing(Outgoing):
    """A road or an asset that the rules looked at."""

    kind: str = Field(description="`road`, or the kind of asset.")
    owner: str
    name: str | None
    distance_m: float


class OtherResponsible(Outgoing):
    """Who else may be responsible, since the position is only known so well."""

    department: DepartmentRef
    crew: CrewRef | None
    rule: RuleOut
    distance_m: float = Field(description="Metres from the place to where that would be so.")
    reason: str


class ResponsibleOut(Outgoing):
    """Who answers for a service at a place and a time, and why."""

    service_code: str
    department: DepartmentRef
    crew: CrewRef | None
    rule: RuleOut
    reasons: list[str] = Field(description="What the rule looked at, in words.")
    things: list[NearThing]
    near_boundary: bool = Field(description="As a report here would have it: somebody else may be responsible.")
    others: list[OtherResponsible]


class WhereOut(Outgoing):
    """Where a position is."""

    jurisdiction_id: str
    city: CityOut
    districts: list[PlacedDistrict]
    near_boundary: bool = Field(description="Whether the accuracy reaches another district of the responsible layer.")
    responsible: ResponsibleOut | None = Field(description="Where a `service_code` was given: whose work that is here.")
    address: str = Field(
        description="The nearest address, else the nearest street with its crossing or block; far from both, the"
        " nearest street within 500 m and how far it is, else the district and the city."
    )


class PlaceProperties(Outgoing):
    """A place that an address may mean."""

    jurisdiction_id: str
    address: str = Field(description="As written on a letter; of a crossing, both streets.")
    accuracy_m: float = Field(description="How far the place may be from here, in metres.")
    score: float = Field(description="From 0 to 1: how sure it is that this was asked for.")
    found_as: FoundAs = Field(
        description="`address`: the number is known; `interpolated`: its neighbours are; `crossing`; `place`: a park, a"
        " public building or a district, by its name; `street`: the street is known, the place on it is not;"
        " `elsewhere`: another geocoder knows it."
    )

    @classmethod
    def of(cls, named: NamedPlace) -> "PlaceProperties":
        """Describe a place that was found."""
        place = named.place
        return cls(
            jurisdiction_id=named.jurisdiction_id,
            address=place.address,
            accuracy_m=round(place.accuracy_m, 1),
            score=round(place.score, 3),
            found_as=place.found_as,
        )


class PlaceFeature(Outgoing):
    """A place that an address may mean (GeoJSON, RFC 7946); it has no id, since it is kept nowhere."""

    type: Literal["Feature"] = "Feature"
    geometry: Point
    properties: PlaceProperties


class PlaceCollection(Outgoing):
    """The places that an address may mean, best first."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[PlaceFeature]
    number_returned: int = Field(serialization_alias="numberReturned")

    @classmethod
    def of(cls, found: Sequence[NamedPlace]) -> "PlaceCollection":
        """Put places that were found on the wire."""
        features = [
            PlaceFeature(geometry=Point.of(named.place.at), properties=PlaceProperties.of(named)) for named in found
        ]
        return cls(features=features, number_returned=len(features))


class GroupOut(Outgoing):
    """A group of services."""

    code: str
    name: str


class ChoiceOut(Outgoing):
    """One of the answers to choose from."""

    code: str
    name: str


class QuestionOut(Outgoing):
    """A question that a service asks."""

    code: str
    name: str = Field(description="The question, in the language of the answer.")
    kind: QuestionKind
    required: bool
    values: list[ChoiceOut] = Field(description="The answers to choose from, by their codes; for `single`, `multiple`.")

    @classmethod
    def of(cls, question: Question, city: NamedCity) -> "QuestionOut":
        """Ask a question in the language of the answer."""
        return cls(
            code=question.code,
            name=in_language(question.names, city.language),
            kind=question.kind,
            required=question.required,
            values=[
                ChoiceOut(code=choice.code, name=in_language(choice.names, city.language))
                for choice in question.choices
            ],
        )


class ServiceOut(Outgoing):
    """A kind of problem that may be reported."""

    service_code: str
    service_name: str
    jurisdiction_id: str
    group: GroupOut
    keywords: list[str]
    priority: Priority = Field(description="How soon it should be seen to.")
    private: bool = Field(description="Whether its issues are shown to nobody but their senders and the city's staff.")
    attributes: list[QuestionOut] = Field(description="The questions that it asks.")

    @classmethod
    def of(cls, service: ServiceEntry, city: NamedCity) -> "ServiceOut":
        """Describe a service in the language of the answer."""
        return cls(
            service_code=service.code,
            service_name=in_language(service.names, city.language),
            jurisdiction_id=city.jurisdiction_id,
            group=GroupOut(code=service.group_code, name=in_language(service.group_names, city.language)),
            keywords=list(service.keywords),
            priority=service.priority,
            private=service.private,
            attributes=[QuestionOut.of(question, city) for question in service.questions],
        )
