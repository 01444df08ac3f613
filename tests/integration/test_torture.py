"""Relays that are killed at random moments lose nothing that they have accepted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_kills() -> None:
    """Fifty kills under load, by seed: every accepted message is answered, in order, and none twice."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--kills", "50", "--per-run", "5", "--seed", "1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.startswith("seed 1: good"), said.stdout
