"""The services, on a clock that the test moves."""
