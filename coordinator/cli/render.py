"""The only place that prints: lines, JSON, errors, and the live screen of a watched rollout.

On a terminal lines are folded to its width and coloured. Everywhere else (a pipe, `CI`,
`NO_COLOR`, `TERM=dumb`) every line is printed as it is, without control codes. Where the output
is not UTF-8, symbols are written in ASCII.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.padding import Padding

    from rolewise.coordinator.errors import RolewiseError

ASCII = str.maketrans(
    {
        "✓": "ok",
        "▶": ">",
        "❚": "|",
        "○": ".",
        "✗": "x",
        "·": "-",
        "→": "->",
        "−": "-",  # noqa: RUF001 (the minus of the judge's sentences)
        "…": "...",
        "≥": ">=",
        "≤": "<=",
        "█": "#",
        "├": "|",
        "└": "`",
        "│": "|",
        "─": "-",
        "↑": "^",
        "░": ".",
    }
)
STYLES = {
    r"(?P<good>✓|\bcompleted\b)": "green",
    r"(?P<bad>✗|\brolled back\b|\bHARM\b)": "red",
    r"(?P<now>▶|█+)": "blue",
    r"(?P<held>❚❚|\bpaused\b|^! )": "yellow",
}

HINTS = {
    "plan_refused": "rolewise plan FILE|FLEET --to X, once the file or the target is right",
    "unknown_fleet": "rolewise status",
    "unknown_rollout": "rolewise rollout list",
    "verb_refused": "rolewise rollout status ID",
    "stale_sequence": "rolewise rollout status ID",
    "unauthorized": "put a token of the server's token file into ROLEWISE_TOKEN",
    "forbidden": "a token with more rights in ROLEWISE_TOKEN",
    "too_many_tasks": "again in a moment",
    "key_reused": "another --key, or none",
}
"""What to try where an error does not say it itself."""


def is_plain(stream: TextIO) -> bool:
    """Tell whether a stream takes plain lines only."""
    asked = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return bool(asked) or not stream.isatty()


def say(*lines: str) -> None:
    """Print lines for people."""
    _write(sys.stdout, lines)


def note(*lines: str) -> None:
    """Print lines for people beside the result: they do not go into a pipe."""
    _write(sys.stderr, lines)


def is_live() -> bool:
    """Tell whether a screen can be redrawn in place."""
    return not is_plain(sys.stdout)


def say_json(text: str) -> None:
    """Print JSON as it is."""
    say_file(f"{text}\n")


def say_data(data: Any) -> None:
    """Print plain values as JSON, keys in their order."""
    say_json(json.dumps(data, indent=2, ensure_ascii=False))


def say_file(text: str) -> None:
    """Print text for another program: always UTF-8, as JSON must be."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(text)
    sys.stdout.flush()


def complain(error: RolewiseError, *, as_json: bool = False) -> None:
    """Print an error: first what is wrong, then what to try."""
    if as_json:
        told = {
            "code": error.kind.code,
            "title": error.kind.title,
            "detail": error.message,
            "hint": error.hint,
            "details": list(error.details),
        }
        print(json.dumps(told), file=sys.stderr, flush=True)
        return
    first, *more = error.message.splitlines() or [error.kind.title]
    if error.kind.code == "verb_refused" and error.details:
        more.append(f"allowed now: {', '.join(error.details)}")
    else:
        more += [detail for detail in error.details if detail not in {first, *more}]
    hint = error.hint or HINTS.get(error.kind.code, "rolewise --help")
    _write(sys.stderr, [f"error: {first}", f"try:   {hint}", *(f"  {line}" for line in more)])


def complain_of_fault() -> None:
    """Print the traceback of a fault in Rolewise itself, for whoever asked to see it."""
    import traceback

    traceback.print_exc()


class Screen:
    """The live screen, redrawn in place; what does not fit into the terminal is cut below."""

    def __init__(self) -> None:
        from rich.live import Live

        self._console = _console(sys.stdout)
        self._live: Live = Live(
            console=self._console, auto_refresh=False, vertical_overflow="crop", transient=True
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._live.stop()

    def draw(self, lines: Iterable[str]) -> None:
        """Show these lines instead of the last ones."""
        from rich.console import Group

        shown = Group(*(_folded(line, self._console) for line in lines))
        self._live.update(shown, refresh=True)


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    if is_plain(stream):
        for line in lines:
            print(_fit(line, stream.encoding), file=stream, flush=True)
        return
    console = _console(stream)
    for line in lines:
        console.print(_folded(line, console))


def _folded(line: str, console: Console) -> Padding:
    """Return a line that, where it is too long, goes on below its own beginning."""
    from rich.padding import Padding

    text = line.lstrip(" ")
    shown = console.render_str(_fit(text, console.encoding), markup=False)
    return Padding(shown, (0, 0, 0, len(line) - len(text)))


def _console(stream: TextIO) -> Console:
    from rich.console import Console
    from rich.highlighter import RegexHighlighter
    from rich.theme import Theme

    class Symbols(RegexHighlighter):
        """Colours symbols and the words of an ending."""

        highlights = list(STYLES)

    names = {pattern.split(">")[0].split("<")[1]: style for pattern, style in STYLES.items()}
    return Console(
        file=stream, theme=Theme(names), highlighter=Symbols(), emoji=False, markup=False
    )


def _fit(text: str, encoding: str) -> str:
    """Return the text in what a stream of this encoding can write."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(ASCII).encode(encoding, "replace").decode(encoding)
    return text
