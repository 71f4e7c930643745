"""A whole fleet with its coordinator in virtual time, and everything that can go wrong with it."""
