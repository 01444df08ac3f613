"""Work on a whole database, with the relay stopped or running: looking, upgrading, copying."""
