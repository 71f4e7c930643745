"""The rollout machine: pure, event-sourced. Begin with `decide.py`."""
