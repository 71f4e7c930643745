"""From a fleet's YAML text to a `FleetSpec`, or to everything that is wrong with it."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rolewise.fleet.spec.analysis import AnalysisTemplateSpec
from rolewise.fleet.spec.base import NAME_WORDS, Model, Named
from rolewise.fleet.spec.models import FleetSpec
from rolewise.fleet.spec.plain import Finding
from rolewise.fleet.spec.problems import NO_VALUE, Path, Problem, SpecError, did_you_mean
from rolewise.fleet.spec.rules import check_rules
from rolewise.fleet.spec.signal_rules import check_template
from rolewise.fleet.spec.source import read_source
from rolewise.fleet.spec.values import Want

_TEMPLATES, _ALONE = "analysis_templates", "analysis"


class _Templates(Model):
    """The part of a fleet's file that says how stages are judged."""

    analysis_templates: Named[AnalysisTemplateSpec]


def load_fleet(path: str | FilePath) -> FleetSpec:
    """Read a fleet's file.

    Raises:
        SpecError: It cannot be read or used; all problems are listed.
    """
    return parse_fleet(_read(path), str(path))


def load_templates(path: str | FilePath) -> dict[str, AnalysisTemplateSpec]:
    """Read a file's analysis templates: those of a fleet's file, or a single one that is all of it.

    Returns:
        By name; a single one has none.

    Raises:
        SpecError: It cannot be read or used; all problems are listed.
    """
    source = read_source(_read(path), str(path), begins=f"{_TEMPLATES}:")
    is_alone = not isinstance(source.data, Mapping) or _TEMPLATES not in source.data
    data = {_TEMPLATES: {_ALONE: source.data} if is_alone else source.data[_TEMPLATES]}
    findings: dict[Path, Finding] = {}
    try:
        templates = _Templates.model_validate(data).analysis_templates
    except ValidationError as error:
        for finding in _explain(error, data):
            findings.setdefault(finding[0], finding)
    if isinstance(data[_TEMPLATES], Mapping):
        for name, template in data[_TEMPLATES].items():
            if isinstance(template, Mapping):
                for finding in check_template((_TEMPLATES, name), template):
                    findings.setdefault(finding[0], finding)
    inner = 2 if is_alone else 0
    problems = [
        source.problem(path[inner:], message, value=value)
        for path, value, message in findings.values()
    ]
    _refuse([*source.problems, *problems])
    return {"": templates[_ALONE]} if is_alone else templates


def parse_fleet(text: str, name: str = "fleet.yaml") -> FleetSpec:
    """Read a fleet from YAML or JSON text; `name` is what problems call the file.

    Raises:
        SpecError: It cannot be used; all problems are listed, in order of place.
    """
    source = read_source(text, name)
    findings: dict[Path, Finding] = {}
    spec: FleetSpec | None = None
    try:
        spec = FleetSpec.model_validate(source.data)
    except ValidationError as error:
        for finding in _explain(error, source.data):
            findings.setdefault(finding[0], finding)
    if isinstance(source.data, Mapping):
        for finding in check_rules(source.data):
            findings.setdefault(finding[0], finding)
    found = [
        source.problem(path, message, value=value) for path, value, message in findings.values()
    ]
    told = {problem.key for problem in source.problems}
    _refuse([*source.problems, *(problem for problem in found if problem.key not in told)])
    assert spec is not None  # noqa: S101 (else something was found)
    return spec


def _refuse(problems: Sequence[Problem]) -> None:
    """Raise all problems together, if there are any."""
    if problems:
        raise SpecError(sorted(problems, key=lambda p: (p.line, p.column, p.key)))


def _read(path: str | FilePath) -> str:
    file = str(path)
    try:
        return FilePath(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise SpecError([_file_problem(file, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        message = f"is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
        raise SpecError([_file_problem(file, message)]) from None


def _file_problem(file: str, message: str) -> Problem:
    return Problem(file=file, line=1, column=1, key="", value=NO_VALUE, message=message)


def _explain(error: ValidationError, data: Any) -> Iterator[Finding]:
    """Say in our words what pydantic found."""
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], data)
        match detail["type"]:
            case "extra_forbidden":
                words = did_you_mean(str(path[-1]), _known_keys(path[:-1]))
                yield path, NO_VALUE, f"unknown key: {words}"
            case "missing":
                words = _wanted(path, detail).removeprefix("want ")
                yield path, NO_VALUE, f"is missing: want {words}"
            case _:
                value = detail["input"]
                block = isinstance(value, dict | list) or not path or "[key]" in detail["loc"][-1:]
                shown = NO_VALUE if block else value
                yield path, shown, _wanted(path, detail)


def _path(loc: tuple[int | str, ...], data: Any) -> Path:
    """Cut off what pydantic adds to a location: `[key]`, names of union members."""
    path: Path = ()
    for part in loc:
        if isinstance(data, dict):
            if part == "[key]":
                break
            if part not in data:
                return (*path, part)
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        else:
            break
        path = (*path, part)
    return path


def _wanted(path: Path, detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    if detail["type"] == "too_short":
        return "want at least one"
    if "[key]" in detail["loc"][-1:]:
        return f"the key is no name: want {NAME_WORDS}"
    for part in _parts_at(path):
        if isinstance(part, Want):
            return f"want {part.words}"
        if get_origin(part) is Literal:
            return f"want one of {', '.join(str(choice) for choice in get_args(part))}"
        if _is_model(part):
            return f"want a mapping with keys of {', '.join(part.model_fields)}"
    return detail["msg"]


def _known_keys(path: Path) -> list[str]:
    return [name for part in _parts_at(path) if _is_model(part) for name in part.model_fields]


def _parts_at(path: Path) -> list[Any]:
    """Return what the models say about a path: annotations first, then the types themselves."""
    parts: list[Any] = [FleetSpec]
    for key in path:
        inside: list[Any] = []
        for part in parts:
            if _is_model(part) and key in part.model_fields:
                field = part.model_fields[str(key)]
                inside += [*field.metadata, *_flatten(field.annotation)]
            elif get_origin(part) is dict:
                inside += _flatten(get_args(part)[1])
            elif get_origin(part) is tuple:
                inside += _flatten(get_args(part)[0])
        parts = inside
    return parts


def _flatten(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *metadata = get_args(annotation)
        yield from metadata
        yield from _flatten(base)
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from _flatten(member)
    else:
        yield annotation


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)
