"""Photos that hold a mark and a position in every place where cameras, phones and editors leave such things.

`PLACES` names them all; each gives the same scene, stored as the orientation that it tells says.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pi_heif
from PIL import Image

from tests.media.heic import box, heic
from tests.media.pictures import encoded, orientation_block, png_chunk, scene, with_segments

MARK = b"TESTCAM-4711"
"""What no public picture may hold: who, and with what."""
SIZE = (160, 120)
"""Of the upright scene."""
_MARK = MARK.decode()
_DATA = Path(__file__).parent.parent / "data" / "photos"

# How the camera stored the picture, for each orientation that the file then tells.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

Hide = Callable[[int], bytes]
"""Makes the photo with this EXIF orientation."""


def stored_scene(orientation: int) -> Image.Image:
    """The scene as a camera held that way stores it."""
    turn = STORED[orientation]
    return scene(*SIZE) if turn is None else scene(*SIZE).transpose(turn)


@cache
def display_p3() -> bytes:
    """The colour profile of a real phone."""
    profile: bytes = pi_heif.open_heif(_DATA / "good" / "IMG_2682.heic").info["icc_profile"]
    return profile


def camera_block(orientation: int) -> bytes:
    """EXIF of the camera and its owner, a maker note among it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.update(dict.fromkeys((0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x013C, 0x8298), _MARK))
    exif[0x9C9D] = _MARK.encode("utf-16-le")  # XPAuthor
    exif.get_ifd(0x8769).update(dict.fromkeys((0x9290, 0xA420, 0xA430, 0xA431, 0xA433, 0xA434, 0xA435), _MARK))
    exif.get_ifd(0x8769).update({0x9003: "2026:11:22 08:15:30", 0x9011: "-05:00"})
    exif.get_ifd(0x8769).update({0x9286: b"ASCII\0\0\0" + MARK, 0x927C: b"Apple iOS\0\0\1MM\0\0" + MARK})
    return exif.tobytes()


def gps_block(orientation: int) -> bytes:
    """EXIF of a place, as receivers tell it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825).update({1: "N", 2: (45.0, 31.0, 23.16), 3: "W", 4: (73.0, 34.0, 54.12), 6: 31.0})
    exif.get_ifd(0x8825).update({7: (13, 15, 30), 17: 220.5, 27: b"ASCII\0\0\0" + MARK, 29: "2026:11:22", 31: 8.5})
    return exif.tobytes()


@cache
def _thumbnail() -> bytes:
    """A small JPEG that has a place of its own, as a photo that was cut has kept what was cut away."""
    return with_segments(encoded(scene(80, 60), exif=gps_block(1)), (0xFE, MARK))


def thumbnail_block(orientation: int) -> bytes:
    """EXIF whose second directory holds a thumbnail (TIFF 6.0, JPEGInterchangeFormat)."""
    first = struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 26)
    thumbnail = _thumbnail()
    entries = ((0x0103, 3, 1, 6 << 16), (0x0201, 4, 1, 68), (0x0202, 4, 1, len(thumbnail)))
    second = struct.pack(">H", 3) + b"".join(struct.pack(">HHII", *entry) for entry in entries) + bytes(4)
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + first + second + thumbnail


def xmp(extended: bytes = b"") -> bytes:
    """An XMP packet with author, device and place, perhaps with the digest of its extension."""
    more = b'xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="%s"' % extended if extended else b""
    fields = b"""<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" %s
      xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
      xmlns:dc="http://purl.org/dc/elements/1.1/" tiff:Make="%s" aux:SerialNumber="%s" aux:OwnerName="%s"
      exif:GPSLatitude="45,31.386N" exif:GPSLongitude="73,34.902W">
      <dc:creator><rdf:Seq><rdf:li>%s</rdf:li></rdf:Seq></dc:creator></rdf:Description>"""
    return _packet(fields % (more, MARK, MARK, MARK, MARK))


def _packet(fields: bytes) -> bytes:
    return (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' + fields + b"</rdf:RDF></x:xmpmeta>"
        b'<?xpacket end="w"?>'
    )


def _extended_xmp() -> list[tuple[int, bytes]]:
    digest = b"0123456789ABCDEF0123456789ABCDEF"
    far = _packet(b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="%s"/>' % (MARK * 50))
    extension = b"http://ns.adobe.com/xmp/extension/\0" + digest + struct.pack(">II", len(far), 0) + far
    return [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(digest)), (0xE1, extension)]


def _iptc() -> bytes:
    """IPTC (author, city, place) and a thumbnail, each in a block of Photoshop's."""
    records = b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(MARK)) + MARK for number in (80, 85, 90, 92, 95, 101, 116, 120)
    )
    thumbnail = struct.pack(">IIIIIIHH", 1, 80, 60, 240, 14400, len(_thumbnail()), 24, 1) + _thumbnail()
    blocks = b"".join(
        b"8BIM" + struct.pack(">HHI", kind, 0, len(content)) + content + bytes(len(content) % 2)
        for kind, content in ((0x0404, records), (0x040C, thumbnail))
    )
    return b"Photoshop 3.0\0" + blocks


def content_credentials() -> bytes:
    """A box of content credentials (C2PA), which name who made a picture and with what."""
    described = box(b"jumd", b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71", b"\3c2pa\0")
    return box(b"jumb", described, box(b"json", b'{"claim_generator": "' + MARK + b'"}'))


def _film() -> bytes:
    """The film of a motion photo, which tells where it was taken."""
    place = box(b"\xa9xyz", struct.pack(">HH", 18, 0), b"+45.5231-073.5817/")
    made = box(b"\xa9mak", struct.pack(">HH", len(MARK), 0), MARK)
    return box(b"ftyp", b"mp42\0\0\0\0mp42") + box(b"moov", box(b"udta", place, made)) + box(b"mdat", MARK * 20)


def _jpeg(
    *segments: tuple[int, bytes],
    exif: Callable[[int], bytes] = orientation_block,
    behind: bytes = b"",
    icc: bytes = b"",
) -> Hide:
    def hide(orientation: int) -> bytes:
        photo = encoded(stored_scene(orientation), exif=exif(orientation), icc_profile=icc)
        return with_segments(photo, *segments) + behind

    return hide


def _two_blocks(orientation: int) -> bytes:
    """EXIF twice, with a place in the one that readers pass over."""
    return with_segments(_jpeg()(orientation), (0xE1, orientation_block(orientation)), (0xE1, gps_block(orientation)))


def _pictures(orientation: int) -> bytes:
    """A multi-picture file (CIPA DC-007), whose second picture has a place of its own."""
    photo, second = _jpeg()(orientation), _thumbnail()

    def index(first_bytes: int) -> bytes:
        head = b"MPF\0MM\0*" + struct.pack(">IH", 8, 3)
        head += struct.pack(">HHI4sHHIIHHIII", 0xB000, 7, 4, b"0100", 0xB001, 4, 1, 2, 0xB002, 7, 32, 50, 0)
        # Places count from the index's own byte order, which lies ten bytes into the file.
        first = struct.pack(">IIIHH", 0x20030000, first_bytes, 0, 0, 0)
        return head + first + struct.pack(">IIIHH", 0x00020002, len(second), first_bytes - 10, 0, 0)

    first_bytes = len(with_segments(photo, (0xE2, index(len(photo)))))
    return with_segments(photo, (0xE2, index(first_bytes))) + second


def _motion_photo(orientation: int) -> bytes:
    film = _film()
    told = b'<rdf:Description xmlns:c="http://ns.google.com/photos/1.0/camera/" c:MotionPhoto="1"'
    told += b' c:MicroVideo="1" c:MicroVideoVersion="1" c:MicroVideoOffset="%d"/>' % len(film)
    return _jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _packet(told)), behind=film)(orientation)


def _between_scans(orientation: int) -> bytes:
    """A comment between the scans of a progressive JPEG, where readers of headers have long stopped."""
    photo = encoded(stored_scene(orientation), exif=orientation_block(orientation), progressive=True)
    at = photo.rindex(b"\xff\xda")
    return photo[:at] + struct.pack(">BBH", 0xFF, 0xFE, len(MARK) + 2) + MARK + photo[at:]


def _png(
    before: bytes = b"", *, exif: Callable[[int], bytes] = orientation_block, last: bytes = b"", behind: bytes = b""
) -> Hide:
    def hide(orientation: int) -> bytes:
        photo = encoded(stored_scene(orientation), "PNG", exif=exif(orientation))
        return photo[:33] + before + photo[33:-12] + last + photo[-12:] + behind

    return hide


def _raw_profile(orientation: int) -> bytes:
    """EXIF and IPTC in text, as ImageMagick wrote it into PNG."""
    chunks = b""
    for kind, content in ((b"exif", gps_block(orientation)), (b"iptc", _iptc()[14:])):
        told = b"\n%s\n%8d\n%s\n" % (kind, len(content), content.hex().encode())
        chunks += png_chunk(b"zTXt", b"Raw profile type " + kind + b"\0\0" + zlib.compress(told))
    photo = encoded(stored_scene(orientation), "PNG")
    return photo[:33] + chunks + photo[33:]


def _text_chunks() -> bytes:
    names = (b"Author", b"Software", b"Source", b"Copyright", b"Location")
    plain = b"".join(png_chunk(b"tEXt", name + b"\0" + MARK) for name in names)
    packed = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(MARK))
    international = png_chunk(b"iTXt", b"Description\0\1\0fr\0\0" + zlib.compress(MARK))
    return plain + packed + international


def _webp(
    *, exif: Callable[[int], bytes] = orientation_block, more: bytes = b"", behind: bytes = b"", **told: bytes
) -> Hide:
    def hide(orientation: int) -> bytes:
        photo = encoded(stored_scene(orientation), "WEBP", quality=90, exif=exif(orientation), **told)
        return b"RIFF" + struct.pack("<I", len(photo) + len(more) - 8) + photo[8:] + more + behind

    return hide


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _heic(*, exif: Callable[[int], bytes] = orientation_block, **told: Any) -> Hide:
    return lambda orientation: heic(orientation, exif=exif(orientation).removeprefix(b"Exif\0\0"), **told)


_DEVICE_SEGMENTS = (
    (0xE3, b"Meta\0\0" + gps_block(1)[6:]),
    (0xE4, b"FPXR\0" + MARK),
    (0xE5, b"Ducky\0\2" + struct.pack(">HI", len(MARK) + 4, len(MARK)) + MARK),
    (0xE6, b"GoPro\0DVNMc" + struct.pack(">BH", 1, len(MARK)) + MARK),
    (0xE7, b"Qualcomm Camera Attributes" + MARK),
    (0xE8, b"SPIFF\0" + MARK),
    (0xE9, b"Media Jukebox\0" + MARK),
    (0xEA, b"UNICODE\0" + _MARK.encode("utf-16-be")),
    (0xEB, b"JP\0\1\0\0\0\1" + content_credentials()),
    (0xEC, b"[picture info]\r\nCamera=" + MARK + b"\r\nSerial#=" + MARK + b"\r\n"),
    (0xEF, b"Q" + MARK),
)

PLACES: Mapping[str, Hide] = {
    "jpeg EXIF of camera and owner": _jpeg(exif=camera_block),
    "jpeg EXIF of the place": _jpeg(exif=gps_block),
    "jpeg EXIF thumbnail": _jpeg(exif=thumbnail_block),
    "jpeg second EXIF": _two_blocks,
    "jpeg XMP": _jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp())),
    "jpeg extended XMP": _jpeg(*_extended_xmp()),
    "jpeg IPTC": _jpeg((0xED, _iptc())),
    "jpeg comment": _jpeg((0xFE, MARK)),
    "jpeg comment between scans": _between_scans,
    "jpeg Adobe segment": _jpeg((0xEE, b"Adobe\0\x64\0\0\0\0\1" + MARK)),
    "jpeg JFXX thumbnail": _jpeg((0xE0, b"JFXX\0\x10" + _thumbnail())),
    "jpeg segments of devices": _jpeg(*_DEVICE_SEGMENTS),
    "jpeg several pictures": _pictures,
    "jpeg motion photo": _motion_photo,
    "jpeg behind the end": _jpeg(behind=gps_block(1) + MARK),
    "png texts": _png(_text_chunks()),
    "png texts behind the pixels": _png(last=_text_chunks()),
    "png EXIF of camera and owner": _png(exif=camera_block),
    "png EXIF of the place": _png(exif=gps_block),
    "png EXIF in text": _raw_profile,
    "png XMP": _png(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp())),
    "png time": _png(png_chunk(b"tIME", struct.pack(">HBBBBB", 2026, 11, 22, 8, 15, 30))),
    "png content credentials": _png(png_chunk(b"caBX", content_credentials())),
    "png private chunk": _png(png_chunk(b"prVt", MARK)),
    "png behind the end": _png(behind=MARK),
    "webp EXIF of camera and owner": _webp(exif=camera_block),
    "webp EXIF of the place": _webp(exif=gps_block),
    "webp XMP": _webp(xmp=xmp()),
    "webp private chunk": _webp(more=_riff_chunk(b"prVt", MARK)),
    "webp content credentials": _webp(more=_riff_chunk(b"C2PA", content_credentials())),
    "webp behind the end": _webp(behind=MARK),
    "heic EXIF of camera and owner": _heic(exif=camera_block),
    "heic EXIF of the place": _heic(exif=gps_block),
    "heic XMP": _heic(xmp=xmp()),
    "heic name": _heic(name=MARK),
    "heic motion photo": _heic(behind=box(b"mpvd", _film())),
    "heic private box": _heic(behind=box(b"uuid", bytes(16), MARK)),
}
"""Where a photo can hide something, by name; the first word is the format."""

PROFILED: Mapping[str, Hide] = {
    "jpeg": _jpeg(icc=display_p3()),
    "png": lambda orientation: encoded(
        stored_scene(orientation), "PNG", exif=orientation_block(orientation), icc_profile=display_p3()
    ),
    "webp": _webp(icc_profile=display_p3()),
    "heic": _heic(icc=display_p3()),
}
"""Photos in the wide colours of a phone, whose profile names its maker."""
