"""Tokens, roles, and files that cannot be used."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.api.access import (
    Denied,
    Identity,
    Role,
    Token,
    TokenFileInvalid,
    authorize,
    read_tokens,
)

OPERATE = "a-token-for-the-operator"
HEX = hashlib.sha256(OPERATE.encode()).hexdigest()
SHARED_TOKEN = f"""
tokens:
  - {{name: a, role: viewer, token: {OPERATE}}}
  - {{name: b, role: admin, sha256: {HEX}}}
"""
HEADERS = st.none() | st.text() | st.text(st.characters(categories=["Cs"]))


def token(name: str, role: Role, secret: str) -> Token:
    return Token(
        identity=Identity(name=name, role=role), digest=hashlib.sha256(secret.encode()).digest()
    )


TOKENS = (
    token("page", Role.VIEWER, "view"),
    token("alice", Role.OPERATOR, "operate"),
    token("root", Role.ADMIN, "administer"),
)


@pytest.mark.parametrize("needed", Role)
@pytest.mark.parametrize(
    ("secret", "name", "role"),
    [
        ("view", "page", Role.VIEWER),
        ("operate", "alice", Role.OPERATOR),
        ("administer", "root", Role.ADMIN),
    ],
)
def test_a_role_includes_those_below_it(secret: str, name: str, role: Role, needed: Role) -> None:
    answer = authorize(f"Bearer {secret}", needed, TOKENS)
    if role >= needed:
        assert answer == Identity(name=name, role=role)
    else:
        assert isinstance(answer, Denied)
        assert answer.status == 403
        assert f"{name} is {role.name.lower()}" in answer.reason
        assert f"needs {needed.name.lower()}" in answer.reason


def test_roles_are_ordered() -> None:
    assert Role.VIEWER < Role.OPERATOR < Role.ADMIN


@pytest.mark.parametrize("header", ["bearer view", "BEARER  view ", "  Bearer view"])
def test_the_scheme_is_read_as_http_does(header: str) -> None:
    assert authorize(header, Role.VIEWER, TOKENS) == Identity(name="page", role=Role.VIEWER)


@pytest.mark.parametrize(
    "header", [None, "", "view", "Bearer", "Bearer ", "Basic view", "Bearer View", "Bearer view x"]
)
def test_whoever_is_not_known_gets_401(header: str | None) -> None:
    answer = authorize(header, Role.VIEWER, TOKENS)
    assert isinstance(answer, Denied)
    assert answer.status == 401


@given(
    header=st.none() | st.text() | st.text(st.characters(categories=["Cs"])),
    needed=st.sampled_from(Role),
)
def test_no_other_header_passes_and_none_breaks_it(header: str | None, needed: Role) -> None:
    assert isinstance(authorize(header, needed, TOKENS), Denied)
    assert isinstance(authorize(f"Bearer {header}!", needed, TOKENS), Denied)


def test_no_tokens_let_nobody_in() -> None:
    assert isinstance(authorize("Bearer view", Role.VIEWER, ()), Denied)


def test_a_file_may_hold_tokens_and_digests(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    path.write_text(
        f"tokens:\n"
        f"  - {{name: alice, role: operator, token: {OPERATE}}}\n"
        f"  - {{name: page, role: viewer, sha256: {hashlib.sha256(b'view').hexdigest().upper()}}}\n"
    )
    tokens = read_tokens(path)
    assert authorize(f"Bearer {OPERATE}", Role.OPERATOR, tokens) == Identity(
        name="alice", role=Role.OPERATOR
    )
    assert authorize("Bearer view", Role.VIEWER, tokens) == Identity(name="page", role=Role.VIEWER)
    assert isinstance(authorize(f"Bearer {HEX}", Role.VIEWER, tokens), Denied)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'tokens' is missing: allowed is a list"),
        ("- a\n", "'tokens' is missing"),
        ("{}", "tokens is missing: allowed is a list of one or more tokens"),
        ("tokens: []", r"tokens is []: allowed is a list of one or more tokens"),
        ("tokens: some", "tokens is 'some': allowed is a list"),
        ("tokens: [alice]", "tokens.0: allowed is a map of name, role, and sha256 or token"),
        ("token: []", "token is unknown: allowed is tokens"),
        ("tokens: [{role: viewer, token: x}]", "tokens.0.name is missing: allowed is a name"),
        ("tokens: [{name: '', role: viewer, token: x}]", "tokens.0.name is '': allowed is"),
        (
            "tokens: [{name: a, role: boss, token: x}]",
            "tokens.0.role is 'boss': allowed is viewer, operator, admin",
        ),
        ("tokens: [{name: a, token: x}]", "tokens.0.role is missing: allowed is viewer"),
        ("tokens: [{name: 7, role: viewer, token: x}]", "tokens.0.name is 7: allowed is"),
        (
            "tokens: [{name: a, role: viewer, key: x}]",
            "tokens.0.key is unknown: allowed is name, role, sha256, token",
        ),
        ("tokens: [{name: a, role: viewer}]", "tokens.0 needs either sha256 or token, not both"),
        (
            f"tokens: [{{name: a, role: viewer, token: x, sha256: {HEX}}}]",
            "tokens.0 needs either sha256 or token, not both",
        ),
        (
            f"tokens: [{{name: a, role: viewer, sha256: {OPERATE}}}]",
            "tokens.0.sha256 is not shown here: allowed is 64 hexadecimal digits",
        ),
        (
            f"tokens: [{{name: a, role: viewer, token: '{OPERATE} x'}}]",
            "tokens.0.token is not shown here: allowed is printable characters without blanks",
        ),
        ("tokens: [{name: a, role: viewer, token: 12}]", "tokens.0.token is not shown here"),
        (f"tokens:\n  - {{name: {OPERATE}", ": not YAML"),
        (f"tokens: []\ntokens: {OPERATE}", "line 2: a key stands twice"),
        (
            "tokens: [{name: a, role: viewer, token: x}, {name: a, role: admin, token: y}]",
            "name 'a' stands twice",
        ),
        (
            SHARED_TOKEN,
            "'a' and 'b' have the same token",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "tokens.yaml"
    path.write_text(text)
    with pytest.raises(TokenFileInvalid) as refused:
        read_tokens(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert words in str(refused.value)
    assert OPERATE not in str(refused.value)


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    path.write_text("tokens: [{name: a, role: boss, token: x}, {name: b, role: chief, token: y}]")
    with pytest.raises(TokenFileInvalid) as refused:
        read_tokens(path)
    lines = str(refused.value).splitlines()
    assert ["'boss'" in lines[0], "'chief'" in lines[1], len(lines)] == [True, True, 2]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokens.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TokenFileInvalid, match=r"tokens\.yaml: (No such file|not YAML)"):
        read_tokens(path)
