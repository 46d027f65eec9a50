"""A short run of scripts/chaos.py: the real service, killed at random moments, loses and doubles nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def chaos(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/chaos.py", "--seconds", "30", *options]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_service_keeps_its_promises(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "postgresql":
        request.getfixturevalue("postgresql")  # skips where there can be none
    done = chaos("--kills", "4" if kind == "sqlite" else "2", "--seed", "4", "--database", kind)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(line.split(": ") for line in done.stdout.splitlines())
    assert int(counts["listings"]) > 0
    assert int(counts["events read by cursor"]) == int(counts["events"])
