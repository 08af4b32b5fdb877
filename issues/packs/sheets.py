"""Reading a pack's sheets: YAML and CSV into the forms of `schema`, with the line of everything that is wrong."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from issues.packs.problems import Findings
from issues.packs.salvage import salvage

SheetT = TypeVar("SheetT", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML whose dates stay text: the forms read them, and say where one is impossible."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

# pydantic's wording is for programmers where it speaks of types; these are for whoever fills in the sheet.
_PLAIN = {
    "missing": "this is missing",
    "extra_forbidden": "there is no such key; is it misspelt?",
    "string_type": "this must be text; put it in quotes",
    "string_pattern_mismatch": "this must be a short code: small letters without accents, digits, - and _",
}


def read_sheet(folder: Path, name: str, form: type[SheetT], findings: Findings) -> SheetT | None:
    """Read a YAML sheet; what is wrong with it is among the findings.

    Returns:
        The sheet; with mistakes in it, as far as it can be read (see `salvage`); None where it cannot be read at all.
    """
    text = read_text(folder, name, findings)
    if text is None:
        return None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        content = loader.construct_document(root) if root else None
    except (yaml.YAMLError, ValueError) as error:
        findings.error(name, _mark(error), f"this is not YAML: {_reason(error)}")
        return None
    if root is None:
        findings.error(name, "", "the file is empty")
        return None
    for line, key in _repeated_keys(root):
        findings.error(name, f"line {line}", f"the key {key} is there twice")
    try:
        return form.model_validate(content)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            findings.error(name, _where(root, detail["loc"]), _in_plain_words(detail))
        return salvage(form, content) if isinstance(content, dict) else None


def read_lines(folder: Path, name: str, form: type[SheetT], findings: Findings) -> list[tuple[int, SheetT]]:
    """Read the lines of a CSV sheet, each with its line number; what is wrong with them is among the findings.

    Lines with mistakes in them come as far as they can be read (see `salvage`).
    """
    lines = []
    for line, row in read_rows(folder, name, tuple(form.model_fields), findings):
        cells = {column: cell or None for column, cell in row.items()}
        try:
            lines.append((line, form.model_validate(cells)))
        except ValidationError as error:
            lines.append((line, salvage(form, cells)))
            for detail in error.errors(include_url=False):
                column = ".".join(map(str, detail["loc"]))
                findings.error(name, f"line {line}, {column}", _in_plain_words(detail))
    return lines


def read_rows(
    folder: Path, name: str, columns: Sequence[str], findings: Findings, *, encoding: str | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Read the given columns of a CSV file (comma or semicolon), line by line with the line's number.

    A byte-order mark, as spreadsheets leave it, is dropped; blank lines and lines that start with # are skipped.
    """
    text = read_text(folder, name, findings, encoding=encoding)
    if text is None:
        return
    lines = csv.DictReader(io.StringIO(text), delimiter=delimiter_of(text))
    try:
        missing = [column for column in columns if column not in (lines.fieldnames or ())]
        if missing:
            findings.error(name, "line 1", f"these columns are missing: {', '.join(missing)}")
            return
        for row in lines:
            cells = {column: (row[column] or "").strip() for column in columns}
            if any(cells.values()) and not (next(iter(row.values()), "") or "").startswith("#"):
                yield lines.line_num, cells
    except csv.Error as error:
        findings.error(name, f"line {lines.line_num}", f"the rest cannot be read: {error}")


def delimiter_of(text: str) -> str:
    """What stands between the columns of a CSV file: the commonest in its first line of semicolon, tab and comma."""
    header = text.split("\n", 1)[0]
    return max(",;\t", key=header.count)


def read_text(folder: Path, name: str, findings: Findings, *, encoding: str | None = None) -> str | None:
    """Read a text file of the pack, unpacking it if its name ends in .gz; None where that fails.

    It has to be UTF-8 unless its encoding is named, or a byte-order mark says UTF-16.
    """
    try:
        content = (folder / name).read_bytes()
        content = gzip.decompress(content) if name.endswith(".gz") else content
        in_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        return content.decode(encoding or ("utf-16" if in_utf16 else "utf-8-sig"))
    except LookupError:
        findings.error(name, "", f"unknown encoding {encoding}")
    except FileNotFoundError:
        findings.error(name, "", "there is no such file")
    except UnicodeDecodeError as error:
        remedy = "save it as UTF-8, or say with encoding: what it is where city.yml names it"
        findings.error(name, "", f"the file is not {encoding or 'UTF-8'} (byte {error.start}); {remedy}")
    except (OSError, EOFError, zlib.error) as error:
        findings.error(name, "", f"the file cannot be read: {error}")
    return None


def _where(root: yaml.Node, path: tuple[int | str, ...]) -> str:
    """The line of an entry and the way to it; the line of what should hold it where it is missing."""
    node = root
    for step in path:
        below = _below(node, step)
        if below is None:
            break
        node = below
    way = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    return f"line {node.start_mark.line + 1}, {way}" if way else f"line {node.start_mark.line + 1}"


def _below(node: yaml.Node, step: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        entry: yaml.Node = node.value[step]
        return entry
    return None


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Keys that a mapping has twice, of which YAML would quietly keep the last."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, key.value
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _repeated_keys(entry)


def _in_plain_words(detail: ErrorDetails) -> str:
    if detail["input"] is None:
        return "this is empty"
    return _PLAIN.get(detail["type"], detail["msg"].removeprefix("Value error, "))


def _mark(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}" if mark is not None else ""


def _reason(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error)
