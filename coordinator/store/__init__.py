"""Where the truth about rollouts is kept: one contract, in memory or on a Redis server."""
