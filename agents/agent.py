"""What a user writes: an agent, as a class, an instance or a plain function.

    class Supplier(Agent):
        accepts = {"rfq": Rfq}
        tools = {"stock": read_stock}

        async def handle(self, message, ctx):
            ...
            return Offer(...)

    async def pricing(message, ctx):
        return {"price": 3}

What a handler returns is the answer to the message. What it raises fails the message, and the
asker gets `AskFailed` with the cause in words.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from rolewise.agents.context import Context
from rolewise.agents.errors import MessageRefused
from rolewise.agents.message import Message

Handler = Callable[[Message, Context], Awaitable[Any]]


class Agent:
    """One replica's agent. Subclass it, or give any object with an async `handle`.

    An instance serves many conversations at the same time: keep nothing about one conversation
    on `self`; that is what `Context.memory` is for.

    Attributes:
        accepts: Message kind -> type of its body (a pydantic model or anything that
            `pydantic.TypeAdapter` takes). A kind that is not listed is taken as it is.
        tools: Tool name -> function, sync or async; called through `Context.tool`.
    """

    accepts: ClassVar[Mapping[str, Any]] = {}
    tools: ClassVar[Mapping[str, Callable[..., Any]]] = {}

    async def handle(self, message: Message, ctx: Context) -> Any:
        """Handle one message; the return value is its answer."""
        raise NotImplementedError(f"{type(self).__name__} must define `async handle`")


class FunctionAgent(Agent):
    """A plain async function as an agent."""

    def __init__(self, function: Handler) -> None:
        self._function = function
        self.accepts = getattr(function, "accepts", {})  # type: ignore[misc]
        self.tools = getattr(function, "tools", {})  # type: ignore[misc]

    async def handle(self, message: Message, ctx: Context) -> Any:
        """Call the function."""
        return await self._function(message, ctx)


class AgentImportError(Exception):
    """An import path in a fleet's file does not lead to an agent."""


def load_agent(path: str, config: Mapping[str, Any] | None = None) -> Agent:
    """Make the agent that `path` ("package.module:name") names.

    A class is constructed with `config` as keyword arguments if its constructor takes any, else
    without; a function or an instance is taken as it is.

    Raises:
        AgentImportError: The path does not import, or what it names is no agent.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise AgentImportError(f"agent {path!r}: want 'package.module:name'")
    try:
        target: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError) as error:
        raise AgentImportError(f"agent {path!r} does not import: {error}") from error
    if inspect.isclass(target):
        takes = [p for p in inspect.signature(target).parameters if p != "self"]
        try:
            target = target(**(config or {})) if takes else target()
        except TypeError as error:
            raise AgentImportError(f"agent {path!r}: config does not fit: {error}") from error
    if inspect.iscoroutinefunction(target):
        return FunctionAgent(cast("Handler", target))
    if not inspect.iscoroutinefunction(getattr(target, "handle", None)):
        raise AgentImportError(
            f"agent {path!r} is a {type(target).__name__}: "
            "want an async function, or an object with `async handle(message, ctx)`"
        )
    return cast("Agent", target)


def fit_body(agent: Agent, kind: str, body: Any) -> Any:
    """Return `body` as the type that `agent` accepts for `kind`.

    Raises:
        MessageRefused: It does not fit; the message names the field, the value and the rule.
    """
    wanted = getattr(agent, "accepts", {}).get(kind)
    if wanted is None or (inspect.isclass(wanted) and isinstance(body, wanted)):
        return body
    raw = body.model_dump() if isinstance(body, BaseModel) else body
    try:
        return TypeAdapter(wanted).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise MessageRefused(
            f"{kind}: field {where} = {first['input']!r}: {first['msg']}"
        ) from None
