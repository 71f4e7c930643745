"""What changes fleets: plan, rollout machine, judge, store, controller, and the ways in."""
