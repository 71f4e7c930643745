"""Staged rollouts for fleets of cooperating AI agents.

The four rooms stand at the top of the repository and are imported through here:
`rolewise.agents`, `rolewise.graphs`, `rolewise.fleet`, `rolewise.coordinator`.
"""

__version__ = "0.1.0"
