"""What runs in a fleet: agents, the messages they exchange, and what a handler may do."""

from rolewise.agents.agent import Agent, AgentImportError, FunctionAgent, fit_body, load_agent
from rolewise.agents.context import Ask, Context, Memory, TaskInfo
from rolewise.agents.message import OUTSIDE, Address, Message, Nature, Reply

__all__ = [
    "OUTSIDE",
    "Address",
    "Agent",
    "AgentImportError",
    "Ask",
    "Context",
    "FunctionAgent",
    "Memory",
    "Message",
    "Nature",
    "Reply",
    "TaskInfo",
    "fit_body",
    "load_agent",
]
