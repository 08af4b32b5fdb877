"""A device that is used for work, on the wire."""

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from api.models.fields import Incoming, Outgoing
from issues.actors import Role

_EXAMPLE: Final[dict[str, Any]] = {"secret": "the secret that the city gave"}


class WorkIn(Incoming):
    """Who uses the device for work: the secret by which the city knows them."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    secret: Annotated[str, Field(min_length=1, max_length=200, repr=False)]


class WorkOut(Outgoing):
    """Whose work the device's person hears of."""

    jurisdiction_id: str
    role: Role
    crew_code: str | None
