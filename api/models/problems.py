"""How a refusal looks on the wire."""

from pydantic import ConfigDict, Field

from api.models.fields import Outgoing


class ProblemField(Outgoing):
    """A field that is wrong, and why."""

    field: str = Field(examples=["contact.email"])
    detail: str


class ProblemDocument(Outgoing):
    """Why a request was refused (RFC 9457), in the caller's language; some problems carry further members."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = Field(examples=["/problems/invalid-fields"])
    title: str
    status: int
    detail: str
    errors: list[ProblemField] = Field(description="The fields that are wrong; empty where none is.")
    request_id: str = Field(description="For asking the operators about this very answer.")
