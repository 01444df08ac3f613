"""Tests of `relaytw.services.webhooks`."""
