"""Which version and which replica serves a message."""
