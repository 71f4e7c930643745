"""The supplier: opens high, gives way a little for each better bid, and stops at its floor."""

from __future__ import annotations

from typing import ClassVar, assert_never

from rolewise.agents import Context, Message
from rolewise.agents.examples.supply_chain import market
from rolewise.agents.examples.supply_chain.bodies import Accept, Accepted, Counter, Offer, Rfq
from rolewise.agents.examples.supply_chain.worker import Worker

CLOSE_ENOUGH = 0.02
"""Gap between bid and ask, as a share of the ask, at which the supplier takes the bid."""


class Supplier(Worker):
    """Answers `rfq` and `counter` with an `Offer`, and `accept` with its lead time.

    It keeps nothing between messages: a counter-offer carries the last offer, so any replica
    can go on with the bargain.

    Args:
        concession: Share of the gap that it gives away in each round.
        pace: See `Worker`.
        verbosity: See `Worker`.
    """

    accepts: ClassVar = {"rfq": Rfq, "counter": Counter, "accept": Accept}
    fastest_s = 0.002
    slowest_s = 0.006

    def __init__(
        self, *, concession: float = 0.45, pace: float = 1.0, verbosity: float = 1.0
    ) -> None:
        super().__init__(pace=pace, verbosity=verbosity)
        self._concession = concession

    async def handle(self, message: Message, ctx: Context) -> Offer | Accepted:
        """Quote, give way, or promise a date."""
        body: Rfq | Counter | Accept = message.body
        await self.think(ctx, body.order_id, message.kind, tokens=80)
        match body:
            case Rfq():
                return await self.quote(body, ctx)
            case Counter():
                return self._give_way(body)
            case Accept():
                ctx.progress("sold")
                return Accepted(lead_days=market.lead_days(body.order_id))
            case _:
                assert_never(body)

    async def quote(self, rfq: Rfq, ctx: Context) -> Offer:
        """Return the opening offer: well above the floor."""
        floor = market.floor_price(rfq.order_id, rfq.item)
        ctx.progress("quoted")
        return Offer(price=floor * market.between(rfq.order_id, "opening", 1.2, 1.5))

    def _give_way(self, counter: Counter) -> Offer:
        floor = market.floor_price(counter.order_id, counter.item)
        ask, bid = counter.last_ask, counter.bid
        if bid >= floor and ask - bid <= CLOSE_ENOUGH * ask:
            return Offer(price=bid, final=True)
        lower = ask - self._concession * (ask - max(floor, bid))
        if lower - floor <= CLOSE_ENOUGH * floor:
            return Offer(price=floor, final=True)
        return Offer(price=lower)
