"""Analysis templates from a file of their own, as `rolewise judge` takes them."""

from pathlib import Path

import pytest

from rolewise.fleet.spec import SpecError, load_templates

CONFIGS = Path(__file__).parents[3] / "configs"


def written(tmp_path, text):
    path = tmp_path / "analysis.yaml"
    path.write_text(text)
    return path


def test_a_fleets_file_gives_its_templates():
    templates = load_templates(CONFIGS / "supply-chain.yaml")
    assert list(templates) == ["order-health"]
    assert templates["order-health"].signals


def test_a_single_template_is_the_whole_file(tmp_path):
    path = written(tmp_path, "alpha: 5%\nsignals: [{name: done, metric: task.completed}]\n")
    (template,) = load_templates(path).values()
    assert template.alpha == 0.05
    assert template.signals[0].name == "done"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("alpha: 70%\n", ':1:8 alpha = "70%": want a chance above 0 and up to 50%'),
        ("signalss: []\n", ":1:1 signalss: unknown key: did you mean signals?"),
        (
            "signals:\n  - {name: x, metric: nope}\n",
            ':2:23 signals[0].metric = "nope": want one of',
        ),
        (
            "analysis_templates:\n  x: {signals: [{name: p, metric: tool.error, quantile: 0.5}]}\n",
            ":2:57 analysis_templates.x.signals[0].quantile = 0.5: ",
        ),
        ("", ":1:1 the file is empty: want a mapping that begins `analysis_templates:`"),
        ("[]\n", ":1:1 want a mapping with keys of alpha"),
        ("analysis_templates: 3\n", ":1:21 analysis_templates = 3: want a mapping"),
        ("alpha: 1%\nalpha: 2%\n", ":2:1 alpha: given twice"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, text, told):
    path = written(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        load_templates(path)
    assert f"{path}{told}" in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    path = written(tmp_path, "alpha: 70%\nbeta: 9\nsignalss: []\n")
    with pytest.raises(SpecError) as caught:
        load_templates(path)
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3]
