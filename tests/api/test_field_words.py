"""What is wrong with a field, in words that say what to send instead."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from api.problems.validation import field_errors
from api.queries import Districts


class Fields(BaseModel):
    withdrawn: Literal[True] = True
    channel: Literal["app", "web"] = "app"
    code: Annotated[str, Field(min_length=1)] = "a"
    number: Annotated[str, Field(min_length=4)] = "2026"
    district: Districts = []


@pytest.mark.parametrize(
    ("sent", "field", "words"),
    [
        ({"withdrawn": False}, "withdrawn", "This has to be one of: true."),
        ({"channel": "fax"}, "channel", "This has to be one of: app, web."),
        ({"code": ""}, "code", "This may not be empty."),
        ({"number": "1"}, "number", "This has to have at least 4 characters."),
        ({"district": ["arrondissements"]}, "district[0]", "A district is written layer:code"),
        ({"district": ["a:1,:2"]}, "district[1]", "A district is written layer:code"),
        ({"district": ["a:"]}, "district[0]", "A district is written layer:code"),
    ],
)
def test_a_wrong_field_is_told_what_it_takes(sent, field, words):
    with pytest.raises(ValidationError) as refused:
        Fields(**sent)

    [error] = field_errors(refused.value.errors())
    assert error.field == field
    assert error.text.format_map(error.params).startswith(words)
