from pathlib import Path

from rolewise.coordinator.rollout.decide import TABLE
from rolewise.coordinator.rollout.diagram import render_page

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "rollout-machine.md"


def test_the_page_is_current():
    assert PAGE.read_text() == render_page(), (
        "write it anew: python -m rolewise.coordinator.rollout.diagram > " + str(PAGE)
    )


def test_every_cell_of_the_table_is_on_the_page():
    page = render_page()
    assert all(rule.says in page for rule in TABLE.values())
