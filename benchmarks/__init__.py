"""Speed of the relay next to a bare Twisted server: `python -m benchmarks`."""
