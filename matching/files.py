"""Files whole or not at all; and the one form in which arrays are kept: an .npz with a JSON head, without pickling."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.errors import ArtefactError

Arrays = dict[str, NDArray[Any]]


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, flush to the disk, rename over it. On any OSError the old file stands untouched.

    A link is followed, an old file's permissions stay; what is no file (a pipe, a device) is written to as it is.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        aside.chmod(mode)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def pack(head: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Arrays and what is said of them, as the bytes of a compressed .npz file."""
    buffer = io.BytesIO()
    named = {"head": np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays}
    np.savez_compressed(buffer, allow_pickle=False, **named)
    return buffer.getvalue()


def unpack(body: bytes, what: str) -> tuple[dict[str, Any], Arrays]:
    """Read what `pack` made. Raises ArtefactError, naming `what` was wanted, for anything else."""
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        head = json.loads(arrays.pop("head").tobytes())
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"not a readable {what}: {error}") from error
    if not isinstance(head, dict):
        raise ArtefactError(f"not a readable {what}: its head is no object")
    return head, arrays


def read_packed(path: Path, what: str) -> tuple[dict[str, Any], Arrays]:
    """`unpack` for a file. Raises ArtefactError when it is missing, truncated or something else."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{path}: not a readable {what}: {error.strerror}") from error
    try:
        return unpack(body, what)
    except ArtefactError as error:
        raise ArtefactError(f"{path}: {error}") from error
