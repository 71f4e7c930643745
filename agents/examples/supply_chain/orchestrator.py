"""The orchestrator: takes an order, has it picked, bought and shipped, or fails it with the reason.

OrderFailed
|- NoAgreement     no supplier sells within the limit
|- OverLimit       bought above the order's limit
`- TooLate         it would arrive after the due date
"""

from __future__ import annotations

from typing import ClassVar

from rolewise.agents import Ask, Context, Message
from rolewise.agents.examples.supply_chain.bodies import (
    Booking,
    Cancellation,
    Deal,
    Need,
    NoDeal,
    Order,
    Pick,
    Picked,
    Receipt,
    Shipment,
)
from rolewise.agents.examples.supply_chain.worker import Worker


class OrderFailed(Exception):
    """The order cannot be filled; the task fails with this reason."""


class NoAgreement(OrderFailed):
    """No supplier sells the missing pieces within the limit."""


class OverLimit(OrderFailed):
    """The missing pieces were bought above the limit."""


class TooLate(OrderFailed):
    """The order would arrive after its due date."""


class Orchestrator(Worker):
    """Fills orders step by step: stock, purchase, transport."""

    accepts: ClassVar = {"task": Order}

    async def handle(self, message: Message, ctx: Context) -> Receipt:
        """Fill one order.

        Raises:
            OrderFailed: Why it cannot be filled.
        """
        order: Order = message.body
        await self.think(ctx, order.order_id, "plan", tokens=150)
        return await self.fill(order, ctx)

    async def fill(self, order: Order, ctx: Context) -> Receipt:
        """Ask one after the other: the carrier is booked when the goods are known."""
        picked: Picked = await ctx.ask("warehouse-robot", _pick(order), kind="reserve")
        deal = await self.buy(order, picked.missing, ctx)
        booking: Booking = await ctx.ask("carrier", _shipment(order), kind="book")
        try:
            return _receipt(order, picked, deal, booking)
        except OrderFailed:
            await self.cancel(order, ctx)
            raise

    async def buy(self, order: Order, missing: int, ctx: Context) -> Deal | None:
        """Have the missing pieces bought; None when nothing is missing.

        Raises:
            OrderFailed: No agreement, or one above the limit.
        """
        if missing == 0:
            return None
        need = Need(
            order_id=order.order_id,
            item=order.item,
            quantity=missing,
            max_price=order.max_price,
        )
        answer: Deal | NoDeal = await ctx.ask("negotiator", need, kind="procure")
        if isinstance(answer, NoDeal):
            raise NoAgreement(answer.reason)
        saving = 1 - answer.price / order.max_price
        ctx.score("saving", max(0.0, saving))
        if saving < 0:
            raise OverLimit(
                f"{order.item} bought at {answer.price:.2f}, the limit was {order.max_price:.2f}"
            )
        return answer

    async def cancel(self, order: Order, ctx: Context) -> None:
        """Give the carrier's place away."""
        await ctx.tell("carrier", Cancellation(order_id=order.order_id), kind="cancel")


class ParallelOrchestrator(Orchestrator):
    """Asks the robot and the carrier at the same time: the road does not depend on the shelf."""

    async def fill(self, order: Order, ctx: Context) -> Receipt:
        """Reserve and book together, then buy; cancel the booking when the order fails."""
        picked: Picked
        booking: Booking
        picked, booking = await ctx.ask_all(
            Ask("warehouse-robot", _pick(order), "reserve"),
            Ask("carrier", _shipment(order), "book"),
        )
        try:
            deal = await self.buy(order, picked.missing, ctx)
            return _receipt(order, picked, deal, booking)
        except OrderFailed:
            await self.cancel(order, ctx)
            raise


def _pick(order: Order) -> Pick:
    return Pick(order_id=order.order_id, item=order.item, quantity=order.quantity)


def _shipment(order: Order) -> Shipment:
    return Shipment(order_id=order.order_id, quantity=order.quantity)


def _receipt(order: Order, picked: Picked, deal: Deal | None, booking: Booking) -> Receipt:
    days = booking.transit_days + (deal.lead_days if deal else 0)
    if days > order.due_days:
        raise TooLate(f"order {order.order_id} would take {days} days, due in {order.due_days}")
    return Receipt(
        order_id=order.order_id,
        picked=picked.picked,
        bought=picked.missing,
        price=deal.price if deal else None,
        arrives_in_days=days,
    )
