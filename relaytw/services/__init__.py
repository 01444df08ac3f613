"""Twisted services: the parts of a relay that start, stop and keep time."""
