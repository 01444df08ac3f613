"""Tests of work on a whole database."""
