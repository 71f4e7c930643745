"""A fleet that fills orders: it picks from stock, bargains for what is short, and ships.

    orchestrator -> warehouse-robot      what of the order is in stock
                 -> negotiator           buys what is short
                      -> pricing         what the item should cost
                      -> supplier        rfq, offer, counter-offer, accept or walk away
                 -> carrier              when it arrives

No model is called; token counts are pretended. All that happens follows from the order, so that
the same order ends the same way on every machine. `flawed` holds versions that a rollout must
catch. The fleet's file is `configs/supply-chain.yaml`.
"""

from rolewise.agents.examples.supply_chain.flawed import (
    ChattyNegotiator,
    DistrustfulSupplier,
    EagerNegotiator,
    StubbornNegotiator,
)
from rolewise.agents.examples.supply_chain.negotiator import Negotiator
from rolewise.agents.examples.supply_chain.orchestrator import (
    NoAgreement,
    Orchestrator,
    OrderFailed,
    OverLimit,
    ParallelOrchestrator,
    TooLate,
)
from rolewise.agents.examples.supply_chain.orders import orders
from rolewise.agents.examples.supply_chain.pricing import Pricing
from rolewise.agents.examples.supply_chain.supplier import Supplier
from rolewise.agents.examples.supply_chain.warehouse import Carrier, WarehouseRobot

__all__ = [
    "Carrier",
    "ChattyNegotiator",
    "DistrustfulSupplier",
    "EagerNegotiator",
    "Negotiator",
    "NoAgreement",
    "Orchestrator",
    "OrderFailed",
    "OverLimit",
    "ParallelOrchestrator",
    "Pricing",
    "StubbornNegotiator",
    "Supplier",
    "TooLate",
    "WarehouseRobot",
    "orders",
]
