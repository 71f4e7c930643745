"""Options that several commands share, so that they are named and explained the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:8787"

AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print JSON, in the API's own form where it has one.", show_default=False
    ),
]
Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="ROLEWISE_URL",
        help="Where Rolewise serves its API; a token is taken from ROLEWISE_TOKEN.",
    ),
]
To = Annotated[
    str,
    typer.Option(
        "--to", help="A release of the fleet's file, or role=version,role=version.", metavar="X"
    ),
]
Data = Annotated[Path, typer.Option("--data", help="Folder of the embedded store.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the log.")]
Timeout = Annotated[
    str,
    typer.Option(
        "--timeout",
        help="Longest wait, such as 90s or 1h30m; without it there is no limit.",
        metavar="DURATION",
        show_default=False,
    ),
]


def seconds_of(text: str, option: str) -> float:
    """Read a duration that was given with an option.

    Raises:
        RolewiseError: `bad_input`.
    """
    from rolewise.coordinator.errors import RolewiseError
    from rolewise.fleet.spec.values import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise RolewiseError("bad_input", f"{option} = {text!r}: {error}") from None


def limit_of(text: str) -> float | None:
    """Read `--timeout`; None when it was not given."""
    return seconds_of(text, "--timeout") if text else None
