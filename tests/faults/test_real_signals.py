"""Controllers in processes of their own, a real store, real signals; no Ray."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rolewise.coordinator.crash_points import ARMED_BY
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.events import TakenOver
from rolewise.coordinator.rollout.requests import Promote
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.redis import RedisStore, connect_store
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.spec import role_settings
from tests.faults.chaos.fleets import FLEET, definitions, plan, registration, spec_of
from tests.faults.controller_process import SHAPE, Desk
from tests.faults.test_crash_points import RUNS, bare_log, undisturbed

ROOT = Path(__file__).parents[2]
SOON_S = 200.0
"""Ample for what takes a second: the machine may be busy."""

DEATHS = ("append.after", "install.during", "drain.during")


@dataclass
class Scene:
    """A fleet in this process, and controllers in others."""

    folder: Path
    url: str
    store: RedisStore
    journal: Journal
    fleet: LocalRuntime
    desk: Desk
    controllers: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def armed(self) -> Path:
        return self.folder / "crash-point"

    async def lead(self) -> asyncio.subprocess.Process:
        """Start a controller; it is up when it leads or waits."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.controller_process",
            str(self.folder / "fleet"),
            self.url,
            f"controller-{len(self.controllers) + 1}",
            cwd=ROOT,
            env={**os.environ, ARMED_BY: str(self.armed)},
        )
        self.controllers.append(process)
        return process

    async def until(self, rollout: str, holds: Callable[[Rollout], bool]) -> Rollout:
        state = await self.journal.rollout(rollout)
        async with asyncio.timeout(SOON_S):
            while not holds(state):
                await self.journal.wait(rollout, after=state.sequence, timeout_s=SOON_S)
                state = await self.journal.rollout(rollout)
        return state

    async def start(self) -> str:
        wanted = plan(SHAPE, RUNS, "v2")
        return (await self.journal.start(FLEET, wanted, by="ana", salt="salt")).rollout

    async def say_yes(self, rollout: str) -> None:
        await self.until(rollout, lambda state: state.phase is Phase.PAUSED)
        now = datetime.now(UTC)
        await self.journal.request(rollout, Promote(at=now, by="ana"))


def on_scene(folder: Path, story: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        with EmbeddedServer(folder / "store") as server:
            async with scene(folder, server.url) as opened:
                await story(opened)

    undisturbed("forwards")  # played now: one event loop at a time
    asyncio.run(main())


@asynccontextmanager
async def scene(folder: Path, url: str) -> AsyncIterator[Scene]:
    store = await connect_store(url)
    journal = Journal(store, lambda: datetime.now(UTC))
    entry = registration(SHAPE)
    await journal.register(entry)
    fleet = LocalRuntime(entry=("entry",), seed=1)
    for role, version in entry.release.items():
        replicas = role_settings(spec_of(SHAPE), role).replicas
        await fleet.scale(definitions(SHAPE)[role, version], replicas, fencing=0)
    await fleet.install(entry.table, fencing=0)
    opened = Scene(folder, url, store, journal, fleet, Desk(fleet))
    try:
        async with opened.desk.serve(folder / "fleet"):
            yield opened
    finally:
        for process in opened.controllers:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await store.close()


def test_a_leader_that_slept_finds_itself_replaced(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.armed.write_text("install.before 1 STOP")
        first = await scene.lead()
        rollout = await scene.start()
        async with asyncio.timeout(SOON_S):
            while scene.armed.exists():
                await scene.journal.wait(rollout, after=10**6, timeout_s=0.05)
        await scene.lead()
        await scene.until(rollout, lambda state: state.phase is Phase.PAUSED)
        assert scene.desk.refused == []
        first.send_signal(signal.SIGCONT)
        async with asyncio.timeout(SOON_S):
            await scene.desk.news.wait()
        assert scene.desk.refused == ["install"]
        assert first.returncode is None, "it stands by"
        first.kill()
        await scene.say_yes(rollout)
        await scene.say_yes(rollout)
        state = await scene.until(rollout, lambda state: state.phase.is_final)
        assert state.phase is Phase.COMPLETED
        events = [event for _, event in await scene.journal.events(rollout)]
        lines = [event for event in events if isinstance(event, TakenOver)]
        # More than one only where the machine is so slow that a lease runs out meanwhile.
        assert {line.holder for line in lines} == {"controller-2"}
        assert len(lines) == len({line.fencing for line in lines})
        assert bare_log(events) == undisturbed("forwards").told.log

    on_scene(tmp_path, story)


def test_a_controller_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        rollout = ""
        for point in DEATHS:
            scene.armed.write_text(point)
            dying = await scene.lead()
            rollout = rollout or await scene.start()
            yes = asyncio.create_task(scene.say_yes(rollout))
            async with asyncio.timeout(SOON_S):
                assert await dying.wait() == -signal.SIGKILL, point
            yes.cancel()
        await scene.lead()
        while not (state := await scene.journal.rollout(rollout)).phase.is_final:
            if state.phase is Phase.PAUSED:
                await scene.say_yes(rollout)
            else:
                await scene.until(
                    rollout, lambda state: state.phase.is_final or state.phase is Phase.PAUSED
                )
        events = [event for _, event in await scene.journal.events(rollout)]
        assert bare_log(events) == undisturbed("forwards").told.log
        fencings = [event.fencing for event in events if isinstance(event, TakenOver)]
        assert len(fencings) >= len(DEATHS)
        assert fencings == sorted(set(fencings))

    on_scene(tmp_path, story)
