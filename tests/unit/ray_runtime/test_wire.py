from __future__ import annotations

import sys
import types
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.agents.errors import Failure
from rolewise.agents.message import Address, Message, Nature, Reply
from rolewise.fleet.ray import wire
from tests.unit.ray_runtime.wires import request

text = st.text(max_size=8)
addresses = st.builds(Address, role=text, version=text, replica=st.integers(0, 65535))
bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary(max_size=20) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
messages = st.builds(
    Message,
    id=st.integers(1, 2**64 - 1),
    nature=st.sampled_from(Nature),
    kind=text,
    sender=addresses,
    to=text,
    body=bodies,
    task=text,
    conversation=text,
    attributes=st.dictionaries(text, text, max_size=2),
    parent=st.integers(0, 2**64 - 1),
    table=st.integers(0, 99),
    timeout_s=st.none() | st.floats(0, 60),
    hop=st.integers(0, 300),
    traceparent=text,
    arm=st.integers(0, 2),
    awaited=st.integers(0, 2),
    attempt=st.integers(0, 3),
    retry_of=text,
    task_key=st.integers(0, 2**64 - 1),
)
failures = st.builds(Failure, code=text, message=text, role=text, version=text, cause=text)
replies = st.builds(Reply, to=st.integers(1, 2**64 - 1), sender=addresses, body=bodies) | st.builds(
    Reply, to=st.integers(1, 2**64 - 1), sender=addresses, failure=failures
)


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert wire.unpack_message(wire.pack_message(message)) == message


def test_no_handler_can_change_the_message_that_the_fleet_goes_on_with() -> None:
    message = request(7)
    came = wire.unpack_message(wire.pack_message(message))
    with pytest.raises(FrozenInstanceError):
        came.id = 8  # type: ignore[misc]
    assert came == message


@given(replies)
def test_a_reply_comes_back_as_it_was(reply: Reply) -> None:
    assert wire.unpack_reply(wire.pack_reply(reply)) == reply


class Stubborn:
    def __reduce__(self) -> Any:
        raise ValueError("I stay here")


class Explosive:
    def __reduce__(self) -> Any:
        return (int, ("no number",))


def test_an_answer_that_does_not_pickle_or_load_is_a_failure_in_words() -> None:
    sender = Address(role="worker", version="v1", replica=1)
    for body, words in ((Stubborn(), "does not pickle"), (Explosive(), "does not load")):
        packed = wire.pack_reply(Reply(to=1, sender=sender, body=body))
        failure = wire.unpack_reply(packed).failure
        assert failure is not None
        assert failure.code == "ask_failed"
        assert words in failure.message
        assert failure.role == "worker"


def test_a_class_of_the_main_script_goes_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = type("Offer", (), {"__module__": "__main__", "price": 3})
    script = types.ModuleType("__main__")
    script.Offer = offer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", script)
    data = wire.dump_body(offer())
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    reply = wire.unpack_reply((1, ("worker", "v1", 1), data, None))
    assert reply.body.price == 3
