"""The admin API, asked over joined transports."""
