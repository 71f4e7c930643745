"""A reply's kind: the fleet's own word for it, and nothing that would not come again."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from rolewise.fleet.recording.reply_kinds import reply_kind


class Word(enum.Enum):
    NO = "reject"


class Offer(BaseModel):
    price: float


class Answer(BaseModel):
    status: Word


class Open(BaseModel, extra="allow"):
    price: float


class Computed(BaseModel):
    price: float

    @property
    def verdict(self) -> str:
        return "dear" if self.price > 1 else "cheap"


@dataclass(slots=True)
class Plain:
    x: int


class Free:
    """An object of no declared fields."""

    def __init__(self, **fields: object) -> None:
        vars(self).update(fields)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"verdict": "Quote", "price": 3}, "quote"),
        ({"type": "offer", "verdict": "quote"}, "offer"),
        ({"status": 3, "outcome": "late"}, "late"),
        ({"status": "order-17"}, ""),
        ({"status": "all went well"}, ""),
        (Answer(status=Word.NO), "reject"),
        (Offer(price=1), "Offer"),
        (Plain(1), "Plain"),
        (Open(price=1, verdict="quote"), "quote"),
        (Open(price=1), "Open"),
        (Computed(price=2), "dear"),
        (Computed(price=1), "cheap"),
        (Free(decision="walk-away"), "walk-away"),
        (Free(price=1), ""),
        (Word.NO, "reject"),
        ("accept", "accept"),
        ("I accept that", ""),
        (None, ""),
        (17, ""),
        ([1], ""),
    ],
)
def test_kinds(body, kind):
    assert reply_kind(body) == kind
