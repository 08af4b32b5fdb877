"""A phone that works off its outbox over bad lines, by the rules that the API has for clients."""

import asyncio
import gzip
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from bench.bad_line import Answer, NoAnswer, call, draw_cut, write_request
from bench.intake_check import Promises
from bench.intake_upload import Upload
from bench.outbox import Item, Kind
from bench.phones import Phone

# What a client sends again with the same id, besides what got no answer, or says when.
_TRY_AGAIN = frozenset({401, 408, 425, 429})
_LINES_AT_ONCE = 2
_CUT_SHARE = 0.3
_REPEATED_SHARE = 0.05
_SYNC_SHARE = 0.15
_SYNC_ITEMS = 20
_COMPRESSED_SHARE = 0.3
_CALL_S = 40.0
_GIVE_UP_S = 150.0
_PAUSE_S = 0.25
# No phone waits longer, whatever `Retry-After` says: the drill is no load that a server asks to be spared.
_LONGEST_WAIT_S = 0.5


@dataclass(slots=True)
class Network:
    """The lines to several servers, and what came over them.

    Attributes:
        ports: Where the servers listen.
        jurisdiction_id: The city that all of it is about.
        is_bad: Whether connections break, and calls are sent twice at once.
        counts: Calls, cuts, repeats.
        statuses: How many answers had which status, those inside of a sync too.
        wrong: Answers that no client should ever get.
    """

    ports: Sequence[int]
    jurisdiction_id: str
    is_bad: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def send(
        self, rng: random.Random, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> list[Answer]:
        """Send a request once, or twice at once; get the answers that came whole."""
        request = write_request(method, path, headers, body)
        copies = 2 if self.is_bad and rng.random() < _REPEATED_SHARE else 1
        self.counts["repeated at once"] += copies - 1
        answers = await asyncio.gather(*(self._send_copy(rng, request) for _ in range(copies)))
        came = [answer for answer in answers if answer is not None]
        for answer in came:
            self.note(answer.status, answer.retry_after_s, f"{method} {path}: {answer.body[:500]!r}")
        return came

    def note(self, status: int, retry_after_s: int | None, what: str) -> None:
        """Note an answer, and whether nobody should get such a one."""
        self.statuses[status] += 1
        if status >= 500 and (status != 503 or retry_after_s is None):
            self.wrong.append(f"{status} to {what}")

    async def _send_copy(self, rng: random.Random, request: bytes) -> Answer | None:
        cut = draw_cut(rng, request) if self.is_bad and rng.random() < _CUT_SHARE else None
        self.counts["calls"] += 1
        self.counts["cut"] += cut is not None
        try:
            return await call(rng.choice(self.ports), request, cut=cut, timeout_s=_CALL_S)
        except NoAnswer:
            self.counts["unanswered"] += 1
            return None


class DrillPhone:
    """One phone with its outbox: whatever it was not told to have arrived, it sends again."""

    def __init__(
        self,
        phone: Phone,
        promises: Promises,
        network: Network,
        rng: random.Random,
        *,
        done: Callable[[], None],
    ) -> None:
        """Take up an outbox.

        Args:
            phone: The id and the secret that it made.
            promises: Holds what it has to send; what it is told is written there.
            network: Its lines.
            rng: Draws what is sent when and how.
            done: Called after each item that may leave the outbox.
        """
        self._phone = phone
        self._promises = promises
        self._network = network
        self._rng = rng
        self._done = done
        self._waiting = deque(promises.items.values())
        self._issues: dict[UUID, UUID] = {}
        self._uploads = {
            item.id: Upload(item.id, item.picture, rng)
            for item in promises.items.values()
            if item.in_pieces and item.picture is not None
        }
        self._registering = asyncio.Lock()
        self._progress_at = time.monotonic()

    async def work_off(self) -> None:
        """Send until the outbox is empty, or nothing has got through for minutes."""
        async with asyncio.TaskGroup() as lines:
            for _ in range(_LINES_AT_ONCE):
                lines.create_task(self._work())

    async def _work(self) -> None:
        while self._waiting and self._has_patience():
            items = self._take()
            wait_s = await (self._sync(items) if len(items) > 1 else self._send(items[0]))
            self._waiting.extend(item for item in items if not self._is_over(item))
            if wait_s is not None:
                await asyncio.sleep(min(wait_s, _LONGEST_WAIT_S) * self._rng.uniform(0.5, 1))

    def _take(self) -> list[Item]:
        """Take what is sent next: one item, or as many as one sync may bring."""
        if self._rng.random() >= _SYNC_SHARE:
            return [self._waiting.popleft()]
        fit = [item for item in self._waiting if item.kind is not Kind.PHOTO and self._target(item) is not None]
        batch = fit[: self._rng.randint(2, _SYNC_ITEMS)]
        if len(batch) < 2:
            return [self._waiting.popleft()]
        for item in batch:
            self._waiting.remove(item)
        return batch

    def _is_over(self, item: Item) -> bool:
        return item.id in self._promises.accepted or item.id in self._promises.refused

    def _target(self, item: Item) -> UUID | None:
        """What an item is about; None as long as the phone has not been told the issue that it is to follow."""
        if item.kind in {Kind.FOLLOW, Kind.UNFOLLOW}:
            return self._issues.get(item.report_id)
        return item.report_id

    async def _send(self, item: Item) -> float | None:
        """Send one item; get how long to wait before the next call."""
        if item.kind is Kind.PHOTO:
            return await self._send_photo(item)
        target = self._target(item)
        if target is None:
            return _PAUSE_S
        method, path, content = self._call_of(item, target)
        return await self._hear_all(item, await self._ask(method, path, content))

    def _call_of(self, item: Item, target: UUID) -> tuple[str, str, Mapping[str, Any] | None]:
        if item.kind is Kind.REPORT:
            return "POST", "/v1/reports", {"id": str(item.id), **item.body}
        if item.kind is Kind.CORRECTION:
            return "PATCH", f"/v1/reports/{target}", {"id": str(item.id), **item.body}
        path = f"/v1/issues/{target}/follow?jurisdiction_id={self._network.jurisdiction_id}"
        return ("PUT" if self._wish(item, target) else "DELETE"), path, None

    def _wish(self, item: Item, issue_id: UUID) -> bool:
        """Stay with the first wish about an issue: copies of calls that got lost may arrive in any order."""
        return self._promises.wishes.setdefault(issue_id, item.kind is Kind.FOLLOW)

    async def _ask(self, method: str, path: str, content: Mapping[str, Any] | None) -> list[Answer]:
        """Send JSON, sometimes compressed."""
        headers = {"Authorization": f"Bearer {self._phone.secret}"}
        body = b""
        if content is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(content).encode()
            if self._rng.random() < _COMPRESSED_SHARE:
                headers["Content-Encoding"] = "gzip"
                body = gzip.compress(body)
        return await self._network.send(self._rng, method, path, headers, body)

    async def _sync(self, items: Sequence[Item]) -> float | None:
        """Send several items in one call."""
        answers = await self._ask("POST", "/v1/sync", {"items": [self._sync_item(item) for item in items]})
        wait_s = None if answers else _PAUSE_S
        for answer in answers:
            if answer.status != 200:
                wait_s = await self._after_refusal(answer.status, answer.retry_after_s)
                continue
            for item, result in zip(items, answer.json()["items"], strict=True):
                if not self._hear_result(item, result):
                    wait_s = result["retry_after"] or _PAUSE_S
        return wait_s

    def _hear_result(self, item: Item, result: Mapping[str, Any]) -> bool:
        """Take in what a sync says of an item; tells whether it is final, which has to be what the sync says."""
        status, retry_after_s = result["status"], result["retry_after"]
        self._network.note(status, retry_after_s, f"{item.kind} in a sync: {result}")
        is_final = self._hear(item, status, retry_after_s, result["body"] or result["problem"] or {})
        if is_final is not result["final"]:
            self._promises.broken.append(f"{item.kind} {item.id}: a sync is wrong about what is final: {result}")
        return is_final

    def _sync_item(self, item: Item) -> dict[str, Any]:
        target = self._target(item)
        assert target is not None
        if item.kind is Kind.REPORT:
            return {"id": str(item.id), "kind": item.kind, "body": dict(item.body)}
        sync_item = {"id": str(item.id), "kind": item.kind, "target": str(target), "body": dict(item.body)}
        if item.kind in {Kind.FOLLOW, Kind.UNFOLLOW}:
            sync_item["kind"] = Kind.FOLLOW if self._wish(item, target) else Kind.UNFOLLOW
            sync_item["jurisdiction_id"] = self._network.jurisdiction_id
        return sync_item

    async def _send_photo(self, item: Item) -> float | None:
        assert item.picture is not None
        authorization = {"Authorization": f"Bearer {self._phone.secret}"}
        upload = self._uploads.get(item.id)
        if upload is None:
            headers = authorization | {"Content-Type": "image/jpeg"}
            content = item.picture.content
            answers = await self._network.send(self._rng, "PUT", f"/v1/photos/{item.id}", headers, content)
            return await self._hear_all(item, answers)
        return await self._continue_upload(item, upload, authorization)

    async def _continue_upload(self, item: Item, upload: Upload, authorization: Mapping[str, str]) -> float | None:
        """Send the next request of an upload; other items may come between it and the one after."""
        step = upload.next_step()
        headers = {**authorization, **step.headers}
        answers = await self._network.send(self._rng, step.method, step.path, headers, step.body)
        self._promises.broken += upload.hear(answers)
        if upload.is_whole or upload.refused is not None:
            self._close(item, refused=upload.refused)
            return None
        for answer in answers:
            if answer.status >= 400:
                return await self._after_refusal(answer.status, answer.retry_after_s)
        return None if answers else _PAUSE_S

    async def _after_refusal(self, status: int, retry_after_s: int | None) -> float:
        """Do what an answer asks for before anything is sent again; get how long to wait besides."""
        if status == 401:
            await self._register()
        return _PAUSE_S if retry_after_s is None else float(retry_after_s)

    async def _register(self) -> None:
        path, registration = f"/v1/devices/{self._phone.id}", self._phone.registration
        async with self._registering:
            while self._has_patience():
                answers = await self._ask("PUT", path, registration)
                if any(answer.status < 300 for answer in answers):
                    return
                await asyncio.sleep(_PAUSE_S)

    def _has_patience(self) -> bool:
        return time.monotonic() - self._progress_at < _GIVE_UP_S

    async def _hear_all(self, item: Item, answers: Sequence[Answer]) -> float | None:
        """Take in the answers to the copies of one call; get how long to wait before the next call."""
        wait_s = None if answers else _PAUSE_S
        for answer in answers:
            if not self._hear(item, answer.status, answer.retry_after_s, answer.json()):
                wait_s = await self._after_refusal(answer.status, answer.retry_after_s)
        return wait_s

    def _hear(self, item: Item, status: int, retry_after_s: int | None, told: Mapping[str, Any]) -> bool:
        """Take in an answer to an item; tells whether it is final."""
        if status < 300:
            self._accept(item, told)
        elif status in _TRY_AGAIN or status >= 500 or retry_after_s is not None:
            return False
        else:
            self._close(item, refused=f"{status} {told.get('type')}")
        return True

    def _accept(self, item: Item, told: Mapping[str, Any]) -> None:
        """Note what a success tells."""
        if "sha256" in told and told["sha256"] != self._promises.photos[item.id].sha256:
            self._promises.broken.append(f"photo {item.id} was taken for another: {told}")
        if "report" in told:
            self._promises.numbers.setdefault(item.report_id, set()).add(told["report"]["number"])
            self._issues.setdefault(item.report_id, UUID(told["issue"]["id"]))
        self._close(item, refused=None)

    def _close(self, item: Item, *, refused: str | None) -> None:
        """Let an item leave the outbox; the first final answer counts, and a success more than a refusal."""
        if not self._is_over(item):
            self._progress_at = time.monotonic()
            self._done()
        if refused is None:
            self._promises.accepted.add(item.id)
            self._promises.refused.pop(item.id, None)
        elif item.id not in self._promises.accepted:
            self._promises.refused.setdefault(item.id, refused)
