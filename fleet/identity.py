"""The identity of a version: one hash of all that decides how it behaves.

It goes by content, so that a version that was edited under its old name is found out, and two
names for the same thing are seen to be one. Code is read from its files and never imported here:
a version may need an environment that this process does not have.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from rolewise.fleet.spec import VersionSpec


def content_hash(version: VersionSpec) -> str:
    """Return the identity of a version as 16 hexadecimal digits.

    It covers the import path, the agent's code, config, model, prompts, runtime environment and
    message kinds; not where and how often it runs. Code is the module's file, or, for a module in
    a package, every Python file of that package; else the version of the distribution that has
    it. What a local `working_dir` of the runtime environment holds is not looked into.
    """
    told = version.model_dump(
        mode="json",
        include={"agent", "config", "model", "prompts", "runtime_env", "accepts", "speaks"},
    )
    for kinds in ("accepts", "speaks"):
        told[kinds] = sorted(told[kinds])
    digest = hashlib.blake2b(digest_size=8)
    digest.update(json.dumps(told, sort_keys=True).encode())
    digest.update(_code_digest(version.agent.partition(":")[0]))
    return digest.hexdigest()


def _code_digest(module: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    spec = _find(module)
    files = [] if spec is None else _source_files(spec)
    for name, path in files:
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    if not files:
        digest.update(_distribution_version(module.partition(".")[0]).encode())
    return digest.digest()


def _find(module: str) -> ModuleSpec | None:
    """Find a module without importing its packages, as `importlib.util.find_spec` would."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    name = top
    for part in rest:
        name = f"{name}.{part}"
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec


def _source_files(spec: ModuleSpec) -> list[tuple[str, Path]]:
    """Return the files that stand for a module, with names that do not depend on the machine."""
    if spec.submodule_search_locations is not None:
        folders = [Path(folder) for folder in spec.submodule_search_locations]
    elif spec.origin is None or not spec.origin.endswith(".py"):
        return []
    elif "." in spec.name:
        folders = [Path(spec.origin).parent]
    else:
        return [(spec.name, Path(spec.origin))]
    found = [
        (path.relative_to(folder).as_posix(), path)
        for folder in folders
        for path in folder.rglob("*.py")
    ]
    return sorted(found)


def _distribution_version(top: str) -> str:
    names = importlib.metadata.packages_distributions().get(top, [])
    return ",".join(sorted(f"{name}=={importlib.metadata.version(name)}" for name in set(names)))
