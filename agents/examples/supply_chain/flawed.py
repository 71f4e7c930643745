"""Versions that look reasonable in review and hurt in production: what a rollout must catch."""

from __future__ import annotations

from rolewise.agents import Context
from rolewise.agents.examples.supply_chain.bodies import Confirm, Need, Observed, Offer, Rfq
from rolewise.agents.examples.supply_chain.negotiator import Bargain, Negotiator
from rolewise.agents.examples.supply_chain.supplier import Supplier

CANDIDATES = 50
"""Prices that the chatty negotiator reports in each round."""


class DistrustfulSupplier(Supplier):
    """Makes sure that a request is genuine before it quotes: deadlock.

    The negotiator waits for the quotation in its slot; the supplier waits, in its own slot, for
    a slot of the negotiator to hear the confirmation. With one slot free all is well; under load
    there is none, and both wait until their deadline.
    """

    async def quote(self, rfq: Rfq, ctx: Context) -> Offer:
        """Have the buyer confirm the order, then quote."""
        genuine = await ctx.ask("negotiator", Confirm(order_id=rfq.order_id), kind="confirm")
        if not genuine:
            raise PermissionError(f"order {rfq.order_id} is not known to the negotiator")
        return await super().quote(rfq, ctx)


class StubbornNegotiator(Negotiator):
    """Holds out for a better price than any supplier can give: bargains until its deadline."""

    def is_settled(self, bargain: Bargain, wanted: float) -> bool:
        """Settle only for half of what the item should cost."""
        return bargain.offer.price <= wanted / 2

    def next_bid(self, bargain: Bargain) -> float:
        """Never raise the bid."""
        return bargain.bid


class ChattyNegotiator(Negotiator):
    """Reports every price that it considers, not only those that it hears: floods pricing."""

    async def haggle(self, bargain: Bargain, ctx: Context) -> Bargain:
        """Report the candidates for the next bid, then haggle as usual."""
        await self._consider(bargain.need, bargain.bid, bargain.offer.price, ctx)
        return await super().haggle(bargain, ctx)

    async def _consider(self, need: Need, low: float, high: float, ctx: Context) -> None:
        for step in range(CANDIDATES):
            price = low + (high - low) * step / CANDIDATES
            candidate = Observed(order_id=need.order_id, item=need.item, price=price)
            await ctx.tell("pricing", candidate, kind="observed")


class EagerNegotiator(Negotiator):
    """Takes the first offer to save rounds, and forgets the order's limit."""

    def is_settled(self, bargain: Bargain, wanted: float) -> bool:  # noqa: ARG002
        """Settle at once."""
        return True

    def acceptable(self, bargain: Bargain) -> bool:  # noqa: ARG002
        """Take any offer."""
        return True
