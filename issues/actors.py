"""Who acts: residents, crews, the city's staff, and the house itself."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID


class Role(StrEnum):
    """What somebody may do; agent < manager < admin, crew stands beside them."""

    RESIDENT = "resident"
    CREW = "crew"
    AGENT = "agent"
    MANAGER = "manager"
    ADMIN = "admin"


AGENTS: Final = (Role.AGENT, Role.MANAGER, Role.ADMIN)
"""Those who may do what an agent may."""
STAFF: Final = (Role.CREW, *AGENTS)

_RANKS = {Role.RESIDENT: 0, Role.CREW: 1, Role.AGENT: 2, Role.MANAGER: 3, Role.ADMIN: 4}


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks for something to be done.

    Attributes:
        sender: What events and claims record: 'device:<id>', 'staff:<id>', 'key:<id>', 'anonymous' or 'system'.
        crew_code: The crew whose work a crew member does; None for everybody else.
        person_id: Whom a device belongs to; None for everybody else.
    """

    sender: str
    role: Role
    crew_code: str | None = None
    person_id: UUID | None = None

    @property
    def is_staff(self) -> bool:
        """Whether it works for the city, and so sees what is internal."""
        return self.role is not Role.RESIDENT

    def at_least(self, role: Role) -> bool:
        """Tell whether it may do what `role` may; a crew is below an agent."""
        return _RANKS[self.role] >= _RANKS[role]


ANONYMOUS = Actor("anonymous", Role.RESIDENT)
SYSTEM = Actor("system", Role.ADMIN)
