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
        meaning: What it means and what to do about it.
        definite: Surely nothing happened.
    """

    code: str
    title: str
    status: int
    exit_code: int
    meaning: str
    definite: bool = True


ERROR_KINDS: dict[str, ErrorKind] = {
    kind.code: kind
    for kind in (
        ErrorKind(
            code="bad_input",
            title="The input is not usable",
            status=422,
            exit_code=2,
            meaning=(
                "A field, parameter or file has a value that is not allowed; `errors` names "
                "each with its path. Correct it and send it again."
            ),
        ),
        ErrorKind(
            code="plan_refused",
            title="The plan cannot run",
            status=422,
            exit_code=2,
            meaning=(
                "The wanted release cannot be reached from the one that runs; `details` lists "
                "every reason. Nothing was started."
            ),
        ),
        ErrorKind(
            code="key_reused",
            title="Idempotency key used before",
            status=422,
            exit_code=2,
            meaning=(
                "The key has started another rollout. Take a fresh key for each new request; "
                "use the same key only to repeat one."
            ),
        ),
        ErrorKind(
            code="unknown_fleet",
            title="No such fleet",
            status=404,
            exit_code=2,
            meaning="No fleet of this name runs here. `GET /v1/fleets` lists those that do.",
        ),
        ErrorKind(
            code="unknown_rollout",
            title="No such rollout",
            status=404,
            exit_code=2,
            meaning="No rollout has this id. `GET /v1/rollouts` lists them.",
        ),
        ErrorKind(
            code="unknown_task",
            title="No such task",
            status=404,
            exit_code=2,
            meaning=(
                "No task with this id was submitted, or it ended so long ago that its account "
                "is only in the counts."
            ),
        ),
        ErrorKind(
            code="not_found",
            title="No such page",
            status=404,
            exit_code=2,
            meaning="The server has nothing at this path. `/docs` shows what there is.",
        ),
        ErrorKind(
            code="method_not_allowed",
            title="No such method here",
            status=405,
            exit_code=2,
            meaning=(
                "The path exists, but not with this method; the `Allow` header names those that do."
            ),
        ),
        ErrorKind(
            code="too_large",
            title="The request is too large",
            status=413,
            exit_code=2,
            meaning=(
                "The body is longer than the server takes. Keep large data outside and submit "
                "a reference to it."
            ),
        ),
        ErrorKind(
            code="verb_refused",
            title="Not allowed now",
            status=409,
            exit_code=2,
            meaning=(
                "The rollout is in a phase or step in which this verb has no meaning; "
                "`details` lists the verbs that are allowed now."
            ),
        ),
        ErrorKind(
            code="log_unreadable",
            title="The log cannot be read to its end",
            status=409,
            exit_code=2,
            meaning=(
                "A newer Rolewise has written to the log of this fleet or rollout, or an entry is "
                "damaged. What can be read is shown; nothing is written and nothing done to the "
                "fleet, which serves on. Run the Rolewise that wrote it, or a newer one."
            ),
        ),
        ErrorKind(
            code="rollout_in_progress",
            title="A rollout is running",
            status=409,
            exit_code=2,
            meaning="A fleet has one rollout at a time. Wait for it, or abort it.",
        ),
        ErrorKind(
            code="stale_sequence",
            title="Somebody was faster",
            status=412,
            exit_code=2,
            meaning=(
                "The rollout has moved on since you looked (`If-Match`). Look again, then decide."
            ),
        ),
        ErrorKind(
            code="unauthorized",
            title="A token is needed",
            status=401,
            exit_code=2,
            meaning="Send `Authorization: Bearer TOKEN` with a token of the server's token file.",
        ),
        ErrorKind(
            code="forbidden",
            title="The token does not allow it",
            status=403,
            exit_code=2,
            meaning=(
                "Viewers look, operators also move rollouts and submit tasks, admins do "
                "everything. Also the answer to requests that another web site makes in your "
                "browser."
            ),
        ),
        ErrorKind(
            code="too_many_tasks",
            title="Too many tasks in flight",
            status=429,
            exit_code=2,
            meaning="The fleet was not given the task. Send it again after `Retry-After`.",
        ),
        ErrorKind(
            code="unavailable",
            title="Rolewise cannot do it now",
            status=503,
            exit_code=4,
            definite=False,
            meaning=(
                "The store or the fleet does not answer, so it is not known whether the "
                "request was taken. Look, then repeat it with the same key."
            ),
        ),
        ErrorKind(
            code="internal",
            title="A fault in Rolewise",
            status=500,
            exit_code=1,
            definite=False,
            meaning="Not your fault; the server's log has the cause. Please report it.",
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
