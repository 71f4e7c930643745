"""Files stay small, know no machine but the reader's, and pages name only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOMS, ROOT, own_files

LONGEST_FILE = 400
MACHINE = re.compile(
    r"(?<![\w.~])/(?:home|root|Users|work|opt)/\w|/tmp/\w|https?://[\w.:-]+/(?:\w+/)*simple\b"
)
PATH_IN_CODE = re.compile(
    rf"`((?:{'|'.join(ROOMS)}|configs|tests|benchmarks|docs|rolewise|\.ci)/[\w./-]*)`"
)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(?:#[^)\s]*)?\)")
PAGES = [path for path in own_files(".md") if not path.is_relative_to(ROOT / "configs")]


def test_no_file_is_too_long_to_be_about_one_thing() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in own_files(".py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_nothing_depends_on_the_machine_it_was_written_on() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in own_files(".py", ".md", ".yaml", ".toml", ".lock", ".svg", ".json", "")
        if path != Path(__file__)
        for match in MACHINE.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_pattern_for_machine_paths_finds_them() -> None:
    for text in ("/home/ana/rolewise", "/tmp/x", "https://pypi.example.org/simple"):  # noqa: S108
        assert MACHINE.search(text)
    for text in ("docs/work/x", "/v1/rollouts", "workload/", "~/.rolewise"):
        assert not MACHINE.search(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [ROOT / path for path in PATH_IN_CODE.findall(text)]
    linked = [page.parent / path for path in LINK.findall(text)]
    assert [str(path) for path in named + linked if not path.exists()] == []


def test_pages_of_every_kind_are_looked_at() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {
        "README.md",
        "CHANGELOG.md",
        "docs/concepts.md",
        "docs/tutorial.md",
        "docs/design.md",
    } <= names
