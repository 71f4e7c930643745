"""The page about signals says what the file takes and what a scorer is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rolewise.fleet.scoring import at_once, score_task
from rolewise.fleet.spec import parse_fleet, stage_settings
from rolewise.fleet.spec.metrics import METRICS, WRITINGS
from rolewise.fleet.task import Outcome, TaskRecord

PAGE = (Path(__file__).parents[2] / "docs/how-to/choose-signals.md").read_text(encoding="utf-8")
FLEET = """\
fleet: small
entry: [only]
roles: {only: {versions: {v1: {agent: "a:b"}}}}
releases: {v1: {only: v1}}
release: v1
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_what_the_page_puts_into_a_file_is_taken() -> None:
    text = FLEET + "\n".join(blocks("yaml")).replace(
        "bucket_by:", "analysis: careful\n    bucket_by:"
    )
    settings = stage_settings(parse_fleet(text), "only")
    assert settings.bucket_by == "conversation"
    assert len(settings.template.signals) == 7


@pytest.mark.parametrize("metric", METRICS)
def test_the_table_names_every_metric_with_its_default(metric: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{metric}`" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    default = WRITINGS[metric].tolerate
    assert cells[3] == (f"{default:.0%}" if metric != "score" else f"{default}")
    assert ("relative" in cells[2]) is WRITINGS[metric].is_relative


async def test_the_scorer_of_the_page_scores() -> None:
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)  # noqa: S102 (our own page)
    record = TaskRecord(
        task="t",
        number=1,
        table=1,
        outcome=Outcome.COMPLETED,
        body={"document": "bolts are 3, gears are 12"},
        result={"claims": ["bolts are 3", "gears are 13"]},
    )
    scorer = names["faithfulness"]
    scored = await score_task(scorer, record, timeout_s=5.0, aside=at_once)  # type: ignore[arg-type]
    assert scored.value == 0.5
