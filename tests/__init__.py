"""Tests of relaytw."""
