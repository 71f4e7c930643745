"""The fleet runtime: specification, routing, recording, and the two ways to run it."""
