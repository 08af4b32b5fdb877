"""What an operator reads where a command cannot go on."""

from collections.abc import Callable
from typing import Any

import psycopg
import pydantic
import sqlalchemy.exc

from api.demo.processes import DemoFailed
from api.demo.story import StoryBroke
from api.service_account import NoServiceAccount
from api.settings import mask_url
from db.dumps import DatabaseNotEmpty, DumpFailed
from db.postgres import ClusterError
from db.sessions import DatabaseUnavailable
from db.tenancy import PrivilegedRole
from issues.labelled import ColumnsMissing
from issues.staff import CrewNotFound, RoleNotForStaff, StaffNotFound
from issues.weights import WeightsUnreadable
from media.objects import StorageUnavailable
from media.store import NotAStore


class CommandRefused(Exception):
    """A command cannot do what was asked; the message says what to do."""


_PRIVILEGES = {
    "superuser": "is a superuser",
    "bypassrls": "may bypass row-level security",
    "owner": "owns the tables",
}


def _explain_statement(error: psycopg.Error | sqlalchemy.exc.ProgrammingError) -> str | None:
    original = error.orig if isinstance(error, sqlalchemy.exc.ProgrammingError) else error
    match original:
        case psycopg.errors.UndefinedTable():
            return "the database lacks tables. Run: jalon db migrate"
        case psycopg.errors.InsufficientPrivilege():
            return f"this login may not do that ({_first_line(original)}). JALON_OWNER_DATABASE_URL names the owner."
    return None


_EXPLANATIONS: dict[type[Exception], Callable[[Any], str | None]] = {
    CommandRefused: str,
    ClusterError: str,
    DumpFailed: str,
    DemoFailed: str,
    StoryBroke: str,
    ColumnsMissing: str,
    WeightsUnreadable: str,
    DatabaseNotEmpty: lambda _: "the database has tables; --force replaces what it holds.",
    DatabaseUnavailable: lambda error: f"the database does not answer ({_first_line(error.__cause__ or error)}).",
    psycopg.OperationalError: lambda error: f"the database does not answer ({_first_line(error)}).",
    sqlalchemy.exc.OperationalError: lambda error: f"the database does not answer ({_first_line(error.orig)}).",
    psycopg.ProgrammingError: _explain_statement,
    sqlalchemy.exc.ProgrammingError: _explain_statement,
    PrivilegedRole: lambda error: (
        f"the role {error.role} {_PRIVILEGES.get(error.why, error.why)}, so it would see the rows of every city. "
        "Give JALON_DATABASE_URL a role that is only a member of jalon_app."
    ),
    NoServiceAccount: str,
    NotAStore: lambda error: f"JALON_STORAGE_URL is {mask_url(str(error))}",
    StorageUnavailable: lambda error: f"the photos' storage does not answer ({_first_line(error.__cause__ or error)}).",
    CrewNotFound: lambda error: f"the city has no crew {error.crew_code}.",
    StaffNotFound: lambda error: f"nobody with the id {error.staff_id} works for this city.",
    RoleNotForStaff: lambda error: (
        "a crew member needs --crew." if error.crew_code is None else f"{error.role} takes no --crew."
    ),
    pydantic.ValidationError: lambda error: "; ".join(
        # Some go by a name of their own, with the prefix.
        f"JALON_{'_'.join(map(str, fault['loc'])).upper().removeprefix('JALON_')}: {fault['msg']}"
        for fault in error.errors()
    ),
}


def explain(error: Exception) -> str | None:
    """Find the words for a situation; None where it is none that an operator can do something about."""
    for kind in type(error).__mro__:
        if kind in _EXPLANATIONS:
            return _EXPLANATIONS[kind](error)
    return None


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
