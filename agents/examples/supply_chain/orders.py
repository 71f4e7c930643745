"""Orders without end: the traffic of the demo and of rehearsals."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

from rolewise.agents.examples.supply_chain.bodies import Order
from rolewise.agents.examples.supply_chain.market import LIST_PRICES

SITES = ("north", "south", "harbour")


def orders(seed: int) -> Iterator[dict[str, Any]]:
    """Yield tasks for the fleet for ever: the same ones, in the same order, for the same seed.

    About one order in twenty cannot be filled: nobody sells within its limit, or it is due too
    soon.
    """
    chance = random.Random(seed)
    items = sorted(LIST_PRICES)
    for number in itertools.count(1):
        item = chance.choice(items)
        order = Order(
            order_id=f"{seed}-{number}",
            item=item,
            quantity=chance.randint(2, 40),
            due_days=chance.choice((5, 6, 6, 7, 7, 8, 10, 14)),
            max_price=round(LIST_PRICES[item] * chance.uniform(1.05, 2.0), 2),
        )
        yield {
            "kind": "task",
            "body": order.model_dump(),
            "attributes": {"site": chance.choice(SITES), "item": item},
        }
