"""Every error that a user of Rolewise can meet, with its exit code and HTTP status, in one table.

Each has a `code` that is stable, a message that names what is wrong and what is allowed, a `hint`
(what to try next), and `definite`: true when surely nothing happened.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorKind:
    """One row of the table.

    Attributes:
        exit_code: 2 bad input or a refused verb, 4 cannot be reached.
        definite: Surely nothing happened.
    """

    code: str
    title: str
    status: int
    exit_code: int
    definite: bool = True


ERROR_KINDS: dict[str, ErrorKind] = {
    kind.code: kind
    for kind in (
        ErrorKind(code="bad_input", title="The input is not usable", status=422, exit_code=2),
        ErrorKind(code="plan_refused", title="The plan cannot run", status=422, exit_code=2),
        ErrorKind(code="key_reused", title="Idempotency key used before", status=422, exit_code=2),
        ErrorKind(code="unknown_fleet", title="No such fleet", status=404, exit_code=2),
        ErrorKind(code="unknown_rollout", title="No such rollout", status=404, exit_code=2),
        ErrorKind(code="unknown_task", title="No such task", status=404, exit_code=2),
        ErrorKind(code="not_found", title="No such page", status=404, exit_code=2),
        ErrorKind(code="verb_refused", title="Not allowed now", status=409, exit_code=2),
        ErrorKind(
            code="rollout_in_progress", title="A rollout is running", status=409, exit_code=2
        ),
        ErrorKind(code="stale_sequence", title="Somebody was faster", status=412, exit_code=2),
        ErrorKind(code="unauthorized", title="A token is needed", status=401, exit_code=2),
        ErrorKind(code="forbidden", title="The token does not allow it", status=403, exit_code=2),
        ErrorKind(code="too_many_tasks", title="Too many tasks in flight", status=429, exit_code=2),
        ErrorKind(
            code="unavailable",
            title="Rolewise cannot do it now",
            status=503,
            exit_code=4,
            definite=False,
        ),
        ErrorKind(
            code="internal", title="A fault in Rolewise", status=500, exit_code=1, definite=False
        ),
    )
}


class RolewiseError(Exception):
    """An error with a row in the table.

    Args:
        code: Key of `ERROR_KINDS`.
        message: What is wrong: which field or id, its value, what is allowed.
        hint: What to try next; may be empty.
        details: One line for each single problem, when there are several.
    """

    def __init__(
        self, code: str, message: str, *, hint: str = "", details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.kind = ERROR_KINDS[code]
        self.message = message
        self.hint = hint
        self.details = details
