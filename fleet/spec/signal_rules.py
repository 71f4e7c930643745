"""Rules within an analysis template: which keys suit a metric, and which values they may have.

Like all rules they read the plain data; see `rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rolewise.fleet.spec.metrics import METRICS, WRITINGS, Writing
from rolewise.fleet.spec.plain import Finding, as_list, as_map, as_share
from rolewise.fleet.spec.problems import NO_VALUE, Path, did_you_mean


def check_template(path: Path, template: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield every breach of a rule in one analysis template."""
    for key in ("alpha", "beta"):
        chance = as_share(template.get(key))
        if chance is not None and not 0 < chance <= 0.5:  # noqa: PLR2004
            yield (*path, key), template[key], "want a chance above 0 and up to 50%"
    if as_map(template.get("unit")).get("window") == "0s":
        yield (*path, "unit", "window"), "0s", "want a time above 0"
    names: list[str] = []
    givers: dict[str, Any] = {}
    for index, signal in enumerate(as_list(template.get("signals"))):
        here: Path = (*path, "signals", index)
        name = as_map(signal).get("name")
        if isinstance(name, str) and name in names:
            yield (*here, "name"), name, "given twice: want another name"
        if isinstance(name, str):
            names.append(name)
        yield from check_signal(here, as_map(signal))
        yield from _check_giver(here, as_map(signal), givers)
    yield from _check_budget(path, template)
    for index, name in enumerate(as_list(template.get("dry_run"))):
        if isinstance(name, str) and name not in names:
            words = did_you_mean(name, names)
            yield (*path, "dry_run", index), name, f"no such signal: {words}"


def check_signal(path: Path, signal: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield every breach of a rule in one signal."""
    metric = signal.get("metric")
    if metric is None and signal.get("scorer") is None and signal.get("score") is None:
        words = f"is missing: want one of {', '.join(METRICS)}; or a `scorer`"
        yield (*path, "metric"), NO_VALUE, words
        return
    metric = "score" if metric is None else metric
    writing = WRITINGS.get(metric) if isinstance(metric, str) else None
    if writing is None:
        return  # the models tell it
    yield from _check_keys(path, signal, metric, writing)
    yield from _check_shares(path, signal, writing)
    yield from _check_limit(path, signal, writing)


def _check_giver(
    path: Path, signal: Mapping[str, Any], givers: dict[str, Any]
) -> Iterator[Finding]:
    """Refuse a score that two signals would have from two scorers: one would hide the other."""
    score, scorer = signal.get("score") or signal.get("name"), signal.get("scorer")
    is_score = signal.get("metric") == "score" or (
        signal.get("metric") is None and bool(signal.get("score") or scorer)
    )
    if not is_score or not isinstance(score, str):
        return
    other = givers.setdefault(score, scorer)
    if other != scorer:
        words = f"score {score} comes from {other or 'the agents'} in a signal above: want one"
        yield (*path, "scorer"), NO_VALUE if scorer is None else scorer, words


def _check_budget(path: Path, template: Mapping[str, Any]) -> Iterator[Finding]:
    high = template.get("max_tasks")
    if not isinstance(high, int) or high <= 0:
        return
    low = template.get("min_tasks")
    if isinstance(low, int) and high < low:
        yield (*path, "max_tasks"), high, f"want at least min_tasks, {low}, or 0 for no bound"
    for index, signal in enumerate(as_list(template.get("signals"))):
        low = as_map(signal).get("min_tasks")
        if isinstance(low, int) and high < low:
            words = f"want at most the template's max_tasks, {high}"
            yield (*path, "signals", index, "min_tasks"), low, words


def _check_keys(
    path: Path, signal: Mapping[str, Any], metric: str, writing: Writing
) -> Iterator[Finding]:
    """Refuse keys that mean nothing for the metric."""
    quantile = signal.get("quantile")
    if quantile is not None and writing.kind != "latency":
        yield (*path, "quantile"), quantile, f"{metric} has no quantiles: leave it out"
    if signal.get("cap") is not None and writing.kind != "amount":
        yield (
            (*path, "cap"),
            signal["cap"],
            f"only amounts have one, {metric} is none: leave it out",
        )
    for key in ("score", "scorer"):
        if signal.get(key) is not None and writing.kind != "score":
            words = f"only scores have one: want `metric: score` or no metric, not {metric}"
            yield (*path, key), signal[key], words
    if signal.get("sample") is not None and signal.get("scorer") is None:
        words = "only a `scorer` is asked about a sample: leave it out, or name one"
        yield (*path, "sample"), signal["sample"], words
    direction = signal.get("direction")
    if writing.direction is not None and direction not in {None, writing.direction}:
        words = f"of {metric} {writing.direction.replace('_', ' ')}: leave it out"
        yield (*path, "direction"), direction, words


def _check_shares(path: Path, signal: Mapping[str, Any], writing: Writing) -> Iterator[Finding]:
    level = as_share(signal.get("quantile"))
    if level is not None and not 0 < level < 1:
        yield (*path, "quantile"), signal["quantile"], "want a share between 0 and 1, as 0.95"
    sample = as_share(signal.get("sample"))
    if sample is not None and not 0 < sample <= 1:
        yield (*path, "sample"), signal["sample"], "want a share above 0 and up to 100%"
    for key in ("tolerate", "harm_margin"):
        margin = as_share(signal.get(key))
        if margin is not None and margin >= 1 and not writing.is_relative:
            yield (*path, key), signal[key], "want a share below 100%"
        if margin == 0 and key == "tolerate" and not _is_absolute(signal):
            yield (*path, key), signal[key], "nothing can be shown at 0: want a share above 0"


def _check_limit(path: Path, signal: Mapping[str, Any], writing: Writing) -> Iterator[Finding]:
    if signal.get("compare") == "absolute" and signal.get("limit") is None:
        yield path, NO_VALUE, "limit is missing: `compare: absolute` needs one"
    if signal.get("compare") == "baseline" and signal.get("limit") is not None:
        words = "a comparison with the baseline has `tolerate`; a limit is `compare: absolute`"
        yield (*path, "limit"), signal["limit"], words
        return
    for key in ("limit", "cap"):
        figure = signal.get(key)
        if figure is None or (key == "cap" and writing.kind != "amount"):
            continue
        try:
            value = writing.parse(figure)
        except ValueError as error:
            yield (*path, key), figure, str(error)
            continue
        if value > 1 and not writing.is_relative:
            yield (*path, key), figure, "want a share up to 100%"
        if value == 0 and writing.is_relative:
            yield (*path, key), figure, f"want {writing.words}, above 0"


def _is_absolute(signal: Mapping[str, Any]) -> bool:
    return signal.get("compare") == "absolute" or (
        signal.get("compare") is None and signal.get("limit") is not None
    )
