"""Commands that may be sent twice: each is carried out once, and a repeat is answered with what came of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import LargeBinary, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from issues.actors import Actor


class Command(Base):
    """A command that was carried out under an id its sender made; also one that found nothing to change.

    What it brought about stands in the rows it wrote: its event has the command's id.
    """

    __tablename__ = "command"

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    actor: Mapped[str]
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


@dataclass(eq=False)
class CommandIdUsed(Exception):
    """The id of a command belongs to something else that was done, or to somebody else."""

    command_id: UUID


async def claim_command(
    session: AsyncSession,
    city_id: int,
    command_id: UUID | None,
    content: Sequence[object],
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """Claim the id of a command, before any lock is taken for it; tells whether it is to be carried out.

    Simultaneous copies wait here for each other. A command that is refused rolls its claim back with it, so that the
    same one may succeed later.

    Args:
        session: Open transaction of the city.
        city_id: The city.
        command_id: Made by the sender; None for a command that is never repeated.
        content: All that tells the command from others, first its kind; what JSON does not know counts as its text.
        actor: Who sends it.
        now: Time of receipt.

    Returns:
        False where this actor sent the same before.

    Raises:
        CommandIdUsed: another command has the id, or somebody else's.
    """
    if command_id is None:
        return True
    row = {"actor": actor.sender, "fingerprint": sha256(json.dumps(content, default=str).encode()).digest()}
    claim = insert(Command).values(city_id=city_id, id=command_id, at=now, **row).on_conflict_do_nothing()
    if await session.scalar(claim.returning(Command.id)) is not None:
        return True
    # A statement of its own: it sees what the insert has waited for.
    query = select(Command.actor, Command.fingerprint).where(Command.city_id == city_id, Command.id == command_id)
    earlier = (await session.execute(query)).one()
    if (earlier.actor, earlier.fingerprint) != (row["actor"], row["fingerprint"]):
        raise CommandIdUsed(command_id)
    return False
