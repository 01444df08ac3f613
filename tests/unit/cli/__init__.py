"""relayctl, run in this process with an invented relay."""
