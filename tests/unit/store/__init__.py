"""The stores, in memory."""
