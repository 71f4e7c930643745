"""Reads recordings: files of task records, and files of recorded traces."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rolewise.coordinator.backtest.comparison import Comparison, ComparisonError, compare
from rolewise.coordinator.backtest.records import RecordError, parse_record
from rolewise.coordinator.backtest.rows import Row
from rolewise.coordinator.errors import RolewiseError
from rolewise.fleet.harness.trace_selection import parse_selector, select
from rolewise.fleet.harness.traces import Trace, TraceError, read_traces

FORMAT_HINT = "docs/judge.md, or rolewise judge --help"
_GZIP_MAGIC = b"\x1f\x8b"


def read_records(paths: Sequence[Path], *, weight: float | None = None) -> Iterator[Row]:
    """Yield the task records of files, in their order.

    Args:
        paths: JSON lines, plain or gzipped.
        weight: Percent, for lines that do not say it.

    Raises:
        RolewiseError: A file cannot be read, or a line is no task record: file, line, field.
    """
    for path in paths:
        for number, line in _lines(path):
            try:
                yield parse_record(line, weight=weight)
            except RecordError as error:
                raise _bad(f"{path}, line {number}: {error}") from None


def read_comparison(
    paths: Sequence[Path],
    *,
    stable: str,
    canary: str,
    role: str,
    keep_changed: bool,
) -> Comparison:
    """Read recorded traces and return the two sides of a trial; see `compare`.

    Raises:
        RolewiseError: A file or a selector is wrong, or the sides cannot be compared.
    """
    try:
        traces = [trace for path in paths for trace in read_traces(path)]
        _refuse_twice(traces)
        return compare(
            select(traces, parse_selector(stable)),
            select(traces, parse_selector(canary)),
            role=role,
            keep_changed=keep_changed,
        )
    except (TraceError, ComparisonError) as error:
        raise _bad(str(error)) from None


def _refuse_twice(traces: Sequence[Trace]) -> None:
    known: set[str] = set()
    for trace in traces:
        if trace.id in known:
            raise ComparisonError(f"trace_id = {trace.id!r} is in two files: want each once")
        known.add(trace.id)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    number = 0
    try:
        with path.open("rb") as file:
            is_packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        opener: Callable[..., Any] = gzip.open if is_packed else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise _bad(f"{path}, line {number + 1}: not UTF-8: {error.reason}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _bad(f"{path}, line {number + 1}: the gzip data is broken: {error}") from None
    except OSError as error:
        raise _bad(f"{path} cannot be read: {error.strerror or error}") from None


def _bad(message: str) -> RolewiseError:
    return RolewiseError("bad_input", message, hint=FORMAT_HINT)
