"""Rules between the parts of a fleet's file: names that must exist, weights that must rise.

They read the plain data, not the models, so that one broken field does not hide what else is
wrong: everything is told in one go. What has the wrong type is skipped here; the models tell it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rolewise.fleet.spec.problems import NO_VALUE, Path, did_you_mean
from rolewise.fleet.spec.settings import BUILT_IN_TEMPLATES
from rolewise.fleet.spec.values import parse_duration, parse_share

Finding = tuple[Path, Any, str]
"""Where, the value there (or `NO_VALUE`), what is wanted."""

_MOVING_MODEL = re.compile(r"(^|[-:@/_.])latest$", re.IGNORECASE)
_FULL_WEIGHT = 100


def check_rules(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield every breach of a rule between parts of the file."""
    roles = _map(data.get("roles"))
    yield from _check_names(("entry",), data.get("entry"), roles, "role")
    for role, block in _maps(roles):
        yield from _check_role(role, block, roles, _list(data.get("entry")))
    yield from _check_releases(data, roles)
    for role in _map(data.get("stages")):
        if role not in roles:
            yield ("stages", role), NO_VALUE, f"no such role: {did_you_mean(role, list(roles))}"
    templates = _map(data.get("analysis_templates"))
    strategies: list[tuple[Path, Any]] = [(("strategy",), data.get("strategy"))]
    strategies += [(("stages", role), block) for role, block in _maps(data.get("stages"))]
    for path, strategy in strategies:
        canary = _map(_map(strategy).get("canary"))
        yield from _check_canary((*path, "canary"), canary, [*templates, *BUILT_IN_TEMPLATES])
    for name, template in _maps(templates):
        yield from _check_template(("analysis_templates", name), template)


def _check_role(
    role: str, block: Mapping[str, Any], roles: Mapping[str, Any], entry: list[Any]
) -> Iterator[Finding]:
    path: Path = ("roles", role)
    yield from _check_names((*path, "calls"), block.get("calls"), roles, "role")
    if block.get("timeout") is not None and role not in entry:
        yield (*path, "timeout"), block["timeout"], "only tasks have it: want it at an entry role"
    if block.get("versions") == {}:
        yield (*path, "versions"), NO_VALUE, "want at least one version"
    for version, fields in _maps(block.get("versions")):
        yield from _check_version((*path, "versions", version), fields)


def _check_version(path: Path, fields: Mapping[str, Any]) -> Iterator[Finding]:
    model = fields.get("model")
    moves = isinstance(model, str) and _MOVING_MODEL.search(model)
    if moves and fields.get("allow_moving_model") is not True:
        words = "this name moves by itself: want a fixed model, or allow_moving_model: true"
        yield (*path, "model"), model, words
    for key in ("model", "prompts"):
        if fields.get(key) and key in _map(fields.get("config")):
            yield (*path, "config", key), NO_VALUE, f"given twice: {key} is also a key of its own"


def _check_releases(data: Mapping[str, Any], roles: Mapping[str, Any]) -> Iterator[Finding]:
    releases = _map(data.get("releases"))
    for name, release in _maps(releases):
        for role, version in release.items():
            path: Path = ("releases", name, role)
            if role not in roles:
                yield path, NO_VALUE, f"no such role: {did_you_mean(role, list(roles))}"
                continue
            versions = list(_map(_map(roles[role]).get("versions")))
            if isinstance(version, str) and versions and version not in versions:
                words = did_you_mean(version, versions)
                yield path, version, f"role {role} has no such version: {words}"
    first = data.get("release")
    if not isinstance(first, str):
        return
    if first not in releases:
        yield ("release",), first, f"no such release: {did_you_mean(first, list(releases))}"
        return
    missing = [role for role in roles if role not in _map(releases[first])]
    if missing:
        yield (
            ("releases", first),
            NO_VALUE,
            f"`release` starts from it, so it must name every role; missing: {', '.join(missing)}",
        )


def _check_canary(path: Path, canary: Mapping[str, Any], templates: list[str]) -> Iterator[Finding]:
    template = canary.get("analysis")
    if isinstance(template, str) and template not in templates:
        words = did_you_mean(template, templates)
        yield (*path, "analysis"), template, f"no such analysis template: {words}"
    if "steps" not in canary or not isinstance(canary["steps"], list):
        return
    weight = 0.0
    for index, step in enumerate(canary["steps"]):
        here: Path = (*path, "steps", index)
        given = [key for key, value in _map(step).items() if value is not None]
        if isinstance(step, dict) and len(given) != 1:
            yield here, NO_VALUE, "want exactly one of set_weight, analysis, pause in a step"
        if given == ["analysis"] and weight in {0, _FULL_WEIGHT}:
            words = f"at weight {weight:g} there is nothing to compare: want it at a weight between"
            yield (*here, "analysis"), step["analysis"], words
        wanted = _map(step).get("set_weight")
        if not isinstance(wanted, int | float) or isinstance(wanted, bool):
            continue
        if wanted <= weight:
            yield (*here, "set_weight"), wanted, f"weights rise: want more than {weight:g}"
        weight = max(weight, wanted)
    if weight != _FULL_WEIGHT:
        yield (*path, "steps"), NO_VALUE, "the last weight is 100: want a step `set_weight: 100`"


def _check_template(path: Path, template: Mapping[str, Any]) -> Iterator[Finding]:
    for key in ("alpha", "beta"):
        chance = _share(template.get(key))
        if chance is not None and not 0 < chance <= 0.5:  # noqa: PLR2004
            yield (*path, key), template[key], "want a chance above 0 and up to 50%"
    low, high = template.get("min_tasks"), template.get("max_tasks")
    if isinstance(low, int) and isinstance(high, int) and 0 < high < low:
        yield (*path, "max_tasks"), high, f"want at least min_tasks, {low}, or 0 for no bound"
    names: set[str] = set()
    signals = template.get("signals")
    for index, signal in enumerate(_list(signals)):
        here: Path = (*path, "signals", index)
        name = _map(signal).get("name")
        if isinstance(name, str) and name in names:
            yield (*here, "name"), name, "given twice: want another name"
        if isinstance(name, str):
            names.add(name)
        yield from _check_signal(here, _map(signal))


def _check_signal(path: Path, signal: Mapping[str, Any]) -> Iterator[Finding]:
    metric, quantile = signal.get("metric"), signal.get("quantile")
    is_latency, is_absolute = metric == "task.latency", signal.get("compare") == "absolute"
    level = _share(quantile)
    if level is not None and not 0 < level < 1:
        yield (*path, "quantile"), quantile, "want a share between 0 and 1, as 0.95"
    if is_latency and quantile is None:
        yield path, NO_VALUE, "quantile is missing: task.latency needs one, as 0.95"
    if quantile is not None and isinstance(metric, str) and not is_latency:
        yield (*path, "quantile"), quantile, f"{metric} has no quantiles: leave it out"
    for key in ("tolerate", "harm_margin"):
        margin = _share(signal.get(key))
        if margin is not None and margin >= 1 and not is_latency:
            yield (*path, key), signal[key], "want a share below 100%"
        if margin == 0 and key == "tolerate" and not is_absolute:
            yield (*path, key), signal[key], "nothing can be shown at 0: want a share above 0"
    if isinstance(metric, str):
        yield from _check_limit(path, signal.get("limit"), is_latency, is_absolute)


def _check_limit(path: Path, limit: Any, is_latency: bool, is_absolute: bool) -> Iterator[Finding]:
    if limit is None:
        if is_absolute:
            yield path, NO_VALUE, "limit is missing: `compare: absolute` needs one"
        return
    if not is_absolute:
        yield (*path, "limit"), limit, "needs `compare: absolute`; a comparison has `tolerate`"
    try:
        value = parse_duration(limit) if is_latency else parse_share(limit)
    except ValueError as error:
        yield (*path, "limit"), limit, str(error)
        return
    if value > 1 and not is_latency:
        yield (*path, "limit"), limit, "want a share up to 100%"


def _check_names(path: Path, names: Any, known: Mapping[str, Any], what: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in enumerate(_list(names)):
        if isinstance(name, str) and name not in known:
            words = did_you_mean(name, list(known))
            yield (*path, index), name, f"no such {what}: {words}"
        elif isinstance(name, str) and name in seen:
            yield (*path, index), name, "given twice"
        seen.add(str(name))


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _maps(value: Any) -> list[tuple[str, Mapping[str, Any]]]:
    return [(key, block) for key, block in _map(value).items() if isinstance(block, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _share(value: Any) -> float | None:
    try:
        return parse_share(value)
    except ValueError:
        return None
