"""Kills real relays at random moments and checks that nothing accepted is lost: `make torture`."""
