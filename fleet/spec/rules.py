"""Rules between the parts of a fleet's file: names that must exist, weights that must rise.

They read the plain data, not the models, so that one broken field does not hide what else is
wrong: everything is told in one go. What has the wrong type is skipped here; the models tell it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rolewise.fleet.spec.edges import parse_edge
from rolewise.fleet.spec.plain import Finding, as_list, as_map, as_maps
from rolewise.fleet.spec.problems import NO_VALUE, Path, did_you_mean
from rolewise.fleet.spec.settings import BUILT_IN_TEMPLATES
from rolewise.fleet.spec.signal_rules import check_template
from rolewise.graphs.circles import find_circle

_MOVING_MODEL = re.compile(r"(^|[-:@/_.])latest$", re.IGNORECASE)
_FULL_WEIGHT = 100


def check_rules(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield every breach of a rule between parts of the file."""
    roles = as_map(data.get("roles"))
    yield from _check_names(("entry",), data.get("entry"), roles, "role")
    for role, block in as_maps(roles):
        yield from _check_role(role, block, roles, as_list(data.get("entry")))
    yield from _check_before(roles)
    yield from _check_releases(data, roles)
    for role in as_map(data.get("stages")):
        if role not in roles:
            yield ("stages", role), NO_VALUE, f"no such role: {did_you_mean(role, list(roles))}"
    yield from _check_edges(("forbidden_edges",), data.get("forbidden_edges"), roles)
    templates = as_map(data.get("analysis_templates"))
    strategies: list[tuple[Path, Any]] = [(("strategy",), data.get("strategy"))]
    strategies += [(("stages", role), block) for role, block in as_maps(data.get("stages"))]
    for path, strategy in strategies:
        canary = as_map(as_map(strategy).get("canary"))
        yield from _check_canary((*path, "canary"), canary, [*templates, *BUILT_IN_TEMPLATES])
    for name, template in as_maps(templates):
        yield from check_template(("analysis_templates", name), template)


def _check_role(
    role: str, block: Mapping[str, Any], roles: Mapping[str, Any], entry: list[Any]
) -> Iterator[Finding]:
    path: Path = ("roles", role)
    yield from _check_names((*path, "calls"), block.get("calls"), roles, "role")
    yield from _check_names((*path, "before"), block.get("before"), roles, "role")
    if block.get("timeout") is not None and role not in entry:
        yield (*path, "timeout"), block["timeout"], "only tasks have it: want it at an entry role"
    if block.get("versions") == {}:
        yield (*path, "versions"), NO_VALUE, "want at least one version"
    for version, fields in as_maps(block.get("versions")):
        yield from _check_version((*path, "versions", version), fields)
        edges: Path = (*path, "versions", version, "new_edges")
        yield from _check_edges(edges, fields.get("new_edges"), roles)


def _check_edges(path: Path, edges: Any, roles: Mapping[str, Any]) -> Iterator[Finding]:
    for index, text in enumerate(as_list(edges)):
        edge = parse_edge(text) if isinstance(text, str) else None
        for role in edge[:2] if edge else ():
            if role not in roles and role != "*":
                words = did_you_mean(role, list(roles))
                yield (*path, index), text, f"no such role as {role}: {words}"


def _check_before(roles: Mapping[str, Any]) -> Iterator[Finding]:
    before = {
        role: [later for later in as_list(block.get("before")) if isinstance(later, str)]
        for role, block in as_maps(roles)
    }
    circle = find_circle(before)
    if circle:
        words = f"goes in a circle: {' → '.join((*circle, circle[0]))}: want one of them left out"
        yield ("roles", circle[0], "before"), NO_VALUE, words


def _check_version(path: Path, fields: Mapping[str, Any]) -> Iterator[Finding]:
    model = fields.get("model")
    moves = isinstance(model, str) and _MOVING_MODEL.search(model)
    if moves and fields.get("allow_moving_model") is not True:
        words = "this name moves by itself: want a fixed model, or allow_moving_model: true"
        yield (*path, "model"), model, words
    for key in ("model", "prompts"):
        if fields.get(key) and key in as_map(fields.get("config")):
            yield (*path, "config", key), NO_VALUE, f"given twice: {key} is also a key of its own"


def _check_releases(data: Mapping[str, Any], roles: Mapping[str, Any]) -> Iterator[Finding]:
    releases = as_map(data.get("releases"))
    for name, release in as_maps(releases):
        for role, version in release.items():
            path: Path = ("releases", name, role)
            if role not in roles:
                yield path, NO_VALUE, f"no such role: {did_you_mean(role, list(roles))}"
                continue
            versions = list(as_map(as_map(roles[role]).get("versions")))
            if isinstance(version, str) and versions and version not in versions:
                words = did_you_mean(version, versions)
                yield path, version, f"role {role} has no such version: {words}"
    first = data.get("release")
    if not isinstance(first, str):
        return
    if first not in releases:
        yield ("release",), first, f"no such release: {did_you_mean(first, list(releases))}"
        return
    missing = [role for role in roles if role not in as_map(releases[first])]
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
        given = [key for key, value in as_map(step).items() if value is not None]
        if isinstance(step, dict) and len(given) != 1:
            yield here, NO_VALUE, "want exactly one of set_weight, analysis, pause in a step"
        if given == ["analysis"] and weight in {0, _FULL_WEIGHT}:
            words = f"at weight {weight:g} there is nothing to compare: want it at a weight between"
            yield (*here, "analysis"), step["analysis"], words
        wanted = as_map(step).get("set_weight")
        if not isinstance(wanted, int | float) or isinstance(wanted, bool):
            continue
        if wanted <= weight:
            yield (*here, "set_weight"), wanted, f"weights rise: want more than {weight:g}"
        weight = max(weight, wanted)
    if weight != _FULL_WEIGHT:
        yield (*path, "steps"), NO_VALUE, "the last weight is 100: want a step `set_weight: 100`"


def _check_names(path: Path, names: Any, known: Mapping[str, Any], what: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in enumerate(as_list(names)):
        if isinstance(name, str) and name not in known:
            words = did_you_mean(name, list(known))
            yield (*path, index), name, f"no such {what}: {words}"
        elif isinstance(name, str) and name in seen:
            yield (*path, index), name, "given twice"
        seen.add(str(name))
