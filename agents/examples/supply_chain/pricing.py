"""Pricing: what an item should cost, and how good that guess was."""

from __future__ import annotations

from typing import ClassVar, assert_never

from rolewise.agents import Context, Message
from rolewise.agents.examples.supply_chain import market
from rolewise.agents.examples.supply_chain.bodies import Observed, PriceQuestion, Reference
from rolewise.agents.examples.supply_chain.worker import Worker


class Pricing(Worker):
    """Answers `reference`; scores its guess when a price is `observed`.

    Args:
        watches_market: Start from the day's market price instead of the list price.
        noise: How far the estimate may be off, as a share of the price.
        pace: See `Worker`.
        verbosity: See `Worker`.
    """

    accepts: ClassVar = {"reference": PriceQuestion, "observed": Observed}

    def __init__(
        self,
        *,
        watches_market: bool = False,
        noise: float = 0.08,
        pace: float = 1.0,
        verbosity: float = 1.0,
    ) -> None:
        super().__init__(pace=pace, verbosity=verbosity)
        self._watches_market = watches_market
        self._noise = noise

    async def handle(self, message: Message, ctx: Context) -> Reference | None:
        """Estimate a price, or compare the estimate with what a supplier asked."""
        body: PriceQuestion | Observed = message.body
        match body:
            case PriceQuestion():
                await self.think(ctx, body.order_id, "reference", tokens=60)
                ctx.progress("priced")
                return Reference(price=self._estimate(body.order_id, body.item))
            case Observed():
                estimate = self._estimate(body.order_id, body.item)
                error = abs(body.price - estimate) / max(body.price, estimate)
                ctx.score("reference_price", 1.0 - error)
                return None
            case _:
                assert_never(body)

    def _estimate(self, order_id: str, item: str) -> float:
        true = (
            market.market_price(order_id, item) if self._watches_market else market.list_price(item)
        )
        return true * market.between(order_id, "estimate", 1 - self._noise, 1 + self._noise)
