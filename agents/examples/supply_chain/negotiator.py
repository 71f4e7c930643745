"""The negotiator: buys what is short, by bids that rise while the supplier's offers fall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, assert_never

from rolewise.agents import Context, Message
from rolewise.agents.examples.supply_chain.bodies import (
    Accept,
    Accepted,
    Confirm,
    Counter,
    Deal,
    Need,
    NoDeal,
    Observed,
    Offer,
    PriceQuestion,
    Reference,
    Rfq,
)
from rolewise.agents.examples.supply_chain.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Bargain:
    """Where the bargaining for one order stands: our bid against the supplier's offer."""

    need: Need
    bid: float
    offer: Offer
    rounds: int = 0


class Negotiator(Worker):
    """Answers `procure` with a `Deal` or `NoDeal`, and `confirm` with whether an order is ours.

    Args:
        opening: First bid, as a share of pricing's reference price.
        concession: Share of the gap by which a bid rises in each round.
        good_enough: Premium over the reference price at which it takes an offer at once.
        max_rounds: Rounds after which it takes what is within the limit, or walks away.
        pace: See `Worker`.
        verbosity: See `Worker`.
    """

    accepts: ClassVar = {"procure": Need, "confirm": Confirm}

    def __init__(
        self,
        *,
        opening: float = 0.8,
        concession: float = 0.3,
        good_enough: float = 0.0,
        max_rounds: int = 7,
        pace: float = 1.0,
        verbosity: float = 1.0,
    ) -> None:
        super().__init__(pace=pace, verbosity=verbosity)
        self._opening = opening
        self._concession = concession
        self._good_enough = good_enough
        self._max_rounds = max_rounds

    async def handle(self, message: Message, ctx: Context) -> Deal | NoDeal | bool:
        """Bargain for a need, or confirm that an order comes from this fleet."""
        body: Need | Confirm = message.body
        match body:
            case Need():
                return await self._procure(body, ctx)
            case Confirm():
                return True  # a message only gets here within a task of our own fleet
            case _:
                assert_never(body)

    async def _procure(self, need: Need, ctx: Context) -> Deal | NoDeal:
        order_id, item = need.order_id, need.item
        await self.think(ctx, order_id, "prepare", tokens=120)
        question = PriceQuestion(order_id=order_id, item=item)
        reference: Reference = await ctx.ask("pricing", question, kind="reference")
        rfq = Rfq(order_id=order_id, item=item, quantity=need.quantity)
        offer: Offer = await ctx.ask("supplier", rfq, kind="rfq")
        await self.report(offer, need, ctx)
        bid = min(self._opening * reference.price, need.max_price)
        bargain = Bargain(need=need, bid=bid, offer=offer)
        wanted = (1 + self._good_enough) * reference.price
        while not self.is_settled(bargain, wanted):
            bargain = await self.haggle(bargain, ctx)
        return await self._close(bargain, ctx)

    async def report(self, offer: Offer, need: Need, ctx: Context) -> None:
        """Tell pricing what the supplier asks."""
        seen = Observed(order_id=need.order_id, item=need.item, price=offer.price)
        await ctx.tell("pricing", seen, kind="observed")

    def is_settled(self, bargain: Bargain, wanted: float) -> bool:
        """Whether the last offer is one to decide on: to take it or to walk away."""
        return (
            bargain.offer.final
            or bargain.offer.price <= min(wanted, bargain.need.max_price)
            or bargain.rounds >= self._max_rounds
        )

    def acceptable(self, bargain: Bargain) -> bool:
        """Whether the last offer may be taken."""
        return bargain.offer.price <= bargain.need.max_price

    def next_bid(self, bargain: Bargain) -> float:
        """Return a better bid: nearer to the offer, never above the limit."""
        gap = bargain.offer.price - bargain.bid
        return min(bargain.bid + self._concession * gap, bargain.need.max_price)

    async def haggle(self, bargain: Bargain, ctx: Context) -> Bargain:
        """Raise the bid and hear the next offer: one round."""
        need = bargain.need
        await self.think(ctx, need.order_id, f"round {bargain.rounds}", tokens=50)
        bid = self.next_bid(bargain)
        last_ask = bargain.offer.price
        counter = Counter(order_id=need.order_id, item=need.item, bid=bid, last_ask=last_ask)
        offer: Offer = await ctx.ask("supplier", counter, kind="counter")
        if offer.price - bid < last_ask - bargain.bid:
            ctx.progress("gap closer")
        return Bargain(need=need, bid=bid, offer=offer, rounds=bargain.rounds + 1)

    async def _close(self, bargain: Bargain, ctx: Context) -> Deal | NoDeal:
        need, price = bargain.need, bargain.offer.price
        if not self.acceptable(bargain):
            ctx.progress("walked away")
            reason = f"{need.item}: the last offer was {price:.2f}, the limit {need.max_price:.2f}"
            return NoDeal(reason=reason, rounds=bargain.rounds)
        accept = Accept(order_id=need.order_id, price=price)
        accepted: Accepted = await ctx.ask("supplier", accept, kind="accept")
        ctx.progress("agreed")
        return Deal(price=price, lead_days=accepted.lead_days, rounds=bargain.rounds)
