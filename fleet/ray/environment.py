"""What a version runs in: its Ray runtime environment, and where its modules are found."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from typing import Any

from rolewise.fleet.runtime import VersionDefinition


def read_search_path() -> tuple[str, ...]:
    """Return the folders of this process's `sys.path` that no installation explains.

    Agents are named by import path, often in a folder beside the user's script; the fleet's
    processes must find them too.
    """
    installed = tuple(
        os.path.realpath(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib")
    )
    folders = (os.path.realpath(entry or os.curdir) for entry in sys.path)
    return tuple(
        dict.fromkeys(
            folder
            for folder in folders
            if os.path.isdir(folder) and not folder.startswith(installed)  # noqa: PTH112
        )
    )


def extend_search_path(folders: Iterable[str]) -> None:
    """Let this process import from these folders too, after all that it finds by itself.

    Ray hands on the folder of the driver's script and its working directory only, and neither to
    a version with an environment of its own.
    """
    sys.path.extend(folder for folder in folders if folder not in sys.path)


def build_environment(version: VersionDefinition) -> dict[str, Any]:
    """Return the actor options that give a version its own runtime environment, if it has one."""
    return {"runtime_env": dict(version.runtime_env)} if version.runtime_env else {}
