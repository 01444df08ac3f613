"""The wire codec: bytes in and values out, values in and bytes out, and nothing of a network."""
