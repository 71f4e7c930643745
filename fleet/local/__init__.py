"""A whole fleet in one process, in real or virtual time."""
