"""Damaged photos through the real endpoints, to a server and a worker: `make fuzz-photos`.

The shipped photos, and those with something hidden in each place where that can be, are sent as they are and then
damaged in thousands of ways (`bench.mutations`, the same for the same seed): most by PUT, some in pieces by tus, some
in the form of a report. Whatever is answered, each photo that was taken must become ready or be rejected, nothing may
be answered with an error of the server's, both processes go on, the server does not grow, and no picture tells more
than its pixels.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID

from sqlalchemy import text

from api.settings import default_data_dir
from bench.bad_line import Answer, NoAnswer, call, write_request
from bench.exiftool import beyond_pixels, running_exiftool
from bench.mutations import mutate
from bench.phones import Phone
from bench.processes import pss_mb, tree
from bench.servers import Child, Server, jalon_environment, leave_on_sigterm, running
from bench.settling import StillWaiting, settle
from bench.stage import SEED, empty_stage
from db.base import new_id
from db.sessions import Database
from tests.media.hidden import PLACES, PROFILED

COUNT = 20_000
_AT_ONCE = 8
_BATCH = 500
_TIMEOUT_S = 120.0
_CATCH_UP_S = 180.0
_MOST_GROWTH_MB = 50
_HEAVY_BYTES = 100_000
_TUS_SHARE, _FORM_SHARE = 0.08, 0.07
_ROOT = Path(__file__).parent.parent
_SHIPPED = (_ROOT / "tests" / "data" / "photos", _ROOT / "cities" / "montreal" / "samples" / "photos")
_BOUNDARY = "jalon-fuzz-4c1f"
_FIELDS = {
    "service_code": "nid-de-poule",
    "lat": "45.5231",
    "long": "-73.5817",
    "accuracy_m": "8",
    "location_source": "gps",
    "channel": "web",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent.

    Attributes:
        photos: By name; each is sent as it is, once.
        damaged: How many damaged ones are sent after them.
        seed: Decides how they are damaged, and how sent.
    """

    photos: Mapping[str, bytes]
    damaged: int
    seed: int = SEED


@dataclass(slots=True)
class Outcome:
    """What came of it; nothing is wrong where there are no faults.

    Attributes:
        statuses: How many answers had which status.
        verdicts: How many photos became ready, or were rejected for which reason.
        told: What each undamaged photo came to, by name.
        pictures: How many were looked at by ExifTool.
        grew_mb: By how much the server's memory grew since it had taken no photo yet.
        faults: All that is wrong.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)
    pictures: int = 0
    grew_mb: float = 0.0
    faults: list[str] = field(default_factory=list)


def shipped_photos(more: Path | None = None) -> dict[str, bytes]:
    """The photos to send: those shipped and those made up, and the images of a folder."""
    photos = {
        name: hide(6) for name, hide in {**PLACES, **{f"{kind} P3": hide for kind, hide in PROFILED.items()}}.items()
    }
    folders = [*_SHIPPED, *(folder for folder in (more and more / "photos", more and more / "photos-bad") if folder)]
    for folder in folders:
        paths = (path for path in sorted(folder.rglob("*.*")) if path.suffix not in {".md", ".csv", ".hevc", ".hvcC"})
        photos |= {str(path.relative_to(folder.parent)): path.read_bytes() for path in paths}
    return photos


class _Sender:
    """A phone that sends photos and notes what it is told."""

    def __init__(self, port: int, outcome: Outcome) -> None:
        self._phone = Phone()
        self._port = port
        self._outcome = outcome
        self.taken: dict[UUID, str] = {}
        self.forms_taken = 0

    async def register(self) -> None:
        body = json.dumps(self._phone.registration).encode()
        await self._ask("the phone", "PUT", f"/v1/devices/{self._phone.id}", {"Content-Type": "application/json"}, body)

    async def send(self, name: str, photo: bytes, way: float) -> None:
        """Send a photo, by a way that a number from 0 to 1 chooses."""
        if way < _TUS_SHARE:
            await self._send_in_pieces(name, photo)
        elif way < _TUS_SHARE + _FORM_SHARE:
            await self._send_in_form(name, photo)
        else:
            photo_id = new_id()
            headers = {"Content-Type": "image/jpeg"}
            answer = await self._ask(name, "PUT", f"/v1/photos/{photo_id}", headers, photo)
            self._note(name, photo_id, answer)

    async def picture(self, photo_id: UUID, size: str) -> Answer | None:
        """Get a picture as its sender sees it."""
        return await self._ask("a picture", "GET", f"/v1/photos/{photo_id}/{size}", {}, b"")

    async def _send_in_pieces(self, name: str, photo: bytes) -> None:
        photo_id, half = new_id(), len(photo) // 2
        tus = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
        told = {"Upload-Length": str(len(photo)), "Upload-Metadata": f"id {b64encode(str(photo_id).encode()).decode()}"}
        answer = await self._ask(name, "POST", "/v1/uploads", tus | told, photo[:half])
        if answer is not None and answer.status == 201 and half < len(photo):
            headers = {**tus, "Upload-Offset": answer.headers["upload-offset"]}
            rest = photo[int(headers["Upload-Offset"]) :]
            answer = await self._ask(name, "PATCH", f"/v1/uploads/{photo_id}", headers, rest)
        self._note(name, photo_id, answer)

    async def _send_in_form(self, name: str, photo: bytes) -> None:
        fields = {"id": str(new_id()), **_FIELDS}
        head = "".join(
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        )
        head += f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
        body = head.encode() + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        answer = await self._ask(name, "POST", "/v1/reports", headers, body)
        self.forms_taken += answer is not None and answer.status == 201

    def _note(self, name: str, photo_id: UUID, answer: Answer | None) -> None:
        if answer is None:
            return
        if answer.status in {201, 204}:
            self.taken[photo_id] = name
        elif answer.status < 500:
            self._outcome.told[name] = f"{answer.status} {answer.json()['type'].rpartition('/')[2]}"

    async def _ask(self, name: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        headers = {"Authorization": f"Bearer {self._phone.secret}", **headers}
        try:
            answer = await call(self._port, write_request(method, path, headers, body), cut=None, timeout_s=_TIMEOUT_S)
        except NoAnswer as error:
            self._outcome.faults.append(f"{name}: no answer ({error})")
            return None
        self._outcome.statuses[answer.status] += 1
        if answer.status >= 500:
            self._outcome.faults.append(f"{name}: {answer.status} {answer.body[:300]!r}")
        return answer


async def fuzz(app_url: str, owner_url: str, folder: Path, plan: Plan, say: Callable[[str], None]) -> Outcome:
    """Send all photos to processes of their own on a database, and look at what came of them.

    Args:
        app_url: The database as the servers log in; it takes as many photos of a device as come.
        owner_url: The same for its owner, who looks at all rows.
        folder: For photos and logs.
        plan: What is sent.
        say: Told how far it is.
    """
    outcome = Outcome()
    environment = jalon_environment(app_url, folder)
    server, worker = Server(environment, folder / "serve.log"), Child(["work"], environment, folder / "work.log")
    with running([server, worker]):
        before = tree(server.pid)
        sender = _Sender(server.port, outcome)
        async with Database(owner_url, role=None) as judge:
            await sender.register()
            first_mb = _memory_mb(server)
            await _send_batch(sender, [(name, photo, 1.0) for name, photo in plan.photos.items()])
            await _wait(judge, outcome)
            outcome.told |= await _verdicts(judge, sender)
            for batch in _batches(plan):
                began = time.monotonic()
                await _send_batch(sender, batch)
                await _wait_for_room(judge)
                outcome.grew_mb = _memory_mb(server) - first_mb
                per_s = len(batch) / (time.monotonic() - began)
                say(f"{outcome.statuses.total()} answers, {per_s:.0f} photos/s, grown by {outcome.grew_mb:.0f} MB")
            await _wait(judge, outcome)
            outcome.grew_mb = _memory_mb(server) - first_mb
            outcome.faults += await _lost(judge, sender, outcome)
            await _look_at_served(judge, sender, outcome)
        if server.has_ended or worker.has_ended or tree(server.pid) != before:
            outcome.faults.append("a process has ended, or was replaced")
    _look_at_pictures(folder, outcome)
    if outcome.grew_mb > _MOST_GROWTH_MB:
        outcome.faults.append(f"the server grew by {outcome.grew_mb:.0f} MB")
    outcome.faults += [
        line for line in server.log.read_text().splitlines() if '"level":"error"' in line.replace(" ", "")
    ]
    return outcome


def _batches(plan: Plan) -> Iterator[list[tuple[str, bytes, float]]]:
    """Damage photos: the name, the bytes and the way of each."""
    rng = Random(plan.seed)
    names = list(plan.photos)
    weights = [min(1.0, _HEAVY_BYTES / (len(plan.photos[name]) + 1)) ** 2 for name in names]
    for begins in range(0, plan.damaged, _BATCH):
        batch = []
        for number in range(begins, min(begins + _BATCH, plan.damaged)):
            [name] = rng.choices(names, weights)
            batch.append((f"{name}, damaged {number}", mutate(plan.photos[name], rng), rng.random()))
        yield batch


async def _send_batch(sender: _Sender, batch: Sequence[tuple[str, bytes, float]]) -> None:
    waiting = iter(batch)

    async def send() -> None:
        for item in waiting:
            await sender.send(*item)

    async with asyncio.TaskGroup() as lines:
        for _ in range(_AT_ONCE):
            lines.create_task(send())


async def _wait_for_room(judge: Database) -> None:
    """Let the worker catch up until it has no more left than it gets in one batch, or does not get on."""
    deadline = time.monotonic() + _CATCH_UP_S
    while time.monotonic() < deadline:
        async with judge.transaction() as session:
            waiting = await session.scalar(text("SELECT count(*) FROM photo WHERE state = 'pending'"))
        if waiting is None or waiting <= _BATCH:
            return
        await asyncio.sleep(0.2)


def _memory_mb(server: Server) -> float:
    return sum(map(pss_mb, tree(server.pid)))


async def _wait(judge: Database, outcome: Outcome) -> None:
    try:
        await settle(judge, hurry=False)
    except StillWaiting as error:
        outcome.faults.append(f"stuck: {error}")


async def _verdicts(judge: Database, sender: _Sender) -> dict[str, str]:
    """What became of each photo that was taken, by its name."""
    async with judge.transaction() as session:
        rows = await session.execute(text("SELECT id, concat_ws(' ', state, reason) FROM photo"))
    return {sender.taken[photo_id]: told for photo_id, told in rows if photo_id in sender.taken}


async def _lost(judge: Database, sender: _Sender, outcome: Outcome) -> list[str]:
    """Count what became of all photos; name what is lost, or neither ready nor rejected."""
    async with judge.transaction() as session:
        rows = {row.id: row for row in await session.execute(text("SELECT id, state, reason FROM photo"))}
    outcome.verdicts.update(" ".join(filter(None, (row.state, row.reason))) for row in rows.values())
    faults = [f"{name} was taken and is lost" for photo_id, name in sender.taken.items() if photo_id not in rows]
    faults += [f"photo {row.id} is {row.state}" for row in rows.values() if row.state not in {"ready", "rejected"}]
    if len(rows) != len(sender.taken) + sender.forms_taken:
        faults.append(f"{len(rows)} photos for {len(sender.taken)} taken and {sender.forms_taken} in forms")
    return faults


async def _look_at_served(judge: Database, sender: _Sender, outcome: Outcome) -> None:
    """Get some pictures as everybody does: bytes as they lie in the store, under a fixed type."""
    async with judge.transaction() as session:
        ready = await session.scalars(text("SELECT id FROM photo WHERE state = 'ready' ORDER BY id DESC LIMIT 200"))
    for photo_id in [photo_id for photo_id in ready if photo_id in sender.taken][:20]:
        for size in ("large", "small"):
            answer = await sender.picture(photo_id, size)
            if answer is None or answer.headers.get("content-type") != "image/webp" or answer.body[:4] != b"RIFF":
                outcome.faults.append(f"{size} of {photo_id} is not served as a picture")


def _look_at_pictures(folder: Path, outcome: Outcome) -> None:
    """Have ExifTool look at all pictures that were made."""
    with running_exiftool() as exiftool:
        found = exiftool.read(folder / "photos" / "derived")
    outcome.pictures = len(found)
    for tags in found:
        if told := beyond_pixels(tags):
            outcome.faults.append(f"{tags['SourceFile']} tells {told}")


def main() -> None:
    """Fuzz as the command line says; prints what came of it, then one line of JSON; exit status 1 for any fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="where the database is kept")
    parser.add_argument("--count", type=int, default=COUNT, help="how many damaged photos are sent")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    more = Path(os.environ["DATA"]) if os.environ.get("DATA") else None
    data_dir = options.data_dir or default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    leave_on_sigterm()
    plan = Plan(shipped_photos(more), options.count, options.seed)
    with empty_stage(data_dir) as stage, tempfile.TemporaryDirectory(prefix="photos-", dir=data_dir) as name:
        outcome = asyncio.run(fuzz(stage.app_url, stage.owner_url, Path(name), plan, print))
    for photo, told in outcome.told.items():
        if photo in plan.photos:
            print(f"  {photo}: {told}")
    print(f"answers by status: {dict(outcome.statuses)}")
    print(f"photos: {dict(outcome.verdicts)}")
    print(f"{outcome.pictures} pictures looked at by ExifTool; the server grew by {outcome.grew_mb:.1f} MB")
    for fault in outcome.faults[:50]:
        print(f"FAULT {fault}")
    summary = {
        "bench": "fuzz-photos",
        "sent": len(plan.photos) + plan.damaged,
        "statuses": outcome.statuses,
        "verdicts": outcome.verdicts,
        "pictures": outcome.pictures,
        "grew_mb": round(outcome.grew_mb, 1),
        "faults": len(outcome.faults),
    }
    print(json.dumps(summary))
    if outcome.faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
