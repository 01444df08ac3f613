"""The protocols: the wire without a transport, and what is built on it."""
