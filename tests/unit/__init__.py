"""Unit tests: fake clocks and transports, no sockets."""
