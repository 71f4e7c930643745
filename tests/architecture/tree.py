"""The repository as the tests of its architecture see it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("agents", "fleet", "graphs", "coordinator")
FOLDERS = (*ROOMS, "configs", "tests", "benchmarks", "docs", ".ci")
TOP = ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "requirements.lock")
MADE = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", "*.egg-info", "build", "dist", ".*_cache", ".hypothesis"
)
"""What a copy of the tree leaves out: everything that is not written by hand."""


def own_files(*suffixes: str) -> Iterator[Path]:
    """Yield the files that people of this project write, each once."""
    for name in TOP:
        if not suffixes or (ROOT / name).suffix in suffixes:
            yield ROOT / name
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if not path.is_file() or path.is_symlink() or "__pycache__" in path.parts:
                continue
            if path.suffix in suffixes or not suffixes:
                yield path


def module_of(path: Path) -> str:
    """Return the import name of a file in a room."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("rolewise", *(parts[:-1] if parts[-1] == "__init__" else parts)))
