"""ExifTool (Debian's libimage-exiftool-perl): a reader of metadata that has nothing to do with what makes pictures."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

# All that it has to say about a picture which is a single chunk of lossy WebP: what the pixels are, and of the file.
_OF_PIXELS = {
    *("File:FileType", "File:FileTypeExtension", "File:MIMEType", "Composite:ImageSize", "Composite:Megapixels"),
    *("RIFF:VP8Version", "RIFF:ImageWidth", "RIFF:ImageHeight", "RIFF:HorizontalScale", "RIFF:VerticalScale"),
}
_OF_FILES = ("SourceFile", "ExifTool:ExifToolVersion", "System:")


class ExifTool:
    """A running ExifTool, which reads as many files as it is given."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Talk to a process that was started with `-stay_open`."""
        self._process = process

    def read(self, *paths: Path) -> list[dict[str, Any]]:
        """Read all tags of files, or of all files in folders, by group and name such as `GPS:GPSLatitude`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        options = ["-json", "-r", "-a", "-u", "-ee", "-G1"]
        self._process.stdin.write("\n".join([*options, *map(str, paths), "-execute", ""]))
        self._process.stdin.flush()
        lines = list(takewhile(lambda line: line != "{ready}\n", self._process.stdout))
        found: list[dict[str, Any]] = json.loads("".join(lines) or "[]")
        return found


@contextmanager
def running_exiftool() -> Iterator[ExifTool]:
    """Start ExifTool once for many files; its start takes longer than most of them."""
    command = ["exiftool", "-stay_open", "True", "-@", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield ExifTool(process)
        assert process.stdin is not None
        process.stdin.write("-stay_open\nFalse\n")
        process.stdin.close()


def beyond_pixels(tags: Mapping[str, Any]) -> Sequence[str]:
    """Name what a public picture tells that is not about its pixels: a place, a device, an owner, or anything else."""
    return [name for name in tags if name not in _OF_PIXELS and not name.startswith(_OF_FILES)]
