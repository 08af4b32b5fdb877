"""What making a photo safe costs beside plain Pillow, and whether the pictures are as good: `make bench-photos`.

Ours is the way of the worker: `media.decoders`, with the process that is forked and confined for the photo, its look at
the header, and the handing over of the answer. Plain is `bench.plain_pillow`: the whole photo decoded, transposed, two
Lanczos resizes, WebP of the same quality and method, in a forked process too, but with nothing around it. They take
turns at each photo, and the medians of their computing time and of the most memory that their process had (its peak
resident set, as the kernel tells the one who waits for it) are compared. Then the pictures of both, in sRGB.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pi_heif
from PIL import Image, ImageCms
from rich.console import Console
from rich.table import Table

from bench.likeness import psnr_db, ssim
from bench.stage import SEED
from media.decode import WEBP_METHOD, WEBP_QUALITY
from media.decoders import Decoders
from media.derive import Derivatives, Run
from media.headers import ImageFormat

_ROOT = Path(__file__).parent.parent
_PHONE_PHOTO = _ROOT / "tests" / "data" / "photos" / "good" / "IMG_2682.heic"
_CPU_AIM = 0.5
_MEMORY_AIM = 1.0
# As near as the plain picture is, at worst, to the pixels that it was compressed from: nobody sees more than that.
_LEAST_PSNR_DB = 33.0
_LEAST_SSIM = 0.97


@dataclass(frozen=True, slots=True)
class Cost:
    """What one photo cost: computing time in seconds, and the most memory of its process in bytes."""

    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much our pictures are like the plain ones, the worse of the two sizes."""

    psnr_db: float
    ssim: float


@dataclass(frozen=True, slots=True)
class Row:
    """One photo, measured in both ways."""

    name: str
    ours: Cost
    plain: Cost
    likeness: Likeness

    @property
    def cpu_ratio(self) -> float:
        """Our computing time in times the plain one."""
        return self.ours.cpu_s / self.plain.cpu_s

    @property
    def memory_ratio(self) -> float:
        """Our peak memory in times the plain one."""
        return self.ours.peak_bytes / self.plain.peak_bytes

    def faults(self) -> list[str]:
        """Name what misses its aim."""
        found = []
        if self.name.endswith("JPEG") and self.cpu_ratio > _CPU_AIM:
            found.append(f"{self.name}: CPU {self.cpu_ratio:.2f} of plain")
        if self.memory_ratio > _MEMORY_AIM:
            found.append(f"{self.name}: memory {self.memory_ratio:.2f} of plain")
        if self.likeness.psnr_db < _LEAST_PSNR_DB or self.likeness.ssim < _LEAST_SSIM:
            found.append(f"{self.name}: {self.likeness.psnr_db:.1f} dB, SSIM {self.likeness.ssim:.3f}")
        return found


class MeasuredDecoders(Decoders):
    """The worker's decoders, one at a time, which keep how the last one ended."""

    last: Run

    async def _run(self, source: BinaryIO, image_format: ImageFormat) -> Run:
        self.last = await super()._run(source, image_format)
        return self.last


def write_photos(folder: Path) -> dict[str, Path]:
    """Write what is measured: a phone's own HEIC, the same picture as JPEG, and in twice its size, with grain."""
    [heic] = [photo for photo in pi_heif.open_heif(_PHONE_PHOTO) if photo.info["primary"]]
    picture = heic.to_pillow().convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # as phones mostly are held: every picture has to be turned
    camera, large = folder / "camera.jpg", folder / "large.jpg"
    picture.save(camera, quality=92, exif=exif)
    doubled = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(SEED).normal(scale=3, size=(doubled.height, doubled.width, 1)).astype(np.int16)
    grainy = np.clip(np.asarray(doubled, dtype=np.int16) + grain, 0, 255).astype(np.uint8)
    Image.fromarray(grainy).save(large, quality=92, exif=exif)
    return {"12 MP JPEG": camera, "12 MP HEIC": _PHONE_PHOTO, "48 MP JPEG": large}


@contextmanager
def running_plain() -> Iterator["subprocess.Popen[str]"]:
    """Start the program of the plain way, and end it."""
    command = [sys.executable, "-m", "bench.plain_pillow", str(WEBP_QUALITY), str(WEBP_METHOD)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as program:
        yield program
        assert program.stdin is not None
        program.stdin.close()


def do_plainly(program: "subprocess.Popen[str]", photo: Path, pictures: Sequence[Path]) -> Cost:
    """Have the plain way make its pictures.

    Raises:
        RuntimeError: it made none.
    """
    assert program.stdin is not None
    assert program.stdout is not None
    print(photo, *pictures, sep="\t", file=program.stdin, flush=True)
    told = json.loads(program.stdout.readline())
    if told.pop("status") != 0:
        raise RuntimeError(f"plain Pillow makes no picture of {photo}")
    return Cost(**told)


async def do_ours(decoders: MeasuredDecoders, photo: Path) -> tuple[Cost, Derivatives]:
    """Make a photo safe as the worker does; what this process has to do for it is counted too.

    Raises:
        RuntimeError: it was rejected.
    """
    before_s = time.process_time()
    made = await decoders.make_safe(photo)
    if not isinstance(made, Derivatives):
        raise RuntimeError(f"{photo} is rejected: {made}")  # noqa: TRY004 - the type is the answer
    own_s = time.process_time() - before_s
    return Cost(decoders.last.cpu_s + own_s, decoders.last.peak_bytes), made


def in_srgb(picture: bytes) -> Image.Image:
    """Open a picture as a browser shows it: by its colour profile, where it has one."""
    image = Image.open(BytesIO(picture))
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    srgb = ImageCms.createProfile("sRGB")
    shown = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(BytesIO(profile)), srgb, outputMode="RGB")
    assert shown is not None
    return shown


def compare(made: Derivatives, plain: Sequence[bytes]) -> Likeness:
    """Measure how alike the pictures of both ways are."""
    pairs = [(in_srgb(our), in_srgb(their)) for our, their in zip((made.large, made.small), plain, strict=True)]
    return Likeness(min(psnr_db(*pair) for pair in pairs), min(ssim(*pair) for pair in pairs))


async def measure(photos: dict[str, Path], folder: Path, rounds: int) -> list[Row]:
    """Measure both ways in turns, photo after photo, after a first turn that does not count."""
    rows = []
    pictures = [folder / "large.webp", folder / "small.webp"]
    with closing(MeasuredDecoders(at_once=1)) as decoders, running_plain() as program:
        for name, photo in photos.items():
            ours, plain = [], []
            for _ in range(rounds + 1):
                cost, made = await do_ours(decoders, photo)
                ours.append(cost)
                plain.append(do_plainly(program, photo, pictures))
            likeness = compare(made, [picture.read_bytes() for picture in pictures])
            rows.append(Row(name, _median(ours[1:]), _median(plain[1:]), likeness))
    return rows


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.cpu_s for cost in costs), round(statistics.median(cost.peak_bytes for cost in costs))
    )


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table."""
    table = Table(title="Making a photo safe, beside plain Pillow")
    for heading in ("photo", "CPU ms", "plain", "ratio", "MB", "plain", "ratio", "PSNR dB", "SSIM"):
        table.add_column(heading, justify="left" if heading == "photo" else "right")
    for row in rows:
        ms, mb = (f"{1000 * way.cpu_s:.0f}" for way in (row.ours, row.plain)), _megabytes(row)
        alike = f"{row.likeness.psnr_db:.1f}", f"{row.likeness.ssim:.3f}"
        table.add_row(row.name, *ms, f"{row.cpu_ratio:.2f}", *mb, f"{row.memory_ratio:.2f}", *alike)
    console.print(table)
    console.print(f"aims: CPU {_CPU_AIM} or less for JPEG, memory {_MEMORY_AIM} or less;")
    console.print(f"      the worse picture at least {_LEAST_PSNR_DB} dB and SSIM {_LEAST_SSIM} to the plain one")


def _megabytes(row: Row) -> list[str]:
    return [f"{way.peak_bytes / 1e6:.0f}" for way in (row.ours, row.plain)]


def main() -> None:
    """Run the benchmark; a table, one line of JSON, and exit status 1 where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jalon-bench-") as name:
        folder = Path(name)
        rows = asyncio.run(measure(write_photos(folder), folder, options.rounds))
    show(rows, Console())
    missed = [fault for row in rows for fault in row.faults()]
    figures = {
        row.name: {
            "cpu_ms": round(1000 * row.ours.cpu_s),
            "cpu_ratio": round(row.cpu_ratio, 3),
            "peak_mb": round(row.ours.peak_bytes / 1e6),
            "memory_ratio": round(row.memory_ratio, 3),
            "psnr_db": round(row.likeness.psnr_db, 1),
            "ssim": round(row.likeness.ssim, 4),
        }
        for row in rows
    }
    print(json.dumps({"bench": "photos", "photos": figures, "missed": missed}))
    if missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
