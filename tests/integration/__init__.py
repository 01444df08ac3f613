"""Integration tests: real relays, each a process of its own, and real sockets on loopback."""
