"""What handlers ask for: the transaction, the caller, the city, the time.

Everything here is asynchronous, since FastAPI runs other dependencies on threads.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from api.auth import Caller, authenticate
from api.cities import CitiesInForce, NamedCity
from api.listener import language_of
from api.models.fields import Code
from api.problems.refusals import RoleNeeded, SignInNeeded, TokenOfAnotherCity
from api.scope import CALLER, CITY
from api.serving import Serving, serving_of
from db.tenancy import enter_city
from issues.actors import AGENTS, STAFF, Role
from issues.city import CityBook


async def _serving(request: Request) -> Serving:
    return serving_of(request)


Served = Annotated[Serving, Depends(_serving)]


async def open_transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """Open the request's transaction, in no city yet."""
    async with serving_of(request).database.transaction() as session:
        yield session


# Commits before the response leaves; FastAPI's default scope would commit after it.
Transaction = Annotated[AsyncSession, Depends(open_transaction, scope="function")]


async def received_at() -> datetime:
    """Tell the time of receipt."""
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(received_at)]


async def identify(request: Request, session: Transaction, now: Now) -> Caller:
    """Find out who is calling, in the request's transaction."""
    caller = await authenticate(session, request, now=now)
    request.scope[CALLER] = caller
    return caller


Anyone = Annotated[Caller, Depends(identify)]


def only(*roles: Role) -> Callable[[Caller], Awaitable[Caller]]:
    """Make a dependency that lets in callers with one of the roles."""

    async def check(caller: Anyone) -> Caller:
        if caller.actor.role in roles:
            return caller
        raise RoleNeeded(roles) if caller.is_known else SignInNeeded

    return check


async def _device(caller: Anyone) -> Caller:
    if caller.device_id is not None:
        return caller
    raise RoleNeeded([Role.RESIDENT]) if caller.is_known else SignInNeeded


DeviceCaller = Annotated[Caller, Depends(_device)]


async def _person(caller: DeviceCaller) -> UUID:
    assert caller.actor.person_id is not None  # noqa: S101 - a device is a person's
    return caller.actor.person_id


PersonId = Annotated[UUID, Depends(_person)]
"""Whose device it is that calls."""
CityStaff = Annotated[Caller, Depends(only(*STAFF))]
CityAgent = Annotated[Caller, Depends(only(*AGENTS))]


JurisdictionId = Annotated[
    Code | None, Query(description="The city; may be left out by its staff, and while one city is loaded.")
]


def city_asked_for(cities: CitiesInForce, caller: Caller, jurisdiction_id: str | None) -> CityBook:
    """Find the city that a request is about. Staff act in their token's city.

    Raises:
        TokenOfAnotherCity: staff name another one.
        JurisdictionNeeded, JurisdictionUnknown: see `CitiesInForce.asked_for`.
    """
    if caller.city_id is None:
        return cities.asked_for(jurisdiction_id)
    city = cities.by_id(caller.city_id)
    if jurisdiction_id not in (None, city.jurisdiction_id):
        raise TokenOfAnotherCity(["jurisdiction_id"])
    return city


def city_looked_at(cities: CitiesInForce, caller: Caller, jurisdiction_id: str | None) -> CityBook:
    """Find the city of which public things are read: staff may look at any other, as everybody may.

    Raises:
        JurisdictionNeeded, JurisdictionUnknown: see `CitiesInForce.asked_for`.
    """
    own = caller.city_id is not None and jurisdiction_id is None
    return city_asked_for(cities, caller, None) if own else cities.asked_for(jurisdiction_id)


async def _enter(request: Request, session: AsyncSession, city: CityBook) -> CityBook:
    request.scope[CITY] = city
    await enter_city(session, city.id)
    return city


async def _city(
    request: Request, caller: Anyone, session: Transaction, jurisdiction_id: JurisdictionId = None
) -> CityBook:
    return await _enter(request, session, city_asked_for(serving_of(request).cities, caller, jurisdiction_id))


async def _public_city(
    request: Request, caller: Anyone, session: Transaction, jurisdiction_id: JurisdictionId = None
) -> CityBook:
    return await _enter(request, session, city_looked_at(serving_of(request).cities, caller, jurisdiction_id))


City = Annotated[CityBook, Depends(_city)]
PublicCity = Annotated[CityBook, Depends(_public_city)]
"""The city of which public things are read; whether the caller is staff of it has to be asked (`is_staff_of`)."""


async def _named_city(request: Request, city: City) -> NamedCity:
    return serving_of(request).cities.named(city, language_of(request, city))


async def _named_public_city(request: Request, city: PublicCity) -> NamedCity:
    return serving_of(request).cities.named(city, language_of(request, city))


CityWords = Annotated[NamedCity, Depends(_named_city)]
PublicCityWords = Annotated[NamedCity, Depends(_named_public_city)]

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=1000)]
