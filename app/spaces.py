"""The language space that is kept: one file under the home for each encoder, replaced only by a deliberate refit."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from app.errors import StorageFull
from matching import ArtefactError, LanguageSpace, load_space, save_space

log = logging.getLogger(__name__)


class KeptSpace:
    """The space of one encoder, by its name."""

    def __init__(self, home: Path, encoder: str) -> None:
        self._path = home / f"space-{hashlib.sha256(encoder.encode()).hexdigest()[:12]}.npz"

    @property
    def age(self) -> int:
        """When it was kept, in nanoseconds, 0 where none is: another number, another space."""
        return self._path.stat().st_mtime_ns if self._path.exists() else 0

    def read(self) -> LanguageSpace | None:
        """The space, or None where there is none that can be read."""
        if not self._path.exists():
            return None
        try:
            return load_space(self._path)
        except ArtefactError as error:
            log.warning("%s: it is fitted anew", error)
            return None

    def keep(self, space: LanguageSpace) -> None:
        """Write it. Raises StorageFull."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            save_space(space, self._path)
        except OSError as error:
            raise StorageFull(f"cannot write {self._path}: {error.strerror}") from error
