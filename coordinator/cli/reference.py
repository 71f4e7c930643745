"""The reference page of the command line, written from the commands themselves.

`python -m rolewise.coordinator.cli.reference` writes it anew; a test fails while it is not what
the commands say.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from rolewise.coordinator.cli.main import app

PAGE = "docs/reference/cli.md"

_HEAD = """\
# Command line

Written from the commands in `coordinator/cli`; change them, not this page.

Exit codes: 0 done; 1 rolled back or failed; 2 bad input, or a verb that is refused; 3 paused for a
person, or the time is over; 4 Rolewise cannot be reached; 130 ended by Ctrl-C.

Results go to the standard output, errors and remarks to the standard error. With `--json` both are
JSON, in the forms of the REST API; a rollout that is watched gives one event a line. The first
line of an error says what is wrong, the second what to try. On a terminal the output is coloured
and a watched rollout is redrawn in place; in a pipe, or with `NO_COLOR` or `CI` set, it is plain
lines without control codes.
"""


def write_reference() -> str:
    """Return the page as Markdown: what each command says of itself."""
    return _HEAD + "".join(
        f"\n## {' '.join(('rolewise', *path))}\n\n```\n{_help(path)}\n```\n" for path in commands()
    )


def commands() -> tuple[tuple[str, ...], ...]:
    """Return all commands, each as the words that call it."""
    return tuple(_paths(typer.main.get_command(app)))


def _paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path
        return
    for name, one in inner.items():
        yield from _paths(one, (*path, name))


def _help(path: tuple[str, ...]) -> str:
    runner = CliRunner(env={"COLUMNS": "100", "TERM": "dumb"})
    text = runner.invoke(app, [*path, "--help"], prog_name="rolewise").stdout
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


if __name__ == "__main__":
    Path(PAGE).write_text(write_reference(), encoding="utf-8")
