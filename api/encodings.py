"""Bodies that come compressed: decoded as they come, and never farther than the call accepts."""

import zlib
from collections.abc import Mapping
from typing import Final

from api.problems.refusals import BodyUndecodable, EncodingNotSupported

_JSON: Final = b"application/json"
_IDENTITY: Final = "identity"
_ACCEPTED: Final = ("gzip", "deflate")
_ALIASES: Final = {"x-gzip": "gzip"}
_GZIP_BITS: Final = 16 + zlib.MAX_WBITS
_HEADER_BYTES: Final = 2  # enough to tell zlib's format from a bare stream


def decoder_of(headers: Mapping[bytes, bytes]) -> "BodyDecoder | None":
    """Get what decodes a request's body; None where it is not compressed.

    Only JSON is: photos are compressed already, and their bytes are kept as they come.
    """
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    if encoding in {"", _IDENTITY}:
        return None
    media_type = headers.get(b"content-type", _JSON).partition(b";")[0].strip().lower()
    return BodyDecoder(_ALIASES.get(encoding, encoding), is_json=media_type == _JSON)


class BodyDecoder:
    """Decodes one body, piece by piece."""

    def __init__(self, encoding: str, *, is_json: bool) -> None:
        """Prepare to decode; what cannot be decoded is refused when the first piece comes.

        Args:
            encoding: As the request names it, in small letters.
            is_json: Whether the body is of the kind that may be compressed.
        """
        self._encoding = encoding
        self._accepted = _ACCEPTED if is_json else (_IDENTITY,)
        self._head = b""
        self._inflater: zlib._Decompress | None = None

    def decode(self, piece: bytes, *, at_most: int, is_last: bool) -> bytes:
        """Decode the next piece.

        Args:
            piece: As it came.
            at_most: Bytes to make of it; the caller gives up where it gets as many.
            is_last: Whether the body ends with it.

        Raises:
            EncodingNotSupported: this kind of body does not come so.
            BodyUndecodable: it is not what it says, was cut off, or goes on after its end.
        """
        if self._encoding not in self._accepted:
            raise EncodingNotSupported(self._accepted)
        coded = self._head + piece
        if self._inflater is None:
            if len(coded) < _HEADER_BYTES and not is_last:
                self._head = coded
                return b""
            self._inflater = zlib.decompressobj(_window_bits(self._encoding, coded))
            self._head = b""
        return self._inflate(self._inflater, coded, at_most=at_most, is_last=is_last)

    @staticmethod
    def _inflate(inflater: "zlib._Decompress", coded: bytes, *, at_most: int, is_last: bool) -> bytes:
        try:
            decoded = inflater.decompress(coded, at_most)
        except zlib.error as error:
            raise BodyUndecodable from error
        is_cut_off = is_last and not inflater.eof and len(decoded) < at_most
        if inflater.unused_data or is_cut_off:
            raise BodyUndecodable
        return decoded


def _window_bits(encoding: str, head: bytes) -> int:
    """Tell zlib what comes: `deflate` means its own format (RFC 9110), but some send the bare stream."""
    if encoding == "gzip":
        return _GZIP_BITS
    is_zlib = head[:1] != b"" and head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
