"""The tutorial's own fleet does what the tutorial says, with the commands that it names."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML

from rolewise.agents.examples.supply_chain.bodies import Order
from rolewise.agents.examples.supply_chain.market import list_price
from rolewise.coordinator.cli.main import app

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROLEWISE = Path(sys.executable).with_name("rolewise")


def _blocks(language: str, text: str = TUTORIAL) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's folder at the end of the tutorial."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text("\n\n".join(_blocks("python")), encoding="utf-8")
    yaml = YAML(typ="safe")
    whole, addition = (yaml.load(block) for block in _blocks("yaml"))
    _merge(whole, addition)
    with (folder / "shop.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(whole, file)
    return folder


@pytest.mark.parametrize(("rehearsal", "exit_code"), [(0, 0), (1, 1)])
def test_rehearsals_end_as_the_tutorial_shows(shop: Path, rehearsal: int, exit_code: int) -> None:
    commands = [
        line
        for block in _blocks("bash")
        for line in block.splitlines()
        if line.startswith("rolewise rehearse shop.yaml")
    ]
    command = [str(ROLEWISE), *shlex.split(commands[rehearsal])[1:]]
    run = subprocess.run(command, cwd=shop, capture_output=True, text=True, check=False)
    assert run.returncode == exit_code, run.stderr
    rest = run.stdout
    for line in _blocks("text")[rehearsal].splitlines():
        assert line in rest, f"{line!r} is not there, or not in this order:\n{run.stdout}"
        rest = rest[rest.index(line) + len(line) :]


def test_the_order_that_the_tutorial_submits_is_one() -> None:
    (body,) = re.findall(r"--body '(.*?)'", TUTORIAL)
    order = Order.model_validate_json(body)
    assert list_price(order.item) <= order.max_price


def test_every_command_that_a_page_names_exists() -> None:
    named = [(page.name, words) for page in PAGES for words in _commands(page)]
    assert len(named) > 10
    wrong = [f"{page}: rolewise {' '.join(words)}" for page, words in named if not _is_known(words)]
    assert wrong == []


def test_a_command_that_does_not_exist_is_found() -> None:
    assert _is_known(["rollout", "abort", "r-1", "--reason", "late"])
    assert not _is_known(["rollout", "halt", "r-1"])
    assert not _is_known(["rollout", "abort", "r-1", "--because", "late"])


def _commands(page: Path) -> Iterator[list[str]]:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for block in _blocks("bash", text) for line in block.splitlines()]
    lines += re.findall(r"`(rolewise [^`]*)`", text)
    for line in lines:
        if line.startswith("rolewise "):
            yield shlex.split(line, comments=True)[1:]


def _is_known(words: list[str]) -> bool:
    command = typer.main.get_command(app)
    while subcommands := getattr(command, "commands", None):
        if not words or words[0].startswith("-"):
            break
        if words[0] not in subcommands:
            return False
        command, words = subcommands[words[0]], words[1:]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return all(word.split("=")[0] in known for word in words if word.startswith("--"))


def _merge(into: dict, addition: dict) -> None:
    for key, value in addition.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
