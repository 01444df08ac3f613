"""What bot authors import, without a relay around it."""
