"""A client that a kept generator makes from the served description, and that a program then uses."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from app.settings import Settings
from tests.app.serving import served

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "generator"
TOOLS = ROOT / "var" / "client-generator" / "bin"


def done(*command: str | Path, folder: Path) -> str:
    """What a command prints; it must end well."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.skipif(
    not (TOOLS / "openapi-python-client").exists(), reason="the generator is not installed; scripts/test does so"
)
def test_a_client_generated_from_the_description_posts_a_listing_and_reads_it_back(
    settings: Settings, tmp_path: Path
) -> None:
    """Whatever the generator cannot make something of fails: a warning counts."""
    with served(settings) as service:
        made = ["--output-path", tmp_path / "generated", "--meta", "none", "--config", FOLDER / "config.yml"]
        address = f"{service.address}/openapi.json"
        done(TOOLS / "openapi-python-client", "generate", "--url", address, "--fail-on-warning", *made, folder=tmp_path)
        shutil.copy(FOLDER / "use.py", tmp_path)
        key = service.world.offerer.headers["Authorization"].removeprefix("Bearer ")
        got = done(TOOLS / "python", "use.py", service.address, key, folder=tmp_path).replace("+00:00", "Z")
        (kept,) = service.world.offerer.get("/api/v1/listings").json()["items"]
    read, revised, late, page, unknown = json.loads(got)
    assert (read["title"], read["version"], read["trl"]) == ("Ceramic elbows", 1, 9)
    assert (revised["title"], revised["version"]) == ("Ceramic bends", 2)
    assert revised == {name: kept[name] for name in revised}
    assert [one["id"] for one in page["items"]] == [read["id"]]
    assert (late["status"], unknown["status"]) == (412, 401)
