"""Reading what is there after the intake drill: the rows as their owner sees them, and the files themselves."""

from collections import defaultdict
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bench.intake_check import Kept, KeptIssue, KeptPhoto, KeptReport
from media.store import original_key

# What a sender wrote, under the names that it has on the wire.
_REPORTS = """
SELECT report.id, number, sender, issue_id, withdrawn_at IS NOT NULL AS is_withdrawn,
       service_code, channel, location_source, accuracy_m, captured_at, description, attributes,
       round(ST_X(place::geometry)::numeric, 6)::float8 AS long,
       round(ST_Y(place::geometry)::numeric, 6)::float8 AS lat,
       ARRAY(SELECT photo_id::text FROM report_photo WHERE report_id = report.id ORDER BY position) AS photo_ids
FROM report JOIN report_home ON report_home.id = report.id JOIN report_personal ON report_id = report.id
"""
_EVENTS = """
SELECT event.id, issue_id, kind, cause, (data ->> 'report_id')::uuid AS report_id, words, place IS NOT NULL AS moved
FROM event LEFT JOIN report_correction ON event_id = event.id
WHERE kind IN ('report.opened', 'report.joined', 'report.corrected', 'report.withdrawn')
ORDER BY seq
"""
# A photo is shown with the report that claimed it, where that is its uploader's, and names it.
_PHOTOS = """
SELECT photo.id, uploader, state, sha256, upload_id, large_key, small_key,
       (SELECT target_id FROM photo_claim JOIN report_photo ON report_id = target_id
        WHERE photo_claim.photo_id = photo.id AND sender = uploader AND report_photo.photo_id = photo.id) AS attached_to
FROM photo
"""
_PARTS = "SELECT part ->> 'key' FROM upload, jsonb_array_elements(parts) AS part"
_ISSUES = (
    "SELECT id, report_count, status IN ('received', 'acknowledged', 'scheduled', 'in_progress') AS is_open FROM issue"
)
_FOLLOWS = "SELECT device.id, issue_id, following FROM follow JOIN device USING (person_id)"
_HISTORY_ONLY = frozenset({"id", "number", "sender", "issue_id", "is_withdrawn"})


async def read_kept(session: AsyncSession, photos: Path) -> Kept:
    """Read all that is there, in the caller's transaction.

    Args:
        session: A transaction of the owner of the tables, who sees all cities.
        photos: The folder that photos are stored in.
    """
    stored = _files_below(photos)
    rows = (await session.execute(text(_PHOTOS))).mappings().all()
    named = {key for row in rows for key in (_original_key(row), row["large_key"], row["small_key"])}
    named |= set((await session.scalars(text(_PARTS))).all())
    dead = await session.scalars(text("SELECT entrypoint FROM pgqueuer WHERE status = 'failed' ORDER BY id"))
    follows = await session.execute(text(_FOLLOWS))
    issues = await session.execute(text(_ISSUES))
    return Kept(
        reports=await _read_reports(session),
        photos={row["id"]: _photo(row, stored) for row in rows},
        issues={issue_id: KeptIssue(report_count, is_open) for issue_id, report_count, is_open in issues},
        follows={(device_id, issue_id): following for device_id, issue_id, following in follows},
        orphans=stored.keys() - named,
        dead_jobs=dead.all(),
    )


def _files_below(folder: Path) -> Mapping[str, Path]:
    return {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}


async def _read_reports(session: AsyncSession) -> Mapping[UUID, KeptReport]:
    events: dict[UUID, list[Mapping[Any, Any]]] = defaultdict(list)
    for event in (await session.execute(text(_EVENTS))).mappings():
        events[event["report_id"]].append(event)
    return {row["id"]: _report(row, events[row["id"]]) for row in (await session.execute(text(_REPORTS))).mappings()}


def _report(row: Mapping[Any, Any], events: list[Mapping[Any, Any]]) -> KeptReport:
    arrivals = [event for event in events if event["kind"] in {"report.opened", "report.joined"}]
    corrections = [event for event in events if event["kind"] == "report.corrected"]
    return KeptReport(
        number=row["number"],
        sender=row["sender"],
        issue_id=row["issue_id"],
        fields={name: value for name, value in row.items() if name not in _HISTORY_ONLY},
        is_withdrawn=row["is_withdrawn"],
        arrivals=sum(event["cause"] is None for event in arrivals),
        last_issue_id=arrivals[-1]["issue_id"] if arrivals else None,
        words={event["id"]: event["words"] for event in corrections if event["words"] is not None},
        moves=[event["id"] for event in corrections if event["moved"]],
        withdrawals=[event["id"] for event in events if event["kind"] == "report.withdrawn"],
    )


def _photo(row: Mapping[Any, Any], stored: Mapping[str, Path]) -> KeptPhoto:
    original = stored.get(_original_key(row))
    digest = None if original is None else sha256(original.read_bytes()).hexdigest()
    return KeptPhoto(row["uploader"], row["state"], digest, row["attached_to"])


def _original_key(row: Mapping[Any, Any]) -> str:
    return original_key(row["sha256"], row["upload_id"])
