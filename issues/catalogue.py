"""What a city offers and who answers for it: services, departments, crews, routes.

The tables hold what a pack loaded; `Catalogue` is the same in process, frozen, for the questions of every report.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Text, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from geo.cities import City
from issues.deadlines import Deadline, Priority
from issues.match import OTHER, SAME, SIBLING, Joins, MatchPolicy
from issues.questions import Question
from issues.routing import Circumstances, Needs, RouteRule, find_rule
from issues.rule_rows import read_conditions


class ServiceNotOffered(Exception):
    """The city has no such service, or nobody is responsible for it at this place."""

    def __init__(self, service_code: str) -> None:
        super().__init__(service_code)
        self.service_code = service_code


class Service(Base):
    """A kind of problem (Open311 service), with its policy for joining reports and its deadline."""

    __tablename__ = "service"
    __table_args__ = (
        CheckConstraint("joins IN ('automatic', 'ask', 'never')", name="joins"),
        CheckConstraint("kind IN ('point', 'stretch', 'premises', 'any')", name="kind"),
        CheckConstraint("priority IN ('urgent', 'high', 'normal', 'low')", name="priority"),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    names: Mapped[dict[str, Any]]
    group_code: Mapped[str]
    group_names: Mapped[dict[str, Any]]
    keywords: Mapped[list[str]] = mapped_column(ARRAY(Text))
    private: Mapped[bool]
    siblings: Mapped[list[str]] = mapped_column(ARRAY(Text))
    radius_m: Mapped[float]
    window_days: Mapped[int]
    join_threshold: Mapped[float]
    joins: Mapped[str]
    deadline_days: Mapped[int]
    attributes: Mapped[list[Any]] = mapped_column(JSONB)  # the questions that it asks
    offered: Mapped[bool]  # false once a pack no longer lists it; its issues stay
    kind: Mapped[str]
    suggest_radius_m: Mapped[float]
    suggest_window_days: Mapped[int]
    suggest_threshold: Mapped[float]
    deadline_hours: Mapped[float | None]  # instead of days
    deadline_always: Mapped[bool] = mapped_column(server_default="false")  # its clock runs day and night
    priority: Mapped[str] = mapped_column(server_default="normal")
    safety: Mapped[bool] = mapped_column(server_default=text("false"))  # its news may ring in quiet hours


class Department(Base):
    """Who answers for an issue."""

    __tablename__ = "department"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[dict[str, Any]]


class Crew(Base):
    """Who does the work."""

    __tablename__ = "crew"
    __table_args__ = (ForeignKeyConstraint(["city_id", "department_code"], ["department.city_id", "department.code"]),)

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[dict[str, Any]]
    department_code: Mapped[str]


class Route(Base):
    """A rule of who is responsible: the first whose conditions all hold decides; None matches anything."""

    __tablename__ = "route"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "department_code"], ["department.city_id", "department.code"]),
        ForeignKeyConstraint(["city_id", "crew_code"], ["crew.city_id", "crew.code"]),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    service_code: Mapped[str | None]
    group_code: Mapped[str | None]
    layer: Mapped[str | None]
    district_code: Mapped[str | None]
    department_code: Mapped[str]
    crew_code: Mapped[str | None]
    conditions: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")  # see `issues.rule_rows`
    origin: Mapped[str] = mapped_column(server_default="")  # file and line of the pack
    names: Mapped[dict[str, Any]] = mapped_column(server_default="{}")


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A service as the catalogue holds it; see `Service`.

    Attributes:
        neighbours: The codes whose open issues a report of this service may be about: its own, then its siblings
            (whichever of the two names the other); empty for a private service, for its issues never meet.
        closeness: Of every service whose issues people are shown before they report one of this: 1 for itself, 0.5
            for a sibling, 0.2 for another of its group; empty for a private service.
    """

    code: str
    names: Mapping[str, str]
    group_code: str
    group_names: Mapping[str, str]
    keywords: tuple[str, ...]
    private: bool
    siblings: tuple[str, ...]
    policy: MatchPolicy
    deadline: Deadline
    priority: Priority
    questions: tuple[Question, ...]
    offered: bool
    neighbours: tuple[str, ...]
    closeness: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DepartmentEntry:
    """A department's code and its name by language."""

    code: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CrewEntry:
    """A crew's code, its name by language, and the department it works for."""

    code: str
    names: Mapping[str, str]
    department_code: str


class Catalogue:
    """What one city offers and who answers for it, held in process; immutable.

    Attributes:
        services: By code, in the pack's order; also those no longer offered, whose issues stay.
        departments: By code.
        crews: By code.
        routes: The rules of who is responsible, the first that holds decides.
        needs: What any of them looks at.
    """

    def __init__(
        self,
        *,
        services: Iterable[ServiceEntry],
        departments: Iterable[DepartmentEntry],
        crews: Iterable[CrewEntry],
        routes: Iterable[RouteRule],
    ) -> None:
        """Index what a city offers."""
        self.services: Mapping[str, ServiceEntry] = {service.code: service for service in services}
        self.departments: Mapping[str, DepartmentEntry] = {department.code: department for department in departments}
        self.crews: Mapping[str, CrewEntry] = {crew.code: crew for crew in crews}
        self.routes = tuple(routes)
        self._rules_of = {
            code: [rule for rule in self.routes if rule.concerns(code, service.group_code)]
            for code, service in self.services.items()
        }
        self._needs_of = {code: Needs.of(rules) for code, rules in self._rules_of.items()}
        self.needs = Needs.of(self.routes)

    def offered(self, code: str) -> ServiceEntry:
        """Get a service that people may report.

        Raises:
            ServiceNotOffered: there is none of that code, or no longer.
        """
        service = self.services.get(code)
        if service is None or not service.offered:
            raise ServiceNotOffered(code)
        return service

    def needs_of(self, service: ServiceEntry) -> Needs:
        """What the rules about a service look at besides the districts."""
        return self._needs_of[service.code]

    def rule_for(self, service: ServiceEntry, here: Circumstances) -> RouteRule:
        """Find the rule that says who answers for a service at a place and a time.

        Raises:
            ServiceNotOffered: no rule names anybody there.
        """
        found = self.find_rule(service, here)
        if found is None:
            raise ServiceNotOffered(service.code)
        return found

    def find_rule(self, service: ServiceEntry, here: Circumstances) -> RouteRule | None:
        """Find the rule that says who answers for a service at a place and a time; None where nobody does."""
        return find_rule(self._rules_of[service.code], here)

    def services_at(self, here: Circumstances) -> list[ServiceEntry]:
        """List the services offered at a place and a time (see `needs`), in the pack's order."""
        return [
            service
            for service in self.services.values()
            if service.offered and find_rule(self._rules_of[service.code], here) is not None
        ]


async def load_catalogue(session: AsyncSession, city_id: int) -> Catalogue:
    """Read a city's catalogue; needs no city named, for packs are public reference data."""
    services = await session.scalars(
        select(Service).where(Service.city_id == city_id).order_by(Service.position, Service.code)
    )
    departments = await session.scalars(
        select(Department).where(Department.city_id == city_id).order_by(Department.code)
    )
    crews = await session.scalars(select(Crew).where(Crew.city_id == city_id).order_by(Crew.code))
    routes = await session.scalars(select(Route).where(Route.city_id == city_id).order_by(Route.position))
    return Catalogue(
        services=_service_entries(services.all()),
        departments=[DepartmentEntry(row.code, row.names) for row in departments],
        crews=[CrewEntry(row.code, row.names, row.department_code) for row in crews],
        routes=[_rule(row) for row in routes],
    )


class KnownCatalogues:
    """The catalogues of cities as their packs stand, each read anew only once another pack was loaded."""

    def __init__(self) -> None:
        """Know none yet."""
        self._known: dict[int, tuple[int, Catalogue]] = {}

    async def find(self, session: AsyncSession, city_id: int) -> Catalogue:
        """Get a city's catalogue; the city is one that is loaded."""
        # Asked first: a pack that is loaded meanwhile is then read again the next time.
        version = (await session.execute(select(City.version).where(City.id == city_id))).scalar_one()
        known = self._known.get(city_id)
        if known is None or known[0] != version:
            known = self._known[city_id] = version, await load_catalogue(session, city_id)
        return known[1]


def _service_entries(rows: Sequence[Service]) -> list[ServiceEntry]:
    return [
        ServiceEntry(
            code=row.code,
            names=row.names,
            group_code=row.group_code,
            group_names=row.group_names,
            keywords=tuple(row.keywords),
            private=row.private,
            siblings=tuple(row.siblings),
            policy=_policy(row),
            deadline=_deadline(row),
            priority=Priority(row.priority),
            questions=tuple(Question.read(stored) for stored in row.attributes),
            offered=row.offered,
            neighbours=_neighbours(row, rows),
            closeness=_closeness(row, rows),
        )
        for row in rows
    ]


def _deadline(row: Service) -> Deadline:
    if row.deadline_hours is not None:
        return Deadline(row.deadline_hours, in_hours=True, always=row.deadline_always)
    return Deadline(row.deadline_days, always=row.deadline_always)


def _policy(row: Service) -> MatchPolicy:
    return MatchPolicy(
        radius_m=row.radius_m,
        window_days=row.window_days,
        join_threshold=row.join_threshold,
        joins=Joins(row.joins),
        kind=row.kind,
        suggest_threshold=row.suggest_threshold,
        suggest_radius_m=row.suggest_radius_m,
        suggest_window_days=row.suggest_window_days,
    )


def _neighbours(service: Service, rows: Sequence[Service]) -> tuple[str, ...]:
    if service.private:
        return ()
    siblings = (
        row.code
        for row in rows
        if row.code != service.code
        and not row.private
        and (row.code in service.siblings or service.code in row.siblings)
    )
    return (service.code, *siblings)


def _closeness(service: Service, rows: Sequence[Service]) -> Mapping[str, float]:
    if service.private:
        return {}
    own = _neighbours(service, rows)
    group = (row.code for row in rows if row.group_code == service.group_code and not row.private)
    return {**dict.fromkeys(group, OTHER), **dict.fromkeys(own, SIBLING), service.code: SAME}


def _rule(row: Route) -> RouteRule:
    return RouteRule(
        service_code=row.service_code,
        group_code=row.group_code,
        layer=row.layer,
        district_code=row.district_code,
        department_code=row.department_code,
        crew_code=row.crew_code,
        **read_conditions(row.conditions),
        origin=row.origin,
        names=row.names,
    )
