"""Reading on in a sheet with mistakes, so that whoever mends it is told of all of them, and not of one at a time."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

FormT = TypeVar("FormT", bound=BaseModel)


def salvage(form: type[FormT], content: dict[str, Any]) -> FormT:
    """Read a sheet as far as it can be read, without a word about what is wrong with it.

    Good for looking up what other sheets name, never for loading.

    Args:
        form: The sheet's form.
        content: What is in it.

    Returns:
        The form, filled in: texts as they are, also where they are not accepted (what is called by a wrong code is
        still there); everything else that cannot be used has its default, or is empty.
    """
    return form.model_construct(**{name: _value(field, content.get(name)) for name, field in form.model_fields.items()})


def _value(field: FieldInfo, content: Any) -> Any:
    try:
        # The last None is metadata that says nothing: `Annotated` has to have some.
        kind: Any = Annotated[(field.annotation, *field.metadata, None)]
        return TypeAdapter(kind).validate_python(content)
    except ValidationError:
        form = _form_within(field.annotation)
    if form is not None and isinstance(content, dict):
        return salvage(form, content)
    if isinstance(content, list):
        return [_entry(form, entry) for entry in content if isinstance(entry, dict if form else str)]
    if form is None and isinstance(content, str | int):
        return str(content)
    if not field.is_required():
        return field.get_default(call_default_factory=True)
    return [] if get_origin(field.annotation) is list else ""


def _entry(form: type[BaseModel] | None, entry: Any) -> Any:
    return entry if form is None else salvage(form, entry)


def _form_within(annotation: Any) -> type[BaseModel] | None:
    """Find the form of what a field holds: of one, of each in a list, or of one that may be left out."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((form for part in get_args(annotation) if (form := _form_within(part)) is not None), None)
