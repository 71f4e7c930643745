"""The account of what came and what is missing, also of writers that are long silent or gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.graphs import batch_ledger
from rolewise.graphs.batch_ledger import BatchLedger
from rolewise.graphs.interactions import DTYPE, Batch

REMEMBERED, KEPT = 3, 4

Sent = list[tuple[int, int, int]]
"""Which writer, how many of its records before these never came, how many came."""


def sent_by(writers: int) -> st.SearchStrategy[Sent]:
    one = st.tuples(st.integers(0, writers - 1), st.sampled_from([0, 0, 0, 2]), st.integers(1, 5))
    return st.lists(one, max_size=80)


@pytest.fixture(autouse=True, scope="module")
def _few_writers() -> Iterator[None]:
    """Let ledgers forget soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_ledger, "WRITERS_REMEMBERED", REMEMBERED)
        patch.setattr(batch_ledger, "WRITERS_KEPT", KEPT)
        yield


def play(sent: Sent) -> tuple[BatchLedger, Counter[str], Counter[str]]:
    """Return the ledger, and what each writer lost and got through."""
    ledger = BatchLedger()
    ends, lost, came = Counter[str](), Counter[str](), Counter[str]()
    for writer, gap, count in sent:
        source = f"supplier@v{writer % 2}#{writer}.0"
        gap = gap if ends[source] else 0  # noqa: PLW2901
        records = np.zeros(count, DTYPE)
        records["seq"] = np.arange(count) + ends[source] + gap
        batch = Batch(source=source, first_seq=ends[source] + gap, records=records)
        ends[source] += gap + count
        lost[source] += gap
        came[source] += count
        tasks = np.array([len(came)], np.uint64)
        assert ledger.enter(batch, tasks)
        assert not ledger.enter(batch, tasks), "what comes twice counts once"
    return ledger, lost, came


@given(sent_by(REMEMBERED + KEPT))
def test_a_writer_that_was_silent_for_long_goes_on_where_it_was(sent: Sent) -> None:
    ledger, lost, came = play(sent)
    assert ledger.lost == lost.total()
    assert {s: (one.lost, one.seen) for s, one in ledger.losses().items()} == {
        source: (lost[source], came[source]) for source in came
    }


@given(sent_by(30).map(sorted))
def test_of_writers_that_are_gone_the_sums_stay(sent: Sent) -> None:
    """As replicas do: each begins, writes and ends, and many others follow."""
    ledger, lost, came = play(sent)
    losses = ledger.losses()
    assert ledger.lost == lost.total()
    assert sum(one.seen for one in losses.values()) == came.total()
    writers = [source for source in losses if "#" in source]
    assert len(writers) <= REMEMBERED + KEPT
    assert set(writers) == set(list(came)[-REMEMBERED - KEPT :])
    # Tasks beside a gap stay partial, whoever is gone.
    touched = {int(task) for task in ledger.touched()}
    order = list(came)
    assert touched == {order.index(source) + 1 for source in lost if lost[source]}


@given(sent_by(REMEMBERED + KEPT), sent_by(2))
def test_two_ledgers_of_the_same_batches_merge_to_the_same(sent: Sent, later: Sent) -> None:
    """Every collector hears of every batch; one may have heard of some more."""
    ledger, _, _ = play(sent)
    other, lost, came = play([*sent, *later])
    ledger.merge(other)
    assert ledger.lost == lost.total()
    assert sum(one.seen for one in ledger.losses().values()) == came.total()
