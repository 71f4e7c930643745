"""What is published works: the wheel, built from the sdist, in an environment of its own.

Needs no network: the build uses the setuptools of this environment, and the new environment sees
the dependencies installed in this one through a path file. Rolewise itself is only in the wheel.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.architecture.tree import MADE, ROOMS, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from a clean copy of the tree, and the wheel from the sdist."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    shutil.copytree(ROOT, source, symlinks=True, ignore=MADE)
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "out", source)
    (sdist,) = (folder / "out").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("/LICENSE") for name in archive.getnames())
    (built,) = (folder / "out").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel into an empty environment; return the folder of its commands."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    _run(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    dependencies = folder / "dependencies"
    dependencies.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        # All but this project's own editable install.
        if "rolewise" not in entry.name:
            (dependencies / entry.name).symlink_to(entry)
    (site / "dependencies.pth").write_text(f"{dependencies}\n", encoding="utf-8")
    return python.parent


def test_the_wheel_installs_one_package_and_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"rolewise"}
    assert {name.split("/")[1] for name in names if name.count("/") > 1} >= set(ROOMS)
    for wanted in ("py.typed", "agents/examples/fleets/supply-chain.yaml"):
        assert f"rolewise/{wanted}" in names
    assert any(name.endswith("tau1_retail_strategies.jsonl.gz") for name in names)
    assert any(name.endswith("traces/LICENSES.md") for name in names)


def test_the_command_explains_itself(installed: Path, tmp_path: Path) -> None:
    told = _run(installed / "rolewise", "--help", cwd=tmp_path)
    assert {"rehearse", "demo", "rollout"} <= set(told.split())


@pytest.mark.parametrize(
    ("fleet", "to", "limit", "exit_code", "phase"),
    [
        ("supply-chain", "v3-deadlock", "1h", 1, "rolled_back"),
        ("replay-retail", "assertions", "3s", 3, "progressing"),
    ],
)
def test_packaged_fleets_rehearse_from_anywhere(
    installed: Path, tmp_path: Path, fleet: str, to: str, limit: str, exit_code: int, phase: str
) -> None:
    code = f"from rolewise.coordinator.demo import example_file; print(example_file({fleet!r}))"
    file = Path(_run(installed / "python", "-c", code, cwd=tmp_path).strip())
    assert file.is_relative_to(installed.parent)
    options = ("--to", to, "--seed", "7", "--limit", limit, "--json")
    command = (installed / "rolewise", "rehearse", file, *options)
    told = json.loads(_run(*command, cwd=tmp_path, exit_code=exit_code))
    assert told["rollout"]["phase"] == phase
    assert told["tasks"]["completed"] > 0


def _run(*command: object, cwd: Path | None = None, exit_code: int = 0) -> str:
    parts = [str(part) for part in command]
    # Nothing that is wanted may be found in another tree.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(parts, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == exit_code, f"{parts}\n{run.stdout}\n{run.stderr}"
    return run.stdout
