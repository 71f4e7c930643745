"""The two that touch the goods: the robot that picks them and the carrier that moves them."""

from __future__ import annotations

from typing import Any, ClassVar, assert_never

from rolewise.agents import Context, Message
from rolewise.agents.errors import ToolFailed
from rolewise.agents.examples.supply_chain import market
from rolewise.agents.examples.supply_chain.bodies import (
    Booking,
    Cancellation,
    Pick,
    Picked,
    Shipment,
)
from rolewise.agents.examples.supply_chain.worker import Worker

MISREAD = 0.02
"""Share of shelf scans that fail at the first try."""


def scan_shelf(order_id: str, quantity: int, attempt: int) -> int:
    """Count the wanted pieces on the shelf; the scanner sometimes has to look twice."""
    if attempt == 0 and market.draw(order_id, "scanner") < MISREAD:
        raise OSError("the scanner could not read the label")
    return market.stock(order_id, quantity)


class WarehouseRobot(Worker):
    """Answers `reserve` with what it picked and what is short."""

    accepts: ClassVar = {"reserve": Pick}
    tools: ClassVar = {"scan_shelf": scan_shelf}

    async def handle(self, message: Message, ctx: Context) -> Picked:
        """Scan the shelf, once more if the scanner failed, and pick."""
        pick: Pick = message.body
        await self.think(ctx, pick.order_id, "pick", tokens=20)
        args: dict[str, Any] = {"order_id": pick.order_id, "quantity": pick.quantity}
        try:
            found = await ctx.tool("scan_shelf", {**args, "attempt": 0})
        except ToolFailed:
            found = await ctx.tool("scan_shelf", {**args, "attempt": 1})
        ctx.progress("picked")
        return Picked(picked=found, missing=pick.quantity - found)


class Carrier(Worker):
    """Answers `book` with the days on the road; takes note of `cancel`."""

    accepts: ClassVar = {"book": Shipment, "cancel": Cancellation}
    tools: ClassVar = {"plan_route": market.transit_days}

    async def handle(self, message: Message, ctx: Context) -> Booking | None:
        """Plan the route of a shipment, or give its place away."""
        body: Shipment | Cancellation = message.body
        match body:
            case Shipment():
                await self.think(ctx, body.order_id, "book", tokens=30)
                days = await ctx.tool("plan_route", {"order_id": body.order_id})
                ctx.progress("booked")
                return Booking(transit_days=days)
            case Cancellation():
                ctx.progress("cancelled")
                return None
            case _:
                assert_never(body)
