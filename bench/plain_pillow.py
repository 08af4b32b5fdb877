"""What anybody would write for making pictures of a photo, to be measured beside our way: `bench.photo_costs`.

`python -m bench.plain_pillow QUALITY METHOD` takes lines of a photo's path and of two paths for its pictures, parted
by tabs, and answers each with a line of JSON: what the child used that made them. As in `media.darkroom` the
libraries are loaded once, and each photo has a process of its own; nothing confines it.
"""

import json
import os
import sys
from pathlib import Path

import pi_heif
from PIL import Image, ImageOps

from media.outcome import LARGE_PX, SMALL_PX


def make_pictures(photo: Path, large: Path, small: Path, *, quality: int, method: int) -> None:
    """Decode the whole photo, turn it upright, scale it down twice, and write both pictures with its colour profile."""
    with Image.open(photo) as image:
        upright = ImageOps.exif_transpose(image)
        profile = image.info.get("icc_profile", b"")
    picture = upright
    for path, longest in ((large, LARGE_PX), (small, SMALL_PX)):
        # Both by one filter, the small one from the large one: cheaper than from the whole, and as good.
        picture = picture.resize(_fit(picture.size, longest), Image.Resampling.LANCZOS)
        picture.save(path, "WEBP", quality=quality, method=method, icc_profile=profile)


def _fit(size: tuple[int, int], longest: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(size))
    return round(size[0] * scale), round(size[1] * scale)


def main() -> None:
    """Make pictures until there are no more lines."""
    quality, method = map(int, sys.argv[1:])
    Image.preinit()
    pi_heif.register_heif_opener()
    for line in sys.stdin:
        photo, large, small = map(Path, line.rstrip("\n").split("\t"))
        child = os.fork()
        if child == 0:
            make_pictures(photo, large, small, quality=quality, method=method)
            os._exit(0)
        _, status, used = os.wait4(child, 0)
        told = {
            "status": os.waitstatus_to_exitcode(status),
            "cpu_s": used.ru_utime + used.ru_stime,
            "peak_bytes": used.ru_maxrss * 1024,
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
