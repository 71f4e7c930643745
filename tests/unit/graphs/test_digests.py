"""Two messages that say the same have one digest; what only differs in words has one shape."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rolewise.graphs.digests import SHAPE_MASK, digest, measure, shapes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def said(body, kind="offer"):
    return digest("negotiator", "supplier", kind, body)


def shape(body):
    return said(body) & SHAPE_MASK


class Mood(enum.Enum):
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Offer:
    price: float
    item: str


class OfferModel(BaseModel):
    price: float
    item: str


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"price": 10.0000001}, {"price": 10.0}),
        ({"price": 10.0}, {"price": 10}),
        ("Please   answer\n now", "please answer now"),
        ({"text": "x", "timestamp": 1.0}, {"text": "x", "timestamp": 2.0}),
        ({"text": "x", "attempt": 1}, {"text": "x", "attempt": 2}),
        ({"id": uuid.uuid4().hex, "x": 1}, {"id": uuid.uuid4().hex, "x": 1}),
        ({"id": str(uuid.uuid4()), "x": 1}, {"id": str(uuid.uuid4()), "x": 1}),
        (Offer(3.0, "bolt"), {"price": 3, "item": "bolt"}),
        (OfferModel(price=3.0, item="bolt"), Offer(3.0, "bolt")),
        (Mood.GOOD, "good"),
        ({1, 2}, {2, 1}),
        ((1, 2), [1, 2]),
        (object(), object()),
    ],
)
def test_what_says_the_same_has_one_digest(one, other):
    assert said(one) == said(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"id": "order-1"}, {"id": "order-2"}),
        ({"id": 1}, {"id": 2}),
        ({"order_id": uuid.uuid4().hex}, {"order_id": uuid.uuid4().hex}),
        ({"price": 10.0}, {"price": 10.1}),
        (1234567, 1234568),
        (1, "1"),
        (1, True),
        (None, 0),
        ([1, 2], [2, 1]),
        ("x" * 5000, "x" * 4999 + "y"),
        (np.array([1, 2]), np.array([1, 3])),
        (b"a", b"b"),
    ],
)
def test_what_says_something_else_has_another_digest(one, other):
    assert said(one) != said(other)


def test_who_speaks_to_whom_and_what_kind_is_part_of_it():
    assert len({said("x"), said("x", "ask"), digest("supplier", "negotiator", "offer", "x")}) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"text": "can you do better"}, {"text": "is there no better offer"}),
        ({"price": 104.0}, {"price": 103.0}),
        ({"items": [{"n": 2}, {"n": 3}]}, {"items": [{"n": 3}]}),
        ({"ref": uuid.uuid4().hex}, {"ref": uuid.uuid4().hex}),
    ],
)
def test_other_words_and_like_numbers_keep_the_shape(one, other):
    assert said(one) != said(other)
    assert shape(one) == shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"verdict": "accept"}, {"verdict": "reject"}),
        ({"price": 100.0}, {"price": 1000.0}),
        ({"price": 1.0}, {"price": -1.0}),
        ({"price": 0}, {"price": 0.6}),
        ({"a": 1}, {"b": 1}),
        ({"item": "bolt-1"}, {"item": "bolt-2"}),
    ],
)
def test_one_word_values_sizes_and_fields_are_shape(one, other):
    assert shape(one) != shape(other)


@given(JSON)
def test_every_body_has_a_digest_that_is_not_the_sign_for_none(body):
    number = said(body)

    assert 0 < number < 2**64
    assert number == said(body)


@given(JSON, JSON)
def test_equal_digests_have_equal_shapes(one, other):
    if said(one) == said(other):
        assert shape(one) == shape(other)


def test_bodies_that_hold_themselves_end():
    body: dict[str, object] = {}
    body["self"] = body

    assert said(body)


def test_shapes_of_many_at_once():
    numbers = [said({"text": f"please answer {x}"}) for x in range(3)]

    assert shapes(np.array(numbers, np.uint64)).tolist() == [n & SHAPE_MASK for n in numbers]


def test_large_bodies_are_told_apart_and_their_size_is_known():
    text = "word " * 100_000
    digest_of, size = measure("a", "b", "k", {"page": text})

    assert size == pytest.approx(len(text), rel=0.01)
    assert digest_of != measure("a", "b", "k", {"page": text + "end"})[0]
    assert measure("a", "b", "k", "x" * 3000)[1] == pytest.approx(3000, rel=0.01)
    assert measure("a", "b", "k", None)[1] < 10
