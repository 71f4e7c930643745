"""Processes that can be killed and stopped, and the wires from them to the store and the fleet.

A call that has been sent goes on whatever becomes of its sender, as it does between processes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from rolewise.coordinator.store.port import StoreUnavailable
from rolewise.fleet.runtime import CapacityShort
from tests.faults.chaos.weather import Weather

COMMANDS = ("scale", "install", "drain")


class Killed(BaseException):
    """What a process that is dead meets at every call: it can do nothing any more, not even tidy
    up. No `except Exception` catches it."""


class Process:
    """A process: alive, stopped for a while, or dead for ever."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.main: asyncio.Task[None] | None = None
        self._goes = asyncio.Event()
        self._goes.set()

    @property
    def is_stopped(self) -> bool:
        return not self._goes.is_set()

    def kill(self) -> None:
        """As kill -9 does: nothing in it happens any more."""
        self.is_dead = True
        self._goes.set()
        if self.main is not None:
            self.main.cancel()

    def stop(self) -> None:
        """As SIGSTOP does."""
        self._goes.clear()

    def go_on(self) -> None:
        """As SIGCONT does."""
        self._goes.set()

    async def lives(self) -> None:
        """Return once the process may do the next thing."""
        while not self._goes.is_set():
            await self._goes.wait()
        if self.is_dead:
            raise Killed


class Wire:
    """The way from a process to the store or to the fleet.

    Args:
        port: What is at the other end.
        process: Who sends.
        weather: What goes wrong on the way.
        sent: Where calls are noted that go on by themselves.
    """

    def __init__(
        self, port: Any, process: Process, weather: Weather, sent: set[asyncio.Task[Any]]
    ) -> None:
        self._port = port
        self._process = process
        self._weather = weather
        self._sent = sent

    def _go(self, call: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(call)
        self._sent.add(task)
        task.add_done_callback(self._sent.discard)
        return task


class StoreWire(Wire):
    """To the store; `is_away` of the store itself is an outage for everybody."""

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        async def asked(*args: Any, **kwargs: Any) -> Any:
            await self._process.lives()
            weather = self._weather
            if self._port.is_away or weather.strikes("store: request lost"):
                raise StoreUnavailable("no connection")
            if weather.strikes("store: slow answer"):
                await asyncio.sleep(weather.late_s() / 4)
            answer = await call(*args, **kwargs)
            await self._process.lives()
            if weather.strikes("store: reply lost"):
                raise StoreUnavailable("connection lost")
            return answer

        return asked


class FleetWire(Wire):
    """To the fleet: commands may be lost, late, carried out twice, or fail."""

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        return self._commanded(call) if name in COMMANDS else self._read(call)

    def _read(self, call: Any) -> Any:
        async def asked(*args: Any, **kwargs: Any) -> Any:
            await self._process.lives()
            if self._weather.strikes("observation: lost"):
                raise ConnectionError("the fleet does not answer")
            answer = await call(*args, **kwargs)
            await self._process.lives()
            return answer

        return asked

    def _commanded(self, call: Any) -> Any:
        async def asked(*args: Any, **kwargs: Any) -> Any:
            await self._process.lives()
            weather = self._weather
            if weather.strikes("command: lost on its way"):
                raise ConnectionError("the fleet does not answer")
            if weather.strikes("command: carried out twice"):
                self._go(self._again(call, args, kwargs, weather.late_s()))
            late_s = weather.late_s() if weather.strikes("command: late") else 0.0
            answer = self._go(self._later(call, args, kwargs, late_s))
            result = await asyncio.shield(answer)
            await self._process.lives()
            if weather.strikes("command: reply lost"):
                raise ConnectionError("the fleet does not answer")
            return result

        return asked

    async def _later(self, call: Any, args: Any, kwargs: Any, late_s: float) -> Any:
        if late_s:
            await asyncio.sleep(late_s)
        if self._weather.strikes("command: failed"):
            raise RuntimeError("the cluster has hiccups")
        if self._weather.strikes("command: hopeless"):
            raise CapacityShort("the cluster has no room")
        return await call(*args, **kwargs)

    async def _again(self, call: Any, args: Any, kwargs: Any, late_s: float) -> None:
        await asyncio.sleep(late_s)
        with suppress(Exception):
            await call(*args, **kwargs)
