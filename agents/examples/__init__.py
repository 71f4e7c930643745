"""Fleets to learn from and to try rollouts on: `supply_chain` acts, `replay` plays recordings."""
