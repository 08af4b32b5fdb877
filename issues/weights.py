"""What each factor is worth when reports are matched: learned numbers, in a file that people can read.

A file holds one table for each kind of thing that reports are about: `point` (a lamp, a sign), `stretch` (potholes,
which are reported along a block), `premises` (what belongs to one address), and `any` for the rest. All numbers are
log-odds (natural logarithm): 0.7 doubles the odds, -0.7 halves them. Pure, but for reading the file.
"""

from __future__ import annotations

import math
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

ANY_KIND: Final = "any"

_CURVES: Final = frozenset({"distance", "age", "house_numbers"})


class WeightsUnreadable(Exception):
    """A file of weights that is not what it should be."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where, self.problem = where, problem


@dataclass(frozen=True, slots=True)
class Curve:
    """Log-odds by a measured value: straight lines between the points, level beyond the first and the last."""

    at: tuple[float, ...]
    log_odds: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is no curve.

        Raises:
            ValueError: of unequal or no length, not rising in `at`, or not finite.
        """
        if not self.at or len(self.at) != len(self.log_odds):
            raise ValueError("a curve needs as many log_odds as places in at, and one at least")
        if any(b <= a for a, b in zip(self.at, self.at[1:], strict=False)):
            raise ValueError("at must rise")
        if not all(map(math.isfinite, (*self.at, *self.log_odds))):
            raise ValueError("a curve is made of finite numbers")

    def of(self, value: float) -> float:
        """The log-odds at a value."""
        after = bisect_right(self.at, value)
        if after == 0:
            return self.log_odds[0]
        if after == len(self.at):
            return self.log_odds[-1]
        share = (value - self.at[after - 1]) / (self.at[after] - self.at[after - 1])
        return self.log_odds[after - 1] + share * (self.log_odds[after] - self.log_odds[after - 1])


@dataclass(frozen=True, slots=True)
class KindWeights:
    """The learned numbers for one kind of thing.

    Attributes:
        extent_m: How far around the thing people stand, or the clerk's address lies (one standard deviation).
        bias: Where the sum begins.
        distance: By metres between positions as good as those that were learned from (`geo.closeness`).
        beside_street: Times what the distance says, where both addresses are known, which then say most. Set by
            judgement: the labelled positions are those of the addresses.
        age: By days since the last report.
        sibling: The issue is of a sibling service.
        crowding: Times ln(1 + others), of the other open ones near (`issues.match.crowd_of`).
        repeated: The issue has several reports: what one more person saw, the next sees too.
        house_numbers: On the same street, by how far the numbers are apart.
        same_block: The numbers share their hundreds.
        other_street: Both addresses are known and lie on different streets.
        same: From this probability on, two reports are more usefully taken for one than for two (best F1).
        join: From here on at least 95 in 100 were right where there were labels.
    """

    extent_m: float
    bias: float
    distance: Curve
    beside_street: float
    age: Curve
    sibling: float
    crowding: float
    repeated: float
    house_numbers: Curve
    same_block: float
    other_street: float
    same: float
    join: float


@dataclass(frozen=True, slots=True)
class Weights:
    """All numbers that a score is made of.

    The last four stand for factors that no labelled set has: they are set by judgement, and what words and photos
    add never counts towards joining unasked.

    Attributes:
        kinds: The learned ones; there is always one for `any`.
        same_service: The issue is of the report's own service, as all were that the others were learned from.
        came_back: The issue was resolved a short while ago.
        words: By the likeness of the descriptions (0 to 1).
        photos: By how many of 64 bits the most alike photos' difference hashes differ in.
    """

    kinds: Mapping[str, KindWeights]
    same_service: float
    came_back: float
    words: Curve
    photos: Curve

    def of_kind(self, kind: str) -> KindWeights:
        """The numbers for a kind; those for `any` where the file has none of its own."""
        return self.kinds.get(kind) or self.kinds[ANY_KIND]


@cache
def built_in_weights() -> Weights:
    """The weights that come with Jalon."""
    return parse_weights(files("issues").joinpath("weights.toml").read_text(encoding="utf-8"), where="weights.toml")


@cache
def starting_weights() -> Weights:
    """The weights that learning starts from, set by judgement."""
    name = "starting_weights.toml"
    return parse_weights(files("issues").joinpath(name).read_text(encoding="utf-8"), where=name)


def parse_weights(text: str, *, where: str) -> Weights:
    """Read a file of weights.

    Args:
        text: TOML, as `write_weights` makes it.
        where: What to call the file in an error.

    Raises:
        WeightsUnreadable: it is not TOML, lacks a number, or has one that makes no sense.
    """
    try:
        sheet = tomllib.loads(text)
        kinds = {
            name: _kind_of(table) for name, table in {ANY_KIND: sheet["kinds"][ANY_KIND], **sheet["kinds"]}.items()
        }
        judged = sheet["judged"]
        return Weights(
            kinds=kinds,
            same_service=float(judged["same_service"]),
            came_back=float(judged["came_back"]),
            words=_curve_of(judged["words"]),
            photos=_curve_of(judged["photos"]),
        )
    except KeyError as missing:
        raise WeightsUnreadable(where, f"{missing.args[0]} is missing") from missing
    except (TypeError, ValueError, AttributeError) as error:
        raise WeightsUnreadable(where, str(error)) from error


def write_weights(weights: Weights, *, heading: str) -> str:
    """Write weights as TOML that people can read, change and check in.

    Args:
        weights: What to write.
        heading: Lines for the top, without marks: where the numbers come from.
    """
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for name, kind in weights.kinds.items():
        lines += ["", f"[kinds.{name}]"]
        lines += [f"{field} = {_toml(getattr(kind, field))}" for field in KindWeights.__slots__]
    lines += ["", "[judged]"]
    lines += [
        f"{field} = {_toml(getattr(weights, field))}" for field in ("same_service", "came_back", "words", "photos")
    ]
    return "\n".join(lines) + "\n"


def _kind_of(table: Mapping[str, Any]) -> KindWeights:
    unknown = set(table) - set(KindWeights.__slots__)
    if unknown:
        raise ValueError(f"{min(unknown)} is no factor")
    values: dict[str, Any] = {
        field: _curve_of(table[field]) if field in _CURVES else float(table[field]) for field in KindWeights.__slots__
    }
    if not all(math.isfinite(value) for value in values.values() if isinstance(value, float)):
        raise ValueError("weights are finite numbers")
    if min(values["extent_m"], values["beside_street"]) < 0.0:
        raise ValueError("extent_m and beside_street cannot be negative: nearer would be less likely")
    return KindWeights(**values)


def _curve_of(table: Mapping[str, Any]) -> Curve:
    return Curve(tuple(map(float, table["at"])), tuple(map(float, table["log_odds"])))


def _toml(value: float | Curve) -> str:
    if isinstance(value, Curve):
        return f"{{ at = {_list(value.at)}, log_odds = {_list(value.log_odds)} }}"
    return f"{value:.3f}"


def _list(numbers: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{round(number, 3) + 0.0:g}" for number in numbers) + "]"
