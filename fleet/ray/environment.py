"""What a version runs in: its Ray runtime environment."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from typing import Any


def read_search_path() -> tuple[str, ...]:
    """Return the folders of this process's `sys.path` that no installation explains.

    Agents are named by import path, often in a folder beside the user's script; a version with
    an environment of its own must find them too.
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


def build_environment(
    runtime_env: Mapping[str, Any] | None, search_path: Sequence[str]
) -> dict[str, Any] | None:
    """Return the runtime environment for the replicas of a version; None for the cluster's own.

    Args:
        runtime_env: As the fleet's file gives it: `pip`, `uv`, `env_vars`, `working_dir`, ...
        search_path: Folders that the version's modules may be in. Ray hands on the driver's
            path by itself only to workers without an environment of their own.
    """
    if not runtime_env:
        return None
    environment = dict(runtime_env)
    variables = dict(environment.get("env_vars") or {})
    own = variables.get("PYTHONPATH", "")
    folders = [*own.split(os.pathsep), *search_path] if own else list(search_path)
    if folders:
        variables["PYTHONPATH"] = os.pathsep.join(folders)
    environment["env_vars"] = variables
    return environment
