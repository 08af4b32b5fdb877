"""A photo sent in pieces (tus 1.0.0) by a phone that is cut off again and again."""

import random
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from bench.bad_line import Answer
from bench.outbox import Picture

_VERSION = {"Tus-Resumable": "1.0.0"}
_STREAM = {**_VERSION, "Content-Type": "application/offset+octet-stream"}
_WITH_FIRST_BYTES_SHARE = 0.4
_CHECKSUM_SHARE = 0.4
_REST_AT_ONCE_SHARE = 0.4
# Said where the phone's own idea of how far it has come is wrong, or not to be had right now; it asks then.
_ASK_AGAIN = frozenset({401, 404, 408, 409, 423, 425, 429, 460})


@dataclass(frozen=True, slots=True)
class Step:
    """The next request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Upload:
    """One upload as its phone knows it: what was counted once stays counted.

    Attributes:
        is_whole: Whether the server has said that all of it is there.
        refused: How it was refused for good, if it was.
    """

    def __init__(self, photo_id: UUID, picture: Picture, rng: random.Random) -> None:
        """Prepare to send a picture."""
        self.is_whole = False
        self.refused: str | None = None
        self._photo_id = photo_id
        self._picture = picture
        self._rng = rng
        self._byte_size = len(picture.content)
        self._is_begun = False
        self._counted = 0
        self._offset: int | None = None  # None where the phone has to ask

    def next_step(self) -> Step:
        """Write the next request: begin, ask, or send a piece."""
        path = f"/v1/uploads/{self._photo_id}"
        if not self._is_begun:
            return self._beginning()
        if self._offset is None:
            return Step("HEAD", path, _VERSION)
        left = self._byte_size - self._offset
        count = left if self._rng.random() < _REST_AT_ONCE_SHARE else self._rng.randint(1, left)
        piece = self._picture.content[self._offset : self._offset + count]
        headers = {**_STREAM, "Upload-Offset": str(self._offset)}
        return Step("PATCH", path, {**headers, **self._checksum(piece)}, piece)

    def hear(self, answers: Sequence[Answer]) -> list[str]:
        """Take in the answers to copies of one request; get what contradicts an earlier one."""
        broken = []
        offsets = [int(each.headers["upload-offset"]) for each in answers if each.status < 300]
        self._offset = max(offsets, default=None)
        if self._offset is not None:
            self._is_begun = True
            if self._offset < self._counted:
                broken.append(f"photo {self._photo_id} went back from byte {self._counted} to {self._offset}")
            self._counted = max(self._counted, self._offset)
            self.is_whole = self._offset == self._byte_size
        elif any(each.status == 404 for each in answers) and self._is_begun:
            broken.append(f"photo {self._photo_id} is forgotten after byte {self._counted}")
            self._is_begun, self._counted = False, 0
        for each in answers:
            if 400 <= each.status < 500 and each.status not in _ASK_AGAIN and "retry-after" not in each.headers:
                self.refused = f"{each.status} {each.json().get('type')}"
        return broken

    def _beginning(self) -> Step:
        name = b64encode(str(self._photo_id).encode()).decode()
        headers = {**_VERSION, "Upload-Length": str(self._byte_size), "Upload-Metadata": f"id {name}"}
        if self._rng.random() >= _WITH_FIRST_BYTES_SHARE:
            return Step("POST", "/v1/uploads", headers)
        piece = self._picture.content[: self._rng.randint(1, self._byte_size)]
        return Step("POST", "/v1/uploads", {**_STREAM, **headers, **self._checksum(piece)}, piece)

    def _checksum(self, piece: bytes) -> Mapping[str, str]:
        if self._rng.random() >= _CHECKSUM_SHARE:
            return {}
        return {"Upload-Checksum": f"sha256 {b64encode(sha256(piece).digest()).decode()}"}
