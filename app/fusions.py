"""The fusion learned from this service's own decisions, kept in its home folder beside those learned before."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import replace
from pathlib import Path

from app.errors import StorageFull
from matching import ArtefactError, Fusion, Models
from matching.files import write_atomically
from matching.models import ARTEFACTS
from matching.scoring import fusion_to_bytes, load_fusion

log = logging.getLogger(__name__)

POINTER = "fusion-current"  # holds the name of the file that is used instead of the shipped fusion
NAME = re.compile(r"fusion-[0-9a-f]{12}\.json")


def shipped() -> Fusion:
    """The fusion that the library ships."""
    return load_fusion(ARTEFACTS / "fusion.json")


def with_learned(models: Models, home: Path) -> Models:
    """The models with the fusion learned here, if there is one that was learned with the same encoder."""
    fusion = _learned(home)
    if fusion is None or fusion.trained_on.get("encoder") != models.encoder.name:
        return models
    return replace(models, fusion=fusion)


def keep(fusion: Fusion, home: Path) -> str:
    """Use a fusion from the next start on; its file's name. Raises StorageFull."""
    body = fusion_to_bytes(fusion)
    name = f"fusion-{hashlib.sha256(body).hexdigest()[:12]}.json"
    try:
        home.mkdir(parents=True, exist_ok=True)
        write_atomically(home / name, body)
        write_atomically(home / POINTER, f"{name}\n".encode())
    except OSError as error:
        raise StorageFull(f"cannot write {home / name}: {error.strerror}") from error
    return name


def forget(home: Path) -> bool:
    """Go back to the shipped fusion; whether there was another. The learned one's file stays. Raises StorageFull."""
    try:
        (home / POINTER).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageFull(f"cannot remove {home / POINTER}: {error.strerror}") from error
    return True


def _learned(home: Path) -> Fusion | None:
    """What the pointer names. One that cannot be read is said in the log and not used."""
    try:
        name = (home / POINTER).read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        log.warning("%s: %s; the shipped fusion is used", home / POINTER, error)
        return None
    try:
        if not NAME.fullmatch(name):
            raise ArtefactError(f"{home / POINTER} names no fusion")
        return load_fusion(home / name)
    except ArtefactError as error:
        log.warning("%s; the shipped fusion is used", error)
        return None
