"""Imports run downwards, rooms stay light, and nobody else's package is hidden."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOMS, ROOT, module_of, own_files

MODULES = [module_of(path) for path in own_files(".py") if path.relative_to(ROOT).parts[0] in ROOMS]


def test_imports_keep_the_contracts_of_pyproject() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("rolewise", ("ray", "redis", "fastapi", "pydantic", "networkx", "numpy")),
        ("rolewise.agents", ("ray", "redis", "fastapi", "networkx", "numpy")),
        ("rolewise.graphs", ("ray", "redis", "fastapi", "pydantic")),
        ("rolewise.fleet.spec", ("ray", "redis", "fastapi", "networkx")),
        ("rolewise.fleet.local.runtime", ("ray", "redis", "fastapi")),
        ("rolewise.coordinator.rollout.decide", ("ray", "redis", "fastapi")),
        ("rolewise.coordinator.judge.judge", ("ray", "redis", "fastapi")),
        ("rolewise.coordinator.rehearse", ("ray", "redis", "fastapi")),
    ],
)
def test_importing_a_part_does_not_load_what_it_has_no_use_for(
    module: str, absent: tuple[str, ...]
) -> None:
    code = f"import sys, {module}; print(*(name for name in {absent!r} if name in sys.modules))"
    assert _run_python(code) == ""


def test_a_foreign_package_called_agents_is_not_hidden(tmp_path: Path) -> None:
    foreign = tmp_path / "agents"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("Runner = 'theirs'\n", encoding="utf-8")
    # Started elsewhere: in the checkout's own folder Python would find the room.
    code = "import rolewise.agents, agents; print(agents.Runner, agents is rolewise.agents)"
    assert _run_python(code, cwd=tmp_path) == "theirs False"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_has_what_it_exports(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is for"
    exported = list(getattr(module, "__all__", ()))
    assert [one for one in exported if not hasattr(module, one)] == []
    assert len(exported) == len(set(exported))


def _run_python(code: str, *, cwd: Path | None = None) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()
