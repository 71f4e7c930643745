"""Named points at which a controller can be made to die: for tests, and in nobody's way otherwise.

All that a controller does to the world it does by a call of one of two ports, the store or the
runtime. So what its death can leave behind is what it leaves right before such a call, while one
is under way, or right after it; there are no other crash points. `watch` wraps a port so that a
function is called at each of them. Nothing is wrapped unless a test wants it: the controller gets
its ports passed in, and the actor asks `armed_by_file` once, when its process starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from rolewise.fleet.runtime import VersionDefinition

Passing = Callable[[str], Awaitable[None]]
"""Is told each point as it is passed, and may never return."""

ARMED_BY: Final = "ROLEWISE_CRASH_POINT_FILE"
"""Environment variable: a file that says where to get a signal, and which if it is not KILL, such
as `install.during` or `append.before 2 STOP`: when that point is passed for the second time."""

Port = TypeVar("Port")


def _append_point(_stream: str, entries: Sequence[bytes], **_: Any) -> str:
    kind = json.loads(entries[0]).get("type") if entries[0].startswith(b"{") else ""
    return "acknowledge" if kind == "CommandAcknowledged" else "append"


def _scale_point(_version: VersionDefinition, replicas: int, **_: Any) -> str:
    return "start" if replicas else "stop"


_POINTS: Final[dict[str, Callable[..., str]]] = {
    "acquire": lambda *_, **__: "lease",
    "append": _append_point,
    "put": lambda *_, **__: "save",
    "fence": lambda *_, **__: "fence",
    "scale": _scale_point,
    "install": lambda *_, **__: "install",
    "drain": lambda *_, **__: "drain",
}
"""Method of a port -> the name of what it does. Reads leave nothing behind and are left out."""

CALLS: Final = (
    "lease",
    "fence",
    "append",
    "acknowledge",
    "save",
    "start",
    "install",
    "drain",
    "stop",
)
MOMENTS: Final = ("before", "during", "after")
POINTS: Final = tuple(f"{call}.{moment}" for call in CALLS for moment in MOMENTS)
"""Every point. `during` is a moment at which the call has been sent and goes on by itself."""


class _Watched:
    """A port whose calls are told of."""

    def __init__(self, port: Any, passing: Passing) -> None:
        self._port = port
        self._passing = passing

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        point = _POINTS.get(name)
        return call if point is None else self._told(call, point)

    def _told(self, call: Callable[..., Any], point: Callable[..., str]) -> Callable[..., Any]:
        async def told(*args: Any, **kwargs: Any) -> Any:
            name = point(*args, **kwargs)
            await self._passing(f"{name}.before")
            answer = asyncio.ensure_future(call(*args, **kwargs))
            try:
                await asyncio.sleep(0)  # so that it is sent
                await self._passing(f"{name}.during")
                result = await answer
            finally:
                answer.cancel()
            await self._passing(f"{name}.after")
            return result

        return told


def watch(port: Port, passing: Passing) -> Port:
    """Return a store or a runtime that tells of each point as it is passed."""
    return cast("Port", _Watched(port, passing))


def armed_by_file() -> Passing | None:
    """Return what sends this process a signal at the point that the file names; None without one.

    The file is removed first, so that the next life of the process passes by.
    """
    name = os.environ.get(ARMED_BY)
    if not name:
        return None
    file, passed = Path(name), Counter[str]()

    def meet(point: str) -> None:
        passed[point] += 1
        wanted = file.read_text(encoding="utf-8").split() if file.exists() else []
        if not wanted or wanted[0] != point:
            return
        times, kind = (*wanted[1:], *("1", "KILL")[len(wanted) - 1 :])[:2]
        if passed[point] >= int(times):
            file.unlink()
            os.kill(os.getpid(), signal.Signals[f"SIG{kind}"])

    async def passing(point: str) -> None:
        meet(point)

    return passing
