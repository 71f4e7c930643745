"""A server for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.api.world import World, build_world


@pytest.fixture
async def world() -> World:
    return await build_world()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.at() as client:
        yield client
