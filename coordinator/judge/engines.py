"""Which engine measures which signal."""

from __future__ import annotations

from rolewise.coordinator.judge.absolute import AbsoluteSeries
from rolewise.coordinator.judge.absolute_mean import CAP_OVER_LIMIT, AbsoluteMeanSeries
from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.bernoulli import BernoulliSeries
from rolewise.coordinator.judge.latency import LatencySeries
from rolewise.coordinator.judge.means import MeanSeries
from rolewise.coordinator.judge.messages import MessageSeries
from rolewise.coordinator.judge.metrics import Kind
from rolewise.coordinator.judge.series import Series


def build_series(signal: Signal, *, is_grouped: bool = False) -> Series:
    """Return a new engine for a signal.

    Args:
        signal: What is measured.
        is_grouped: A unit is several tasks, so that a share of bad ones takes the place of yes/no.
    """
    if signal.compare == "absolute":
        return _build_absolute(signal, is_grouped=is_grouped)
    tolerate, harm_margin = signal.tolerate, signal.harm_margin
    match signal.kind:
        case Kind.SHARE if not is_grouped:
            return BernoulliSeries(tolerate=tolerate, harm_margin=harm_margin)
        case Kind.SHARE | Kind.SCORE:
            return MeanSeries(is_relative=False, tolerate=tolerate, harm_margin=harm_margin)
        case Kind.AMOUNT:
            return MeanSeries(
                is_relative=True, tolerate=tolerate, harm_margin=harm_margin, cap=signal.cap
            )
        case Kind.LATENCY if signal.metric == "message.latency":
            return MessageSeries(quantile=signal.level, tolerate=tolerate, harm_margin=harm_margin)
        case Kind.LATENCY:
            return LatencySeries(
                quantile=signal.quantile, tolerate=tolerate, harm_margin=harm_margin
            )


def _build_absolute(signal: Signal, *, is_grouped: bool) -> Series:
    limit = signal.limit or 0.0
    match signal.kind:
        case Kind.AMOUNT:
            return AbsoluteMeanSeries(limit=limit, top=signal.cap or CAP_OVER_LIMIT * limit)
        case Kind.SCORE:
            worst = 1.0 - limit if signal.is_higher_better else limit
            return AbsoluteMeanSeries(limit=worst, top=1.0)
        case Kind.LATENCY if signal.metric == "message.latency":
            return AbsoluteMeanSeries(limit=signal.bad_rate_limit, top=1.0, mark=limit)
        case Kind.SHARE if is_grouped:
            return AbsoluteMeanSeries(limit=signal.bad_rate_limit, top=1.0)
        case Kind.SHARE | Kind.LATENCY:
            return AbsoluteSeries(signal)
