"""Folders of prepared models: built aside, put in place whole, checked by a manifest, built again when damaged."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from matching.errors import ModelError

log = logging.getLogger(__name__)

MANIFEST = "dukou-manifest.json"


def ensure_folder(folder: Path, write: Callable[[Path], None], needed: str) -> Path:
    """`folder`, made by `write` if absent and made again if damaged.

    `needed` is the room on the disk, for the message. Raises ModelError when the folder cannot be written.
    """
    if folder.exists():
        damage = find_damage(folder)
        if damage is None:
            return folder
        log.warning("the model cache %s is damaged (%s): it is built again", folder, damage)
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise ModelError(f"cannot remove the damaged model {folder}: {error.strerror}") from error
    _build_aside(folder, write, needed)
    return folder


def find_damage(folder: Path) -> str | None:
    """What differs between `folder` and its manifest, in words; None when all is as written."""
    try:
        manifest: dict[str, str] = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = manifest.items()
    except (OSError, ValueError, AttributeError):
        return f"{MANIFEST} is missing or unreadable"
    for name, digest in files:
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if sha256(path) != digest:
            return f"{name} has another checksum"
    return None


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _build_aside(folder: Path, write: Callable[[Path], None], needed: str) -> None:
    """Build in a sibling folder and rename it into place: readers see all of it or nothing."""
    from safetensors import SafetensorError

    aside: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        write(aside)
        _write_manifest(aside)
        os.chmod(aside, 0o755)
        _rename_into_place(aside, folder)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot write the model to {folder.parent}: {error}; {needed} is needed") from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _rename_into_place(aside: Path, folder: Path) -> None:
    """Rename; when another process was first with a sound folder, keep that one."""
    try:
        aside.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or find_damage(folder) is not None:
            raise


def _write_manifest(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {str(path.relative_to(folder)): sha256(path) for path in files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
