"""Every error that a user of Rolewise can meet, with its exit code and HTTP status, in one table.

Each has a `code` that is stable, a message that names what is wrong and what is allowed, a `hint`
(what to try next), and `definite`: true when surely nothing happened.
"""

from __future__ import annotations

from dataclasses import dataclass

from rolewise.coordinator.store.port import StoreError


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
            code="task_expired",
            title="The task's result has expired",
            status=404,
            exit_code=2,
            meaning=(
                "The task has ended, and its result has waited longer than `results_kept` of the "
                "fleet's file. Ask sooner, or keep results longer."
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
            code="too_many_streams",
            title="Too many event streams",
            status=429,
            exit_code=2,
            meaning=(
                "So many readers follow rollouts that one more is not served. Read the events as "
                "a list, or come back after `Retry-After`."
            ),
        ),
        ErrorKind(
            code="unavailable",
            title="Rolewise cannot do it now",
            status=503,
            exit_code=4,
            definite=False,
            meaning=(
                "The server or the fleet does not answer, so it is not known whether the "
                "request was taken. Look, then repeat it with the same key."
            ),
        ),
        ErrorKind(
            code="store_unavailable",
            title="The store does not answer",
            status=503,
            exit_code=4,
            definite=False,
            meaning=(
                "The connection was refused or cut, or no answer came in time, so it is not known "
                "whether the request was taken. Fleets serve on by their last routing tables, no "
                "rollout moves, and all goes on by itself when the store is back. Look where "
                "things stand, then repeat the request with the same key."
            ),
        ),
        ErrorKind(
            code="store_full",
            title="The store is full",
            status=503,
            exit_code=4,
            meaning=(
                "The store's server has reached its `maxmemory`, or cannot write to its disk. "
                "Give it room; nothing needs to be restarted here."
            ),
        ),
        ErrorKind(
            code="store_read_only",
            title="The store takes no writes",
            status=503,
            exit_code=4,
            meaning=(
                "The server at the store's address is a replica, or has fewer replicas than "
                "`min-replicas-to-write` wants. Lead the address to the primary, or bring its "
                "replicas back."
            ),
        ),
        ErrorKind(
            code="store_login_refused",
            title="The store refuses the login",
            status=503,
            exit_code=4,
            meaning=(
                "The user or password in the store's address is missing or wrong, or may not run "
                "the commands that Rolewise needs (scripts, streams, hashes, strings). Correct "
                "the address or the server's access list."
            ),
        ),
        ErrorKind(
            code="store_not_trusted",
            title="No TLS connection to the store",
            status=503,
            exit_code=4,
            meaning=(
                "The server has no TLS at this port, or its certificate is not trusted or is for "
                "another name. Use `rediss://` for a port with TLS, and name the authority's "
                "certificate with `?ssl_ca_certs=FILE`."
            ),
        ),
        ErrorKind(
            code="store_forked",
            title="The store has lost entries",
            status=503,
            exit_code=4,
            meaning=(
                "Entries that were in the log are gone: most likely a replica took over that did "
                "not have them yet. Nothing is written any more, so that the history does not "
                "fork. Bring the server back that has them; or accept the loss: look at what the "
                "log still says, then `rolewise down`, and `rolewise up --accept-lost-entries`."
            ),
        ),
        ErrorKind(
            code="store_url_invalid",
            title="The store's address is not usable",
            status=422,
            exit_code=2,
            meaning=(
                "Want `redis://[user[:password]@]host[:port][/db]`, `rediss://` for TLS, or "
                "`unix:///path/to/socket`; options of the client may follow as a query."
            ),
        ),
        ErrorKind(
            code="store_start_failed",
            title="The bundled store does not start",
            status=503,
            exit_code=4,
            meaning=(
                "The message ends with the server's own last words; all of them are in "
                "`store/server.log` in the data folder. Often the disk is full."
            ),
        ),
        ErrorKind(
            code="data_directory_in_use",
            title="Somebody else has the data folder",
            status=409,
            exit_code=2,
            meaning=(
                "Another Rolewise keeps its store there; the message says which process, and "
                "since when. End it with `rolewise down --data FOLDER`, or take another folder."
            ),
        ),
        ErrorKind(
            code="data_directory_unusable",
            title="The data folder cannot be used",
            status=422,
            exit_code=2,
            meaning="It cannot be made, made private (mode 0700), or written to. Take another.",
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


def error_of(error: StoreError) -> RolewiseError:
    """Return what the store says as an error that users can meet."""
    code = error.code if error.code in ERROR_KINDS else "store_unavailable"
    return RolewiseError(code, f"the store: {error}", hint=STORE_HINTS.get(code, ""))


STORE_HINTS = {
    "store_unavailable": "look where things stand, then repeat it with the same Idempotency-Key",
    "store_full": "give the store's server memory or disk",
    "store_read_only": "lead the store's address to the primary",
    "store_login_refused": "correct user and password in --redis-url",
    "store_not_trusted": "rediss:// for TLS; ?ssl_ca_certs=FILE for a private authority",
    "store_forked": "bring the server with the entries back, or accept the loss: /v1/problems/"
    "store_forked",
    "store_url_invalid": "--redis-url redis://HOST:PORT/0",
    "data_directory_in_use": "rolewise down --data FOLDER, or another --data",
    "data_directory_unusable": "another --data",
}
"""What to try next, in one line; the table has the whole of it."""
