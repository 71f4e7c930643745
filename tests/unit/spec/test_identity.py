import shutil
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest

from rolewise.fleet.identity import content_hash
from rolewise.fleet.spec import VersionSpec

RAISES = "raise RuntimeError('imported')\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has a package and a lone module, neither of which may be imported."""
    (tmp_path / "h4_shop" / "robots").mkdir(parents=True)
    for name in ("__init__", "supplier", "robots/__init__", "robots/arm"):
        (tmp_path / "h4_shop" / f"{name}.py").write_text(RAISES)
    (tmp_path / "h4_alone.py").write_text(RAISES)
    (tmp_path / "h4_other.py").write_text(RAISES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def version(agent: str = "h4_shop.supplier:Supplier", **fields: Any) -> VersionSpec:
    return VersionSpec.model_validate({"agent": agent, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": "h4_shop.supplier:Other"},
        {"config": {"rounds": 4}},
        {"model": "small-5"},
        {"prompts": {"system": "x"}},
        {"runtime_env": {"pip": ["a==1"]}},
        {"accepts": ["rfq@2"]},
        {"speaks": ["offer@1"]},
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_changes_behaviour_changes_the_identity(fields: dict[str, Any]) -> None:
    base: dict[str, Any] = {"config": {"rounds": 3}, "accepts": ["rfq@1", "stop@1"]}
    assert content_hash(version(**base)) != content_hash(version(**{**base, **fields}))


@pytest.mark.usefixtures("folder")
def test_order_and_place_do_not_change_the_identity() -> None:
    one = version(config={"a": 1, "b": 2}, accepts=["rfq@1", "stop@1"])
    two = version(
        config={"b": 2, "a": 1},
        accepts=["stop@1", "rfq@1"],
        labels={"zone": "x"},
        allow_moving_model=True,
    )
    assert content_hash(one) == content_hash(two)
    assert len(content_hash(one)) == 16


@pytest.mark.parametrize(
    ("agent", "file", "matters"),
    [
        ("h4_shop.supplier:S", "h4_shop/supplier.py", True),
        ("h4_shop.supplier:S", "h4_shop/robots/arm.py", True),
        ("h4_shop:S", "h4_shop/robots/arm.py", True),
        ("h4_shop.robots.arm:S", "h4_shop/robots/__init__.py", True),
        ("h4_shop.robots.arm:S", "h4_shop/supplier.py", False),
        ("h4_alone:S", "h4_alone.py", True),
        ("h4_alone:S", "h4_other.py", False),
    ],
)
def test_code_counts_as_far_as_the_module_s_package(
    folder: Path, agent: str, file: str, matters: bool
) -> None:
    before = content_hash(version(agent))
    (folder / file).write_text(RAISES + "# changed\n")
    assert (content_hash(version(agent)) != before) is matters


@pytest.mark.usefixtures("folder")
def test_nothing_is_imported() -> None:
    content_hash(version())
    assert "h4_shop" not in sys.modules


def test_a_module_that_is_not_here_still_has_an_identity() -> None:
    absent = content_hash(version("h4_nowhere.at_all:S"))
    assert absent == content_hash(version("h4_nowhere.at_all:S"))
    assert absent != content_hash(version("h4_nowhere.at_all:T"))


def test_code_without_source_counts_by_its_distribution(folder: Path) -> None:
    (folder / f"h4_built{EXTENSION_SUFFIXES[0]}").touch()
    hashes = set()
    for number in ("1.0", "1.1"):
        info = folder / f"h4_built-{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: h4-built\nVersion: {number}\n")
        (info / "top_level.txt").write_text("h4_built\n")
        hashes.add(content_hash(version("h4_built:S")))
        shutil.rmtree(info)
    assert len(hashes) == 2
