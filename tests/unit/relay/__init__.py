"""The whole relay, in memory."""
