"""docs/api.md: every example is run as it stands there, and its answer compared."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.asking import COOKIE
from app.settings import Settings
from tests.app.conftest import World
from tests.app.serving import served

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
EXAMPLE = re.compile(r"^```sh\n(.*?)^```\n```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PASSWORD = "a long sentence as a password"
END = "\n=== end of an example ===\n"


def fits(answer: Any, shown: Any) -> bool:
    """Whether an answer has what the page shows; … is anything, and lists and objects may hold more."""
    if isinstance(shown, dict):
        return isinstance(answer, dict) and all(k in answer and fits(answer[k], v) for k, v in shown.items())
    if isinstance(shown, list):
        return len(answer) >= len(shown) and all(fits(a, s) for a, s in zip(answer, shown, strict=False))
    if isinstance(shown, str) and "…" in shown:
        return answer is not None and str(answer).startswith(shown.partition("…")[0])
    return bool(answer == shown)


def environment(world: World, address: str) -> dict[str, str]:
    administrator, person = world.administrator, world.ids["centre"]
    invitation = administrator.post(f"/api/v1/people/{person}/invitation").json()["invitation"]
    world.public.post("/api/v1/password", json={"token": invitation, "password": PASSWORD})
    return {
        "BASE": address,
        "KEY": world.offerer.headers["Authorization"].removeprefix("Bearer "),
        "SEEKER_KEY": world.seeker.headers["Authorization"].removeprefix("Bearer "),
        "EMAIL": "centre@example.org",
        "PASSWORD": PASSWORD,
        "ORGANISATION": world.ids["offerer"],
        "ADMINISTRATOR_CSRF": administrator.headers["X-CSRF-Token"],
    }


def write_cookies(folder: Path, token: str) -> None:
    """The administrator's session as curl keeps it: domain, subdomains, path, TLS alone, end, name, value."""
    line = "\t".join(("127.0.0.1", "FALSE", "/", "FALSE", "0", COOKIE, token))
    (folder / "administrator.txt").write_text(f"# Netscape HTTP Cookie File\n{line}\n", "utf-8")


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="the page's examples need curl and jq")
def test_every_example_of_the_page_gives_what_it_shows(settings: Settings, tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8")
    examples = EXAMPLE.findall(text)
    assert len(examples) == text.count("```sh") == text.count("```json")
    script = "set -eu\n" + "".join(f"{command}\nprintf '%s' '{END}'\n" for command, _ in examples)
    with served(settings) as service:
        write_cookies(tmp_path, service.world.administrator.cookies[COOKIE])
        more = environment(service.world, service.address)
        ran = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=os.environ | more, capture_output=True, text=True, timeout=120
        )
    assert ran.returncode == 0, ran.stderr
    answers = ran.stdout.split(END)[:-1]
    for (command, shown), answer in zip(examples, answers, strict=True):
        assert fits(json.loads(answer), json.loads(shown)), f"{command}\n{answer}"


@pytest.mark.parametrize(
    ("answer", "shown", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        ([1, 2], [1], True),
        ([], [1], False),
        ("dk_12", "dk_…", True),
        (None, "…", False),
    ],
)
def test_the_comparison_is_one(answer: Any, shown: Any, expected: bool) -> None:
    assert fits(answer, shown) is expected
