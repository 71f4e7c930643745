"""What each detector was seen to do: one row for each injected failure, written into the docs.

`python -m tests.scenario.detector_rows` plays all of them and prints the table, with its heading.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module

MODULES = ("tests.scenario.wait_rows", "tests.scenario.pattern_rows")
"""Each has `measure_rows() -> Iterator[Row]`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One injected failure and what came of it.

    Attributes:
        number: As in the list of failures that the detectors are held to.
        injection: What was made to go wrong, on the version on trial unless it says otherwise.
        detector: What fired, and what followed.
        fired_after: How long after the failure could first show, or after how many tasks.
        silent: The look-alike at which nothing fired; empty without one.
    """

    number: int
    injection: str
    detector: str
    fired_after: str
    silent: str = ""


def render_page(rows: Iterable[Row]) -> str:
    """Return the page of all rows, in Markdown."""
    lines = [
        "# What the detectors detect",
        "",
        "Each row is a failure that was injected into a fleet in virtual time, what fired, how",
        "long after it was there to be seen, and a look-alike with what was said of that. The",
        "table is written by playing them: `python -m tests.scenario.detector_rows`.",
        "",
        "| # | what goes wrong | what fires | after | stays silent |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.number} | {row.injection} | {row.detector} | {row.fired_after} | {row.silent} |"
        for row in sorted(rows, key=lambda row: row.number)
    ]
    return "\n".join(lines) + "\n"


def measure_all() -> Iterator[Row]:
    """Play everything."""
    for module in MODULES:
        measure: Callable[[], Iterator[Row]] = import_module(module).measure_rows
        yield from measure()


if __name__ == "__main__":
    sys.stdout.write(render_page(measure_all()))
