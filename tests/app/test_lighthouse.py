"""Lighthouse over the public pages, as on a telephone in a slow network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.settings import Settings
from scripts.headless import CHROMIUM, FLAGS
from scripts.showcase import Showcase, showcase
from tests.app.conftest import SECRET

NODE = shutil.which("node")
LIGHTHOUSE = Path(__file__).parents[2] / "web/node_modules/lighthouse/cli/index.js"
WANTED = {"performance": 0.95, "accessibility": 1.0, "best-practices": 0.95, "seo": 0.95}
FIRST_LOAD = 150_000  # bytes
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and NODE and LIGHTHOUSE.exists()),
    reason="chromium, Node or the packages of web/ are missing; scripts/test installs them as root",
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Showcase]:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, model="hashing", secret=SecretStr(SECRET), public_limit="100000/minute")
    with showcase(settings) as found:
        yield found


def looked_at(address: str, report: Path) -> dict[str, Any]:
    """Lighthouse's report on a page."""
    flags = " ".join(FLAGS)
    command = [str(NODE), str(LIGHTHOUSE), address, "--quiet", "--output=json", f"--output-path={report}"]
    command += [f"--only-categories={','.join(WANTED)}", f"--chrome-flags={flags}", "--no-enable-error-reporting"]
    subprocess.run(command, check=True, timeout=180, env=os.environ | {"CHROME_PATH": str(CHROMIUM)})
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return found


@pytest.mark.parametrize("path", ["/en/", "/zh/offers", "/en/listings/{whole}"])
def test_lighthouse_has_little_to_say(shown: Showcase, tmp_path: Path, path: str) -> None:
    found = looked_at(shown.address + path.format(**shown.ids), tmp_path / "report.json")
    wrong = {
        name: one["title"] for name, one in found["audits"].items() if one["score"] is not None and one["score"] < 0.9
    }
    for name, least in WANTED.items():
        assert found["categories"][name]["score"] >= least, (name, wrong)
    assert found["audits"]["total-byte-weight"]["numericValue"] <= FIRST_LOAD
