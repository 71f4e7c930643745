"""Saved snapshots: read as they are described, analysed as they are meant, refused with a path."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.saved_waits import (
    EXAMPLE_PAIR,
    SavedPair,
    SavedSnapshot,
    analyse_saved,
    read_saved,
    save_round,
)
from rolewise.graphs.snapshot_columns import read_round, read_snapshots
from tests.unit.graphs.waits import lock, mutual_ask, queued, replica, running


def analyse(snapshot: dict[str, Any], later: dict[str, Any] | None = None) -> dict[str, Any]:
    pair = SavedPair.model_validate({"snapshot": snapshot, "later": later})
    return analyse_saved(pair).model_dump(mode="json")


def test_the_example_is_a_confirmed_hard_deadlock_in_words():
    answer = analyse(EXAMPLE_PAIR["snapshot"], EXAMPLE_PAIR["later"])
    assert list(answer) == ["confirmed", "hard", "soft", "cycle"]
    stuck = {"stuck": ["i5", "m7", "m9"], "cores": [["i5", "m7", "m9"]]}
    assert (answer["confirmed"], answer["hard"], answer["soft"]) == (True, stuck, stuck)
    assert answer["cycle"][0] == {
        "id": "i5",
        "task": "t81",
        "role": "negotiator",
        "version": "v2",
        "waits_for": "m9",
        "in_words": "task t81: negotiator#1 has waited 12.4 s for the reply of supplier#1",
    }
    assert [(wait["id"], wait["waits_for"]) for wait in answer["cycle"]] == [
        ("i5", "m9"),
        ("m9", "m7"),
        ("m7", "i5"),
    ]


def test_one_snapshot_is_not_confirmed():
    answer = analyse(EXAMPLE_PAIR["snapshot"])
    assert not answer["confirmed"]
    assert answer["hard"]["stuck"] == ["i5", "m7", "m9"]


def test_a_wait_that_has_changed_since_does_not_count():
    later = json.loads(json.dumps(EXAMPLE_PAIR["later"]))
    later["replicas"][0]["running"][0]["epoch"] += 1
    answer = analyse(EXAMPLE_PAIR["snapshot"], later)
    nothing = {"stuck": [], "cores": []}
    assert answer == {"confirmed": True, "hard": nothing, "soft": nothing, "cycle": []}


def test_a_deadline_makes_it_soft():
    timed = json.loads(json.dumps(EXAMPLE_PAIR["snapshot"]))
    timed["replicas"][0]["running"][0]["deadline"] = 30.0
    answer = analyse(timed)
    assert answer["hard"]["stuck"] == []
    assert answer["soft"]["stuck"] == ["i5", "m7", "m9"]


# What the format means, spelled out once more: slow, and by sets of names.


def naive_stuck(snapshot: dict[str, Any], *, hard: bool, freed: frozenset[str] = frozenset()):
    """Release what can go on until nothing changes; `freed` goes on whatever it waits for."""
    replicas = snapshot["replicas"]
    running = {one["id"]: one for r in replicas for one in r["running"]}
    queue = {one["id"]: r for r in replicas for one in r["queue"]}
    locks = {one["id"]: one for r in replicas for one in r["locks"]}
    free: set[str] = set(freed)

    def goes_on(name: str) -> bool:
        return name in free or (name not in running and name not in queue)

    def is_free(one: dict[str, Any]) -> bool:
        let_go = [goes_on(holder) for holder in one["holders"]]
        return all(let_go) if one["mode"] == "shared" else any(let_go) or not let_go

    while True:
        more = set(free)
        for name, one in running.items():
            met = sum(
                goes_on(wait["reply"])
                if "reply" in wait
                else wait["lock"] not in locks or is_free(locks[wait["lock"]])
                for wait in one["waits"]
            )
            ends = hard and one["deadline"] is not None
            if one["state"] == "active" or ends or met >= one["need"]:
                more.add(name)
        for name, where in queue.items():
            holders = [one["id"] for one in where["running"]]
            if len(holders) < where["slots"] or any(holder in free for holder in holders):
                more.add(name)
        if more == free:
            return {*running, *queue} - free
        free = more


def random_snapshot(seed: int) -> dict[str, Any]:
    draw = random.Random(seed)
    ids = [f"m{i}" for i in range(draw.randint(2, 14))]
    names = [f"l{i}" for i in range(draw.randint(0, 3))]
    replicas: list[dict[str, Any]] = [
        {
            "replica": f"r#{i}",
            "role": "r",
            "version": draw.choice(("v1", "v2")),
            "slots": draw.randint(1, 3),
            "capacity_epoch": 0,
            "running": [],
            "queue": [],
            "locks": [],
        }
        for i in range(draw.randint(1, 6))
    ]
    holders: list[str] = []
    for name in ids:
        where = draw.choice(replicas)
        if len(where["running"]) >= where["slots"]:
            where["queue"].append({"id": name, "epoch": 1, "task": "t", "caller": "", "since": 1.0})
            continue
        holders.append(name)
        pool = [{"reply": other} for other in (*ids, "unseen") if other != name]
        pool += [{"lock": other} for other in (*names, "gone")]
        waits = draw.sample(pool, draw.randint(0, min(3, len(pool))))
        where["running"].append(
            {
                "id": name,
                "epoch": 1,
                "task": "t",
                "state": "wait" if waits else "active",
                "waits": waits,
                "need": draw.choice((len(waits), draw.randint(0, len(waits)))),
                "deadline": draw.choice((None, None, 9.0)),
                "since": 1.0,
            }
        )
    for name in names:
        held = draw.sample(holders, draw.randint(0, min(2, len(holders))))
        mode = draw.choice(("exclusive", "shared"))
        held = held[:1] if mode == "exclusive" else held
        lock_ = {"id": name, "epoch": 1, "holders": held, "mode": mode}
        draw.choice(replicas)["locks"].append(lock_)
    return {"replicas": replicas}


def test_thousands_of_random_snapshots_as_the_format_means_them():
    deadlocked = several = 0
    for seed in range(2000):
        snapshot = random_snapshot(seed)
        answer = analyse(snapshot, snapshot)
        for reading in ("hard", "soft"):
            hard, found = reading == "hard", answer[reading]
            stuck = naive_stuck(snapshot, hard=hard)
            assert found["stuck"] == sorted(stuck), f"seed {seed} {reading}"
            assert bool(found["cores"]) == bool(stuck), f"seed {seed} {reading}"
            for core in found["cores"]:
                others = frozenset(stuck - set(core))
                alone = naive_stuck(snapshot, hard=hard, freed=others)
                assert alone == set(core), f"seed {seed} {reading}: it does not hold itself"
            members = [name for core in found["cores"] for name in core]
            assert len(members) == len(set(members)), f"seed {seed} {reading}"
            several += len(found["cores"]) > 1
        deadlocked += bool(answer["soft"]["stuck"])
        assert set(answer["hard"]["stuck"]) <= set(answer["soft"]["stuck"]), f"seed {seed}"
        shown = [wait["id"] for wait in answer["cycle"]]
        assert [wait["waits_for"] for wait in answer["cycle"]] == [*shown[1:], *shown[:1]]
        assert any(set(shown) <= set(core) for core in answer["soft"]["cores"]) or not shown
    assert deadlocked > 500
    assert several > 20


def test_what_a_live_fleet_saves_can_be_read_again():
    fleet = [
        *mutual_ask(deadline=17.5, arm=2, kind="quote"),
        replica(
            "a@v1#7",
            running(2**63, locks=(2**64 - 1,), task="t"),
            queued(9, 2**63, pool=("a@v1#7", "a@v1#8")),
            lock(2**64 - 1, 2**63, name="stock", mode="semaphore", permits=1),
            incarnation="a.0",
            table=4,
            loop_lag_s=0.25,
        ),
    ]
    round_ = read_round(fleet, blind=["b@v1#9"]).ordered()
    text = save_round(round_, at=100.0).model_dump_json()
    saved = SavedSnapshot.model_validate_json(text, strict=True)
    assert saved.blind == ("b@v1#9",)
    told = analyse_saved(SavedPair(snapshot=saved, later=saved))
    assert told.soft.stuck == ("1", "2", "3", str(2**63))
    assert told.hard.stuck == (str(2**63),)
    assert saved.replicas[1].running[0].deadline == 117.5
    assert read_snapshots(round_)[1].running[0].deadline == 17.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"state": "waiting"},
            "replicas[0].running[0].state = \"waiting\": want 'active' or 'wait'",
        ),
        ({"state": None}, "replicas[0].running[0].state = null: want 'active' or 'wait'"),
        ({"need": -1}, "replicas[0].running[0].need = -1: want greater than or equal to 0"),
        ({"need": "1"}, 'replicas[0].running[0].need = "1": want a valid integer'),
        ({"epoch": 1.5}, "replicas[0].running[0].epoch = 1.5: want a valid integer"),
        ({"id": 5}, "replicas[0].running[0].id = 5: want a valid string"),
        ({"waits": [{"reply": "a", "lock": "b"}]}, "replicas[0].running[0].waits[0]: want exactly"),
        ({"waits": [{}]}, "replicas[0].running[0].waits[0]: want exactly one of reply and lock"),
        ({"waits": ["m9"]}, 'replicas[0].running[0].waits[0] = "m9": want an object'),
        ({"deadline": "soon"}, 'replicas[0].running[0].deadline = "soon": want a valid number'),
        ({"since": -2}, "replicas[0].running[0].since = -2: want greater than or equal to 0"),
        ({"colour": "red"}, 'replicas[0].running[0].colour = "red": is unknown here'),
    ],
)
def test_a_malformed_file_is_refused_with_path_value_and_what_is_allowed(
    tmp_path: Path, change: dict[str, Any], words: str
):
    data = json.loads(json.dumps(EXAMPLE_PAIR["snapshot"]))
    data["replicas"][0]["running"][0] |= change
    assert words in refusal(tmp_path, json.dumps(data))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Invalid JSON"),
        ("[]", "the file: want an object"),
        ("{}", "replicas: is missing"),
        ('{"replicas": {}}', "replicas: want a valid"),
        ('{"replicas": [{"replica": "a"}]}', "replicas[0].role: is missing"),
        ('{"replicas": [], "at": NaN}', "at"),
    ],
)
def test_so_is_what_is_no_snapshot_at_all(tmp_path: Path, text: str, words: str):
    assert words in refusal(tmp_path, text)


def test_a_replica_that_is_given_twice_is_refused(tmp_path: Path):
    one = EXAMPLE_PAIR["snapshot"]["replicas"][0]
    words = "replica 'negotiator#1' is given 2 times: want each once"
    assert words in refusal(tmp_path, json.dumps({"replicas": [one, one]}))


def refusal(tmp_path: Path, text: str) -> str:
    file = tmp_path / "snapshot.json"
    file.write_text(text)
    with pytest.raises(RolewiseError) as refused:
        read_saved(file)
    assert refused.value.kind.code == "bad_input"
    assert str(file) in refused.value.message
    return "\n".join((refused.value.message, *refused.value.details))
