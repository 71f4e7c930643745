"""From the alarms of `judge_operating.py` to rates, medians, what was wanted, and a page."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, isfinite, lgamma, log, log1p, sqrt
from statistics import median
from typing import Any

from judge_streams import FAILS

from rolewise.coordinator.judge.projection import Null, information

ALPHA = BETA = 0.05
HARM_AT, SAFE_AT = log(1.0 / ALPHA), log(1.0 / BETA)
OVER_BOUND, OVER_WINDOW = 1.6, 3.0
OURS, WINDOW = "rolewise", "window, best valid"
DOUBT = 0.01
"""A rate is held to be too high when its exact lower bound with this error is above what is
allowed: among fifty rates near their limit, a look at the plain rates would find one by chance."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One situation.

    Attributes:
        what: Which function looks.
        name: Kind of signal.
        weight: Probability of the canary.
        completion: Of the canary.
        change: What else is worse about it.
    """

    what: str
    name: str
    weight: float
    completion: float = 1.0 - FAILS
    change: str = ""


Results = dict[Cell, dict[str, list[float]]]


def report_of(results: Results) -> dict[str, Any]:
    """Return all figures as plain JSON values."""
    equal = {
        cell.weight: rules
        for cell, rules in results.items()
        if cell.what == "completion" and cell.completion == 1.0 - FAILS
    }
    report: dict[str, Any] = {
        "false_rollback": _false_rollbacks(results),
        "false_promotion": [
            _rate(rules[OURS], BETA) | _place(cell)
            for cell, rules in results.items()
            if cell.change == "border"
            or (cell.what == "promotion" and cell.completion < 1.0 - FAILS)
        ],
        "curves": _curves(results, equal),
        "detection": [
            _speed(rules[OURS]) | _place(cell)
            for cell, rules in results.items()
            if cell.what == "kind" and cell.change not in {"", "border"}
        ],
        "promotion": [
            _speed(rules[OURS]) | _place(cell) | {"bound": _promotion_bound(cell)}
            for cell, rules in results.items()
            if cell.what == "promotion" and cell.completion == 1.0 - FAILS
        ],
        "late": [
            _speed(alarms) | _place(cell) | {"rule": rule}
            for cell, rules in results.items()
            if cell.what == "late"
            for rule, alarms in rules.items()
        ],
    }
    return report | {"wanted": _wanted(report)}


def bound_tasks(weight: float, completion: float) -> float:
    """Return the information bound on the mean number of tasks to a rollback."""
    gain = information(weight, 1.0 - completion, FAILS, Null(claim="harmless"))
    return log(1.0 / ALPHA) / gain


def lower_bound(hits: int, runs: int, error: float = DOUBT) -> float:
    """Return the exact lower confidence bound of a rate (Clopper and Pearson)."""
    if not hits:
        return 0.0
    return _solve(lambda rate: _tail(hits, runs, rate) < error)


def upper_bound(hits: int, runs: int, error: float = 0.05) -> float:
    """Return the exact upper confidence bound of a rate."""
    if hits == runs:
        return 1.0
    return _solve(lambda rate: 1.0 - _tail(hits + 1, runs, rate) > error)


def _solve(is_below: Any) -> float:
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return 0.5 * (low + high)


def _tail(hits: int, runs: int, rate: float) -> float:
    """Return the chance of so many hits or more."""
    whole = lgamma(runs + 1)
    return sum(
        exp(
            whole - lgamma(k + 1) - lgamma(runs - k + 1) + k * log(rate) + (runs - k) * log1p(-rate)
        )
        for k in range(hits, runs + 1)
    )


def _place(cell: Cell) -> dict[str, Any]:
    return {
        "kind": cell.name,
        "weight": cell.weight,
        "canary_completion": round(cell.completion, 6),
        "change": cell.change,
    }


def _rate(alarms: list[float], allowed: float) -> dict[str, Any]:
    hits, runs = sum(map(isfinite, alarms)), len(alarms)
    rate = hits / runs
    return {
        "runs": runs,
        "rate": rate,
        "standard_error": sqrt(rate * (1.0 - rate) / runs),
        "upper_95": upper_bound(hits, runs),
        "allowed": allowed,
        "holds": lower_bound(hits, runs) <= allowed,
    }


def _speed(alarms: list[float]) -> dict[str, Any]:
    middle = median(alarms)
    return {
        "runs": len(alarms),
        "median_tasks": middle if isfinite(middle) else None,
        "detected_share": sum(map(isfinite, alarms)) / len(alarms),
    }


def _false_rollbacks(results: Results) -> list[dict[str, Any]]:
    rates = []
    for cell, rules in results.items():
        is_equal = cell.completion == 1.0 - FAILS and not cell.change
        if not is_equal or cell.what not in {"completion", "kind", "whole"}:
            continue
        for rule, alarms in rules.items():
            if not rule.startswith("window"):
                rates.append({"rule": rule} | _place(cell) | _rate(alarms, ALPHA))
    return rates


def _curves(results: Results, equal: dict[float, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """Return for each rule and weight the median number of tasks by the canary's completion.

    Of the window rule that setting is taken, anew at each point, that is the fastest among those
    which roll back at most `ALPHA` of the good versions at this weight.
    """
    valid = {
        weight: {
            rule
            for rule, alarms in rules.items()
            if rule.startswith("window <") and sum(map(isfinite, alarms)) <= ALPHA * len(alarms)
        }
        for weight, rules in equal.items()
    }
    curves: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for cell, rules in results.items():
        if cell.what != "completion" or cell.weight not in equal:
            continue
        if cell.completion == 1.0 - FAILS:
            continue
        shown = {rule: alarms for rule, alarms in rules.items() if not rule.startswith("window <")}
        best = min(
            valid[cell.weight],
            key=lambda rule: (median(rules[rule]), -sum(map(isfinite, rules[rule])), rule),
            default=None,
        )
        points = {rule: _speed(alarms) for rule, alarms in shown.items()}
        if best is not None:
            points[WINDOW] = _speed(rules[best]) | {"setting": best}
        tasks = bound_tasks(cell.weight, cell.completion)
        points["bound"] = {"median_tasks": tasks, "detected_share": 1.0}
        for rule, point in points.items():
            curves.setdefault((rule, cell.weight), []).append(
                {"canary_completion": round(cell.completion, 6)} | point
            )
    return [
        {"rule": rule, "weight": weight, "points": points}
        for (rule, weight), points in curves.items()
    ]


def _promotion_bound(cell: Cell) -> float:
    null = Null(claim="harmful", shift=float(cell.change))
    return log(1.0 / BETA) / information(cell.weight, FAILS, FAILS, null)


def _wanted(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what was wanted, each with what came out."""
    wanted = []
    ours = [one for one in report["false_rollback"] if one["rule"] == OURS]
    for what, rates in (("false rollback", ours), ("false promotion", report["false_promotion"])):
        worst = max(
            rates, key=lambda one: lower_bound(round(one["rate"] * one["runs"]), one["runs"])
        )
        wanted.append(
            {
                "what": f"{what} at most {worst['allowed']:.0%} in all {len(rates)} cells",
                "came_out": f"at most {max(one['rate'] for one in rates):.1%} in {worst['kind']}"
                f" at {100 * worst['weight']:.0f} %",
                "holds": all(one["holds"] for one in rates),
            }
        )
    points = {
        (curve["rule"], curve["weight"], point["canary_completion"]): point["median_tasks"]
        for curve in report["curves"]
        for point in curve["points"]
    }
    for (rule, weight, completion), tasks in points.items():
        if rule != OURS or completion > 0.90:
            continue
        where = f"{completion:.2f} at {100 * weight:.0f} %"
        bound = points["bound", weight, completion]
        ratio = inf if tasks is None else tasks / bound
        wanted.append(
            {
                "what": f"median to find {where} within {OVER_BOUND} times the bound",
                "came_out": f"{ratio:.2f} times: {_count(tasks)} of {bound:.0f}",
                "holds": ratio <= OVER_BOUND,
            }
        )
        if completion < 0.80 or (WINDOW, weight, completion) not in points:
            continue
        theirs = points[WINDOW, weight, completion]
        gain = inf if theirs is None else theirs / (tasks or inf)
        wanted.append(
            {
                "what": f"{OVER_WINDOW:.0f} times fewer than the best window at {where}",
                "came_out": f"{gain:.1f} times: {_count(tasks)} against {_count(theirs)}",
                "holds": gain >= OVER_WINDOW,
            }
        )
    return wanted


def text_of(report: dict[str, Any]) -> str:
    """Return the report as a page of text."""
    size = report["size"]
    lines = [
        "The judge beside other rules: simulated tasks, baseline completion .95, a look after each",
        f"seed {report['seed']}; alpha {report['alpha']}, beta {report['beta']}",
        f"completion is followed for {size['tasks']} tasks, other kinds for {size['kind_tasks']}",
        "",
        "FALSE ROLLBACKS of a version that is alike: rate, its standard error, 95 % upper bound",
    ]
    for rule in dict.fromkeys(one["rule"] for one in report["false_rollback"]):
        lines.append(f"  {rule}")
        rates = [one for one in report["false_rollback"] if one["rule"] == rule]
        lines += _rate_lines(rates)
    lines += [
        "",
        "FALSE PROMOTIONS of a version just as bad as is tolerated",
        *_rate_lines(report["false_promotion"]),
    ]
    lines += ["", "MEDIAN TASKS TO ROLL BACK, both arms (share found, where under all)"]
    for weight in dict.fromkeys(one["weight"] for one in report["curves"]):
        lines.append(f"  weight {100 * weight:.0f} %")
        for curve in report["curves"]:
            if curve["weight"] == weight:
                lines.append(f"    {curve['rule']:20s}" + "".join(map(_point, curve["points"])))
    for title, key in (
        ("MEDIAN TASKS TO ROLL BACK, one signal alone", "detection"),
        ("MEDIAN TASKS TO SHOW AN EQUAL VERSION SAFE within a margin of completion", "promotion"),
        ("MEDIAN TASKS AFTER ITS ONSET, harm that begins after 6000 good tasks", "late"),
    ):
        lines += ["", title, *_speed_lines(report[key])]
    lines += ["", "WANTED"]
    for one in report["wanted"]:
        lines.append(f"  {'PASS' if one['holds'] else 'FAIL'}  {one['what']}: {one['came_out']}")
    return "\n".join(lines)


def _rate_lines(rates: list[dict[str, Any]]) -> list[str]:
    lines = []
    keys = dict.fromkeys((one["kind"], _change(one)) for one in rates)
    for kind, change in keys:
        cells = [
            f"{100 * one['weight']:3.0f} %: {one['rate']:.3f} +-{one['standard_error']:.3f}"
            f" <{one['upper_95']:.3f} of {one['runs']}"
            for one in rates
            if (one["kind"], _change(one)) == (kind, change)
        ]
        lines.append(f"    {kind + change:26s}" + "   ".join(cells))
    return lines


def _speed_lines(speeds: list[dict[str, Any]]) -> list[str]:
    lines = []
    names = {id(one): f"{one.get('rule', one['kind'])}{_change(one)}" for one in speeds}
    for name in dict.fromkeys(names.values()):
        cells = [
            f"{100 * one['weight']:3.0f} %: {_shown(one)}"
            + (f" (bound {one['bound']:.0f})" if "bound" in one else "")
            for one in speeds
            if names[id(one)] == name
        ]
        lines.append(f"    {name:32s}" + "   ".join(cells))
    return lines


def _change(one: dict[str, Any]) -> str:
    if one["change"] in {"", "border"}:
        rate = one["canary_completion"]
        return "" if rate == round(1.0 - FAILS, 6) else f" .95 to {rate:.2f}"
    return f", {one['change']}"


def _point(point: dict[str, Any]) -> str:
    return f"  {point['canary_completion']:.2f}: {_shown(point):14s}"


def _shown(point: dict[str, Any]) -> str:
    share = point["detected_share"]
    return _count(point["median_tasks"]) + (f" ({share:.0%})" if share < 1.0 else "")


def _count(tasks: float | None) -> str:
    return "-" if tasks is None else f"{tasks:.0f}"
