"""The front-end files: what is committed is what the manifest says, and what the pinned packages give."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCES, STATIC = ROOT / "web", ROOT / "app/static"
MANIFEST: dict[str, dict[str, Any]] = json.loads((STATIC / "vendor/manifest.json").read_text("utf-8"))


def files(folder: Path) -> dict[str, bytes]:
    """All files under a folder, by their paths in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_that_is_built_is_in_the_manifest_with_its_digest() -> None:
    found = files(STATIC)
    digests = {name: hashlib.sha256(found[name]).hexdigest() for name in MANIFEST}
    assert digests == {name: entry["sha256"] for name, entry in MANIFEST.items()}
    built = {name for name in found if name.startswith(("vendor/", "widget"))}
    assert built == {*MANIFEST, "vendor/manifest.json"}


def test_the_manifest_names_the_versions_of_the_lock_file_and_the_licences_those_packages() -> None:
    locked = json.loads((SOURCES / "package-lock.json").read_text("utf-8"))["packages"]
    licences = (STATIC / "vendor/licences.txt").read_text("utf-8")
    for entry in MANIFEST.values():
        for name, version in entry["packages"].items():
            assert locked[f"node_modules/{name}"]["version"] == version
            assert f"\n{name} {version} (" in licences


def test_every_package_is_pinned() -> None:
    versions = json.loads((SOURCES / "package.json").read_text("utf-8"))["devDependencies"].values()
    assert all(re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version) for version in versions)


@pytest.mark.skipif(
    shutil.which("npm") is None or not (SOURCES / "node_modules").is_dir(),
    reason="the packages of web/ are not installed; scripts/test does so where there is npm, and installs npm as root",
)
def test_the_packages_give_the_very_bytes_that_are_committed(tmp_path: Path) -> None:
    subprocess.run(["npm", "run", "--silent", "build", "--", tmp_path], cwd=SOURCES, check=True, timeout=120)
    built, committed = files(tmp_path), files(STATIC)
    assert built.keys() == {*MANIFEST, "vendor/manifest.json"}
    assert [name for name in built if built[name] != committed.get(name)] == []


def test_the_files_go_into_a_wheel(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for package in ("app", "matching"):
        shutil.copytree(ROOT / package, tmp_path / package)
    build = "import setuptools; setuptools.setup()"
    command = [sys.executable, "-W", "ignore", "-c", build, "--quiet", "build_py", "--build-lib", "built"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    assert files(tmp_path / "built/app/static") == files(STATIC)


def test_the_map_has_a_point_for_every_country_and_no_borders() -> None:
    places = json.loads((STATIC / "vendor/places.json").read_text("utf-8"))
    land = json.loads((STATIC / "vendor/land.json").read_text("utf-8"))
    assert len(places) == 249 + 2  # the codes of ISO 3166-1, Chongqing and Sichuan
    assert all(-180 <= longitude <= 180 and -90 <= latitude <= 90 for longitude, latitude in places.values())
    assert places["KZ"] == pytest.approx([67, 48], abs=1)
    (only,) = land["features"]
    assert only["properties"] == {"name": "land"}
    rings = [ring for polygon in only["geometry"]["coordinates"] for ring in polygon]
    assert all(ring[0] == ring[-1] and len(ring) > 3 for ring in rings)
    steps = [abs(one[0] - other[0]) for ring in rings for one, other in pairwise(ring)]
    assert max(steps) < 30  # nothing runs across the map where the land crosses the 180th meridian
