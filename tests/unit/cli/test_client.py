"""The client: problems as our own errors, and a log that is followed over lost connections."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from rolewise.coordinator.cli.client import Client, connect
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.views import RolloutView

Answer = Callable[[httpx.Request], httpx.Response]


def client_of(answer: Answer) -> Client:
    return Client(httpx.Client(transport=httpx.MockTransport(answer), base_url="http://rolewise"))


def event(number: int) -> str:
    fields = f'"number":{number},"at":"2026-01-02T03:04:05Z","type":"Paused","by":"ana"'
    return f'id: {number}\ndata: {{{fields},"text":"paused","reason":"","data":{{}}}}\n\n'


def refusal(answer: Answer) -> RolewiseError:
    with pytest.raises(RolewiseError) as caught:
        client_of(answer).read(RolloutView, "rollouts", "pair-1")
    return caught.value


def test_a_problem_is_the_error_that_its_code_names():
    told = {
        "code": "verb_refused",
        "type": "/v1/problems/verb_refused",
        "detail": "cannot resume pair-1",
        "hint": "look first",
        "details": ["pause", "abort"],
    }
    error = refusal(lambda _: httpx.Response(409, json=told))
    assert error.kind.code == "verb_refused"
    assert (error.message, error.hint) == ("cannot resume pair-1", "look first")
    assert error.details == ("pause", "abort")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(404, json={"type": "/v1/problems/unknown_rollout"}), "unknown_rollout"),
        (httpx.Response(502, text="<html>bad gateway</html>"), "unavailable"),
        (httpx.Response(503, json=["odd"]), "unavailable"),
        (httpx.Response(418, json={"code": "teapot"}), "internal"),
        (httpx.Response(200, text="<html>hello</html>"), "internal"),
        (httpx.Response(200, json={"id": "pair-1"}), "internal"),
        (httpx.Response(307, headers={"Location": "/"}), "internal"),
    ],
)
def test_an_answer_that_is_not_rolewise_s_is_told_too(answer: httpx.Response, code: str):
    error = refusal(lambda _: answer)
    assert error.kind.code == code
    assert error.message


def test_a_server_that_is_away_is_unavailable():
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    error = refusal(answer)
    assert error.kind.exit_code == 4
    assert "http://rolewise" in error.message


def test_names_cannot_lead_to_another_path():
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(404, json={"code": "unknown_rollout", "detail": "no"})

    with pytest.raises(RolewiseError):
        client_of(answer).read(RolloutView, "rollouts", "a/b?c#d")
    assert asked == ["/v1/rollouts/a%2Fb%3Fc%23d"]


def test_a_log_is_taken_up_again_behind_the_last_event():
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Last-Event-ID"])
        match len(asked):
            case 1:
                return httpx.Response(200, text=": hello\n\n" + event(1) + event(2))
            case 2:
                raise httpx.ReadTimeout("silent", request=request)
            case 3:
                raise httpx.ConnectError("restarting", request=request)
            case 4:
                away = {"code": "store_unavailable", "detail": "the store is away since 9:00"}
                return httpx.Response(503, json=away)
            case _:
                return httpx.Response(200, text=event(3))

    seen: list[int] = []
    for found in client_of(answer).follow("pair-1", patience_s=0.0):
        if found is not None:
            seen.append(found.number)
        if seen[-1:] == [3]:
            break
    assert seen == [1, 2, 3]
    assert asked == ["0", "2", "2", "2", "2"]


def test_a_log_whose_server_cannot_serve_for_long_ends_with_its_words(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("rolewise.coordinator.cli.client.LOST_S", 0.0)
    away = {"code": "store_full", "detail": "the store is away since 9:00: its disk is full"}
    with pytest.raises(RolewiseError, match="away since 9:00") as caught:
        for _ in client_of(lambda _: httpx.Response(503, json=away)).follow("x", patience_s=0.0):
            pass
    assert (caught.value.kind.code, caught.value.kind.exit_code) == ("store_full", 4)


def test_a_log_that_is_refused_is_not_tried_again():
    answer = httpx.Response(404, json={"code": "unknown_rollout", "detail": "no rollout x"})
    with pytest.raises(RolewiseError) as caught:
        next(client_of(lambda _: answer).follow("x"))
    assert caught.value.kind.code == "unknown_rollout"


def test_the_token_is_sent_and_must_be_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ROLEWISE_TOKEN", "s3cret")
    assert connect("http://rolewise")._http.headers["Authorization"] == "Bearer s3cret"
    monkeypatch.setenv("ROLEWISE_TOKEN", "ключ")
    with pytest.raises(RolewiseError) as caught:
        connect("http://rolewise")
    assert caught.value.kind.code == "bad_input"
    assert "ключ" not in caught.value.message
