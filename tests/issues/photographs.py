"""Photos that reports came with, as if they had been received, claimed and made safe."""

from db.base import new_id
from db.connections import driver_connection
from tests.issues.towns import NOON

# Difference hashes: two that differ in three bits, one that has nothing in common with them, and one of a dark picture.
HOLE = 0x0F0F_33CC_55AA_9966
SAME_HOLE = HOLE ^ 0b111
LAMP = HOLE ^ ((1 << 64) - 1)
DARK = 0b1000

_NAME = "INSERT INTO report_photo SELECT %s, %s, 1 + count(*), %s FROM report_photo WHERE report_id = %s"
_CLAIM = "INSERT INTO photo_claim VALUES (%s, %s, %s, %s)"
_PHOTO = """
INSERT INTO photo (id, uploader, sha256, byte_size, content_type, width, height, state, received_at, dhash)
VALUES (%s, %s, '', 1, 'image/jpeg', 1, 1, %s, %s, %s)
"""


def _signed(dhash):
    return None if dhash is None else dhash - (1 << 64) if dhash >> 63 else dhash


async def upload(owner, *, uploader, state="ready", dhash=None):
    """Have a photo that no report has named yet; answers with its id."""
    photo_id = new_id()
    async with owner.transaction() as session:
        connection = await driver_connection(session)
        await connection.execute(_PHOTO, (photo_id, uploader, state, NOON, _signed(dhash)))
    return photo_id


async def photograph(owner, report, *, state="ready", uploader=None, dhash=None):
    """Give a report a photo, of its own sender if no other is named; answers with its id."""
    sender = f"device:{report.person_id}"
    photo_id = await upload(owner, uploader=uploader or sender, state=state, dhash=dhash)
    async with owner.transaction() as session:
        connection = await driver_connection(session)
        await connection.execute(_NAME, (report.city_id, report.id, photo_id, report.id))
        await connection.execute(_CLAIM, (photo_id, sender, report.city_id, report.id))
    return photo_id
