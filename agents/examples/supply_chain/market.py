"""The world that the agents act in: prices, stock and lead times, all decided by the order's id."""

from __future__ import annotations

import hashlib

LIST_PRICES = {
    "battery": 42.0,
    "bearing": 7.5,
    "gearbox": 310.0,
    "lidar": 540.0,
    "motor": 95.0,
    "wheel": 18.0,
}
"""What one piece cost when the list was printed; prices have risen since."""


def draw(order_id: str, about: str) -> float:
    """Return a number from 0 to below 1: always the same for this order and question."""
    digest = hashlib.blake2b(f"{order_id}|{about}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def between(order_id: str, about: str, low: float, high: float) -> float:
    """Return a number from `low` to below `high`, as `draw`."""
    return low + (high - low) * draw(order_id, about)


def list_price(item: str) -> float:
    """Return the list price of an item.

    Raises:
        LookupError: Nobody sells it.
    """
    try:
        return LIST_PRICES[item]
    except KeyError:
        known = ", ".join(LIST_PRICES)
        raise LookupError(f"item = {item!r}: want one of {known}") from None


def market_price(order_id: str, item: str) -> float:
    """Return what one piece costs on the day of the order."""
    return list_price(item) * between(order_id, "market", 1.0, 1.25)


def floor_price(order_id: str, item: str) -> float:
    """Return the least that the supplier takes for one piece; only the supplier knows it."""
    return market_price(order_id, item) * between(order_id, "floor", 0.88, 1.0)


def stock(order_id: str, quantity: int) -> int:
    """Return how many of the wanted pieces are on the shelf: all of them for one order in four."""
    share = draw(order_id, "stock")
    return quantity if share < 0.25 else int(quantity * (share - 0.25))  # noqa: PLR2004


def lead_days(order_id: str) -> int:
    """Return the days until the supplier's goods leave its house: 1 to 3."""
    return 1 + int(draw(order_id, "lead") * 3)


def transit_days(order_id: str) -> int:
    """Return the days on the road: 1 to 3."""
    return 1 + int(draw(order_id, "transit") * 3)
