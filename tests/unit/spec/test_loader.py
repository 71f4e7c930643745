from pathlib import Path

import pytest

from rolewise.fleet.spec import FleetSpec, SpecError, load_fleet, parse_fleet
from tests.unit.spec.fleets import FLEET, broken

DURATION = "want a duration such as 500ms, 10s, 5m or 1h30m"


def problems_of(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_fleet(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_right_file_is_read_and_survives_json() -> None:
    spec = parse_fleet(FLEET)
    assert spec.roles["supplier"].criticality == 25
    assert FleetSpec.model_validate_json(spec.model_dump_json()) == spec
    assert parse_fleet(spec.model_dump_json(exclude_none=True)) == spec


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("slots: 2", "slots: §two", 'roles.supplier.slots = "two": want a whole number from 1'),
        ("slots: 2", "slots: §0", "roles.supplier.slots = 0: want a whole number from 1"),
        ("slots: 2", "slots: §2.0", "roles.supplier.slots = 2.0: want a whole number from 1"),
        ("slots: 2", "slots: §true", "roles.supplier.slots = true: want a whole number from 1"),
        ("slots: 2", "§slotz: 2", "roles.supplier.slotz: unknown key: did you mean slots?"),
        (
            "- set_weight: 50",
            "- §setWeight: 50",
            "strategy.canary.steps[2].setWeight: unknown key: did you mean set_weight?",
        ),
        (
            "keep_stable_for",
            "§keepStableFor",
            "strategy.canary.keepStableFor: unknown key: did you mean keep_stable_for?",
        ),
        ("drain: 3s", "drain: §3", f"stages.negotiator.canary.drain = 3: {DURATION}"),
        (
            "analysis: gate",
            "analysis: §gat",
            'strategy.canary.steps[1].analysis = "gat": want one of gate, full',
        ),
        (
            "criticality: low",
            "criticality: §101",
            (
                "roles.supplier.criticality = 101: "
                "want 0 to 100, or low (25), normal (50), high (75), highest (100)"
            ),
        ),
        (
            "memory: 64MiB",
            "memory: §64",
            "defaults.resources.memory = 64: want a size such as 256MiB or 2GiB",
        ),
        (
            '"tests.unit.spec.fleets:orchestrator"',
            "§orchestrator",
            (
                'roles.orchestrator.versions.v1.agent = "orchestrator": '
                "want an import path, 'package.module:name'"
            ),
        ),
        (
            'v1: {agent: "tests.unit.spec.fleets:orchestrator"}',
            "§v1: {}",
            (
                "roles.orchestrator.versions.v1.agent: is missing: "
                "want an import path, 'package.module:name'"
            ),
        ),
        (
            'versions:\n      v1: {agent: "tests.unit.spec.fleets:orchestrator"}',
            "§versions: {}",
            "roles.orchestrator.versions: want at least one version",
        ),
        ("entry: [orchestrator]", "§entry: []", "entry: want at least one"),
        (
            "entry: [orchestrator]",
            "entry: [orchestrator, §orchestrater]",
            'entry[1] = "orchestrater": no such role: did you mean orchestrator?',
        ),
        (
            "calls: [supplier]",
            "calls: [§suplier]",
            'roles.negotiator.calls[0] = "suplier": no such role: did you mean supplier?',
        ),
        (
            "calls: [supplier]",
            "calls: [supplier, §supplier]",
            'roles.negotiator.calls[1] = "supplier": given twice',
        ),
        (
            "calls: [supplier]",
            "before: [§suplier]",
            'roles.negotiator.before[0] = "suplier": no such role: did you mean supplier?',
        ),
        (
            "calls: [negotiator]",
            "§before: [orchestrator]",
            (
                "roles.orchestrator.before: goes in a circle: orchestrator → orchestrator: "
                "want one of them left out"
            ),
        ),
        (
            "calls: [supplier]",
            "calls: §supplier",
            'roles.negotiator.calls = "supplier": want a list',
        ),
        (
            "{supplier: v2, negotiator: v2}",
            "{supplier: v2, §negotiater: v2}",
            "releases.v2.negotiater: no such role: did you mean negotiator?",
        ),
        (
            "{supplier: v2, negotiator: v2}",
            "{supplier: §vv2, negotiator: v2}",
            'releases.v2.supplier = "vv2": role supplier has no such version: did you mean v2?',
        ),
        (
            "v2: {supplier: v2, negotiator: v2}\nrelease: v1",
            "§v2: {supplier: v2, negotiator: v2}\nrelease: v2",
            (
                "releases.v2: `release` starts from it, so it must name every role; "
                "missing: orchestrator"
            ),
        ),
        ("release: v1", "release: §x", 'release = "x": no such release: want one of v1, v2'),
        (
            "analysis: health",
            "analysis: §healthy",
            'strategy.canary.analysis = "healthy": no such analysis template: did you mean health?',
        ),
        (
            "set_weight: 50",
            "set_weight: §5",
            "strategy.canary.steps[2].set_weight = 5: weights rise: want more than 5",
        ),
        (
            "{canary_replicas: 2, drain: 3s}",
            "{§steps: [{set_weight: 99}]}",
            "stages.negotiator.canary.steps: the last weight is 100: want a step `set_weight: 100`",
        ),
        (
            "- set_weight: 100",
            "- set_weight: 100\n      - analysis: §full",
            (
                'strategy.canary.steps[5].analysis = "full": at weight 100 there is nothing to '
                "compare: want it at a weight between"
            ),
        ),
        (
            "tolerate: 5%",
            "tolerate: §0",
            (
                "analysis_templates.health.signals[0].tolerate = 0: "
                "nothing can be shown at 0: want a share above 0"
            ),
        ),
        (
            "tolerate: 5%",
            "harm_margin: §100%",
            ('analysis_templates.health.signals[0].harm_margin = "100%": want a share below 100%'),
        ),
        (
            "metric: task.latency, quantile: 0.99, compare: absolute, limit: 8s",
            "metric: tool.error, compare: absolute, limit: §150%",
            'analysis_templates.health.signals[1].limit = "150%": want a share up to 100%',
        ),
        (
            "metric: task.latency, quantile: 0.99, compare: absolute, limit: 8s",
            "metric: tool.error, quantile: §0.9",
            (
                "analysis_templates.health.signals[1].quantile = 0.9: "
                "tool.error has no quantiles: leave it out"
            ),
        ),
        (
            "on: {harm: rollback",
            "max_tasks: §10\n    min_tasks: 11\n    on: {harm: rollback",
            (
                "analysis_templates.health.max_tasks = 10: "
                "want at least min_tasks, 11, or 0 for no bound"
            ),
        ),
        (
            "- pause: {duration: 2s}",
            "- §pause:",
            "strategy.canary.steps[3]: want exactly one of set_weight, analysis, pause in a step",
        ),
        (
            "  negotiator: {canary: {",
            "  §negotiater: {canary: {",
            "stages.negotiater: no such role: did you mean negotiator?",
        ),
        (
            "name: ceiling",
            "name: §completion",
            (
                'analysis_templates.health.signals[1].name = "completion": '
                "given twice: want another name"
            ),
        ),
        (
            "quantile: 0.99",
            "quantile: §1",
            (
                "analysis_templates.health.signals[1].quantile = 1: "
                "want a share between 0 and 1, as 0.95"
            ),
        ),
        (
            "{name: ceiling, metric: task.latency, quantile: 0.99, compare: absolute, limit: 8s",
            "§{name: ceiling, metric: task.latency, quantile: 0.99, compare: absolute",
            "analysis_templates.health.signals[1]: limit is missing: `compare: absolute` needs one",
        ),
        (
            "limit: 8s",
            "limit: §8%",
            f'analysis_templates.health.signals[1].limit = "8%": {DURATION}',
        ),
        (
            "compare: absolute, limit: 8s",
            "compare: baseline, limit: §8s",
            (
                'analysis_templates.health.signals[1].limit = "8s": '
                "a comparison with the baseline has `tolerate`; a limit is `compare: absolute`"
            ),
        ),
        (
            "tolerate: 5%",
            "tolerate: §5",
            "analysis_templates.health.signals[0].tolerate = 5: want a share such as 5% or 0.05",
        ),
        (
            "on: {harm: rollback",
            "alpha: §0\n    on: {harm: rollback",
            "analysis_templates.health.alpha = 0: want a chance above 0 and up to 50%",
        ),
        (
            "model: small-5",
            "model: §small-latest",
            (
                'roles.negotiator.versions.v2.model = "small-latest": this name moves by '
                "itself: want a fixed model, or allow_moving_model: true"
            ),
        ),
        (
            "config: {rounds: 3}",
            "config: {rounds: 3, §model: x}",
            (
                "roles.negotiator.versions.v2.config.model: "
                "given twice: model is also a key of its own"
            ),
        ),
        (
            "criticality: low",
            "timeout: §3s",
            'roles.supplier.timeout = "3s": only tasks have it: want it at an entry role',
        ),
        (
            "replicas: 2\n",
            "replicas: 2\n    §replicas: 3\n",
            "roles.supplier.replicas: given twice; the first is in line 7",
        ),
        (
            "  v2: {supplier",
            "  §2: {supplier",
            'releases: 2 is no name: want text, as "name" in quotes',
        ),
        (
            "rate: 80",
            "rate: §!!float fast",
            "workload.rate: fast is no value of the type tag:yaml.org,2002:float",
        ),
        ("rate: 80", "rate: §.nan", "workload.rate: .nan: want a finite number"),
        ("rate: 80", "rate: §!now 80", "workload.rate: unknown tag !now"),
        (
            "config: {rounds: 3}",
            "config: §&a {rounds: *a}",
            "roles.negotiator.versions.v2.config.rounds: an alias may not contain itself",
        ),
    ],
)
def test_a_problem_names_its_place_its_value_and_what_is_wanted(
    old: str, new: str, problem: str
) -> None:
    marked = broken(old, new)
    before = marked.partition("§")[0]
    place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    assert problems_of(marked.replace("§", "")) == [f"f.yaml:{place} {problem}"]


def test_all_problems_are_told_at_once_in_order_of_place() -> None:
    text = broken("slots: 2", "slots: two").replace("release: v1", "release: v9")
    text = text.replace("replicas: 2\n", "replicas: 2\n    replicas: 3\n").replace(
        "[rfq@1]", "[rfq]"
    )
    lines = [int(problem.split(":")[1]) for problem in problems_of(text)]
    assert lines == sorted(lines)
    assert len(lines) == 7


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f.yaml:1:1 the file is empty: want a mapping that begins `fleet:`"),
        ("# nothing\n", "f.yaml:1:1 the file is empty: want a mapping that begins `fleet:`"),
        ("fleet: [a", "f.yaml:1:10 this is not YAML: while parsing a flow sequence, "),
        ("fleet: a\n\tb: 1", "f.yaml:2:1 this is not YAML: "),
        ("a: 1\n--- \nb: 1", "f.yaml:2:1 this is not YAML: expected a single document"),
        ("a: *b", "f.yaml:1:4 this is not YAML: found undefined alias 'b'"),
        ("a: \x00", "f.yaml:1:1 this is not YAML: unacceptable character"),
        ("[" * 3000, "f.yaml:1:1 this is not YAML"),
        ("- a", "f.yaml:1:1 want a mapping with keys of fleet, entry"),
    ],
)
def test_what_is_no_fleet_at_all_is_refused_in_one_line_each(text: str, problem: str) -> None:
    assert problems_of(text)[0].startswith(problem)


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for i in range(1, 12):
        text += f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n"
    assert "more than 200000 values" in problems_of(text)[0]


def test_json_escapes_are_read_as_json_means_them() -> None:
    spec = parse_fleet(broken("Bargain.", '"\\ud83e\\udd16"'))
    assert spec.roles["negotiator"].versions["v2"].prompts == {"system": "\N{ROBOT FACE}"}
    assert "half a character" in problems_of(broken("Bargain.", '"\\ud83e"'))[0]


def test_a_merge_key_fills_in_what_the_mapping_does_not_say() -> None:
    text = broken("    slots: 2\n", "    <<: &shared {slots: 3, replicas: 9}\n").replace(
        "    calls: [supplier]\n", "    <<: *shared\n"
    )
    spec = parse_fleet(text)
    assert (spec.roles["supplier"].slots, spec.roles["supplier"].replicas) == (3, 2)
    assert (spec.roles["negotiator"].slots, spec.roles["negotiator"].replicas) == (3, 9)


@pytest.mark.parametrize("key", ["? [q]\n", "? !!str {q: 1}\n", "? &b {q: 1}\n"])
def test_a_block_is_no_key_also_where_it_is_merged(key: str) -> None:
    text = f"fleet: &a\n  {key}  : 1\nentry:\n  <<: *a\n"
    assert "a block is no name" in "".join(problems_of(text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere.yaml:1:1 cannot be read: No such file"):
        load_fleet(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes("fleet: sj\xf8".encode("latin-1"))
    with pytest.raises(SpecError, match="is not UTF-8: byte 9 is 0xf8"):
        load_fleet(tmp_path / "latin.yaml")
    (tmp_path / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    assert load_fleet(tmp_path / "fleet.yaml").fleet == "supply-chain"
