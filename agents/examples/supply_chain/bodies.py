"""What the agents of the supply chain say to each other."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A message's body: immutable, and an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Order(Body):
    """A task of the fleet: so many pieces of an item, in time and within a price.

    Attributes:
        order_id: Also decides all that is by chance in this order.
        max_price: The most that one piece may cost.
    """

    order_id: str = Field(min_length=1)
    item: str
    quantity: int = Field(gt=0)
    due_days: int = Field(gt=0)
    max_price: float = Field(gt=0)


class Pick(Body):
    """`reserve`, to the warehouse robot: take this from the shelf."""

    order_id: str
    item: str
    quantity: int = Field(gt=0)


class Picked(Body):
    """What the robot found, and what is short."""

    picked: int
    missing: int


class Need(Body):
    """`procure`, to the negotiator: buy what is short."""

    order_id: str
    item: str
    quantity: int = Field(gt=0)
    max_price: float = Field(gt=0)


class Deal(Body):
    """What was agreed with the supplier."""

    price: float
    lead_days: int
    rounds: int


class NoDeal(Body):
    """The negotiator walked away. That is an answer, no failure of the negotiator."""

    reason: str
    rounds: int


class PriceQuestion(Body):
    """`reference`, to pricing: what should this cost?"""

    order_id: str
    item: str


class Reference(Body):
    """Pricing's estimate for one piece."""

    price: float


class Observed(Body):
    """`observed`, an event to pricing: a supplier asked this price."""

    order_id: str
    item: str
    price: float


class Rfq(Body):
    """`rfq`, to the supplier: the request for a quotation that opens the bargaining."""

    order_id: str
    item: str
    quantity: int = Field(gt=0)


class Counter(Body):
    """`counter`, to the supplier: our bid against its last offer."""

    order_id: str
    item: str
    bid: float = Field(gt=0)
    last_ask: float = Field(gt=0)


class Offer(Body):
    """The supplier's price for one piece; `final` when it will not go lower."""

    price: float
    final: bool = False


class Accept(Body):
    """`accept`, to the supplier: the bargain is closed at this price."""

    order_id: str
    price: float


class Accepted(Body):
    """The supplier's promise: when the goods leave its house."""

    lead_days: int


class Confirm(Body):
    """`confirm`, to the negotiator: is this order really yours?"""

    order_id: str


class Shipment(Body):
    """`book`, to the carrier: bring this order to the customer."""

    order_id: str
    quantity: int = Field(gt=0)


class Booking(Body):
    """The carrier's promise."""

    transit_days: int


class Cancellation(Body):
    """`cancel`, an event to the carrier: the order failed, give the place away."""

    order_id: str


class Receipt(Body):
    """The result of a completed order."""

    order_id: str
    picked: int
    bought: int
    price: float | None
    arrives_in_days: int
