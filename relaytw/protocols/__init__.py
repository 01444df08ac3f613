"""What talks to phones: bytes, conversations and time."""
