"""Places and what is offered there, on the wire."""

from pydantic import Field

from api.cities import NamedCity
from api.language import in_language
from api.models.fields import Outgoing
from issues.catalogue import ServiceEntry
from issues.questions import Question, QuestionKind


class CityOut(Outgoing):
    """A city."""

    jurisdiction_id: str
    name: str


class PlacedDistrict(Outgoing):
    """The district of one layer that a position lies in."""

    layer: str
    code: str
    name: str
    responsible: bool = Field(description="Whether this layer decides who answers for the place.")
    near_boundary: bool = Field(description="Whether the accuracy reaches another district of the layer.")


class WhereOut(Outgoing):
    """Where a position is."""

    jurisdiction_id: str
    city: CityOut
    districts: list[PlacedDistrict]
    near_boundary: bool = Field(description="Whether the accuracy reaches another district of the responsible layer.")
    address: str | None = Field(description="The nearest address, or street.")


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
            private=service.private,
            attributes=[QuestionOut.of(question, city) for question in service.questions],
        )
