"""Published indexes: folders under the home, of which a pointer names the one in use.

`index/current` holds its name and is replaced atomically, so that readers switch by themselves and a rollback is one
write. The last few are kept. One process builds at a time, which a lock on `index/lock` sees to; it ends with its
holder, however that ends.
"""

from __future__ import annotations

import fcntl
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from app.embeddings import Embeddings
from app.errors import StorageFull, Unusable
from app.snapshot import Base, holders_from
from matching import ArtefactError, Models
from matching.files import write_atomically
from matching.published import open_market, read_manifest, save_market, verify

log = logging.getLogger(__name__)

POINTER = "current"
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,80}")
KEPT = 3


class Publisher:
    """The published indexes under one home folder."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "index"

    def current(self) -> str:
        """The name of the index in use, "" where there is none."""
        try:
            name = (self.folder / POINTER).read_text("utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        return name if NAME.fullmatch(name) else ""

    def names(self) -> list[str]:
        """All whole indexes, the oldest first."""
        if not self.folder.is_dir():
            return []
        found = [one for one in self.folder.iterdir() if one.is_dir() and NAME.fullmatch(one.name)]
        return [one.name for one in sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name))]

    def write(self, base: Base, name: str, about: dict[str, Any]) -> None:
        """Build the folder of an index aside and check it; nothing points to it yet. Raises StorageFull."""
        folder = self.folder / name
        try:
            told = {"revision": base.revision, "built_at": base.built_at.isoformat(), **about}
            save_market(base.market, folder, base.arrays(), told)
        except OSError as error:
            raise StorageFull(f"cannot write {folder}: {error.strerror}") from error
        verify(folder)

    def open(self, name: str, models: Models, embeddings: Embeddings, space_age: int) -> Base:
        """An index by name. Raises ArtefactError."""
        market, arrays, about = open_market(self.folder / name, models, embeddings.of_ids)
        try:
            built_at = datetime.fromisoformat(about["built_at"])
            return Base(int(about["revision"]), space_age, market, holders_from(arrays), built_at, name)
        except (KeyError, ValueError) as error:
            raise ArtefactError(f"{self.folder / name} lacks {error}; publish the index again") from error

    def beside(self, name: str) -> Path:
        """Where whoever builds an index may keep what belongs to it meanwhile."""
        return self.folder / f"{name}.pairs.npz"

    def discard(self, name: str) -> None:
        """Remove what was built under a name, unless it is in use: nobody could go back to what never was."""
        self.beside(name).unlink(missing_ok=True)
        if name != self.current():
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def has(self, name: str) -> bool:
        """Whether there is a whole index of that name."""
        return (self.folder / name).is_dir()

    def switch(self, name: str) -> None:
        """Make an index the one in use, and forget those that are too old to go back to. Raises StorageFull."""
        read_manifest(self.folder / name)
        try:
            write_atomically(self.folder / POINTER, f"{name}\n".encode())
        except OSError as error:
            raise StorageFull(f"cannot write {self.folder / POINTER}: {error.strerror}") from error
        for old in [one for one in self.names() if one != name][: -(KEPT - 1)]:
            shutil.rmtree(self.folder / old, ignore_errors=True)

    def roll_back(self) -> str:
        """Go back to the index before the one in use; its name. Raises Unusable where there is none."""
        names, current = self.names(), self.current()
        before = names[: names.index(current)] if current in names else []
        if not before:
            raise Unusable("there is no earlier index to go back to")
        self.switch(before[-1])
        return before[-1]

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether this is the only one that builds now, for as long as it lasts."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise StorageFull(f"cannot write {self.folder}: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            for left in self.folder.glob(".*-*"):  # half-written, by one that was killed
                shutil.rmtree(left, ignore_errors=True)
            yield True
