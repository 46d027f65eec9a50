"""Text → unit vectors. The one module that imports sentence-transformers.

Batches are sorted by length and filled up to a token budget, so that short titles do not wait for long
descriptions; where the processor multiplies bf16 in hardware (AMX or AVX512-BF16) the matrix products use it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from matching.errors import ModelError

if TYPE_CHECKING:
    import torch

Vectors = NDArray[np.float32]
TOKENS_PER_BATCH = 4096


class Encoder(Protocol):
    """What the library needs of a model: a name that identifies its vectors, tokens, and unit vectors."""

    @property
    def name(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    def tokenize(self, texts: Sequence[str]) -> list[list[int]]: ...
    @property
    def query_prefix(self) -> str: ...
    def encode(self, texts: Sequence[str], *, prefix: str | None = None, progress: bool = False) -> Vectors: ...


class SentenceEncoder:
    """A sentence-transformers model on the CPU or a CUDA device.

    `source` is a folder or a model name; `prefix` is put before every text ("passage: " for E5 models, on both
    sides: listings are compared with listings). `number_format` is "auto", "float32" or "bfloat16".
    Raises ModelError when the model cannot be loaded.
    """

    def __init__(
        self, source: str | Path, *, name: str | None = None, prefix: str = "passage: ", number_format: str = "auto"
    ) -> None:
        self._model = _load(source)
        self._prefix = prefix
        self._bf16 = number_format == "bfloat16" or (number_format == "auto" and has_fast_bf16())
        self.name = f"{name or source}|{prefix.strip()}"

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension())

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads, its prefix and marks taken off."""
        return int(self._model.max_seq_length) - len(self._token_ids([self._prefix])[0])

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """The model's subword ids of each text, without prefix and marks, uncut."""
        return self._token_ids(texts, marks=False)

    @property
    def query_prefix(self) -> str:
        """What the makers of E5 models put before a query; for other models their one prefix."""
        return "query: " if self._prefix == "passage: " else self._prefix

    def encode(self, texts: Sequence[str], *, prefix: str | None = None, progress: bool = False) -> Vectors:
        """Unit vectors of `texts`, float32, shape (len(texts), dimension), in the order given.

        `prefix` stands before every text instead of the encoder's own.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        if not texts:
            return vectors
        prefixed = [(self._prefix if prefix is None else prefix) + text for text in texts]
        tokenized = self._model.tokenizer(
            prefixed, truncation=True, max_length=int(self._model.max_seq_length), verbose=False
        )
        with progress_bar(len(texts), progress) as advance:
            for batch in _batches([len(ids) for ids in tokenized["input_ids"]]):
                vectors[batch] = self._encode_batch({key: [rows[i] for i in batch] for key, rows in tokenized.items()})
                advance(len(batch))
        return vectors

    def _encode_batch(self, tokenized: dict[str, list[list[int]]]) -> Vectors:
        """Vectors of texts that are tokenized and not yet padded to one length."""
        import torch
        from sentence_transformers.util import batch_to_device

        device = self._model.device
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=self._bf16):
            padded = self._model.tokenizer.pad(tokenized, return_tensors="pt", verbose=False)
            features = batch_to_device(dict(padded), device)
            vectors: torch.Tensor = self._model(features)["sentence_embedding"]
        return torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()

    def _token_ids(self, texts: Sequence[str], *, marks: bool = True) -> list[list[int]]:
        if not texts:
            return []
        tokenizer = self._model.tokenizer
        ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=marks, truncation=False, verbose=False)[
            "input_ids"
        ]
        return ids


class HashingEncoder:
    """A model-free encoder for tests and for trying the service: character trigrams hashed to 256 dimensions.

    Same interface, no weights, instant; texts that share words are near, nothing is understood.
    """

    name = "hashing-256"
    dimension = 256
    max_tokens = 512
    query_prefix = ""

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """One id for each word."""
        return [[_bucket(word, 1 << 20) for word in re.findall(r"\w+", text.lower())] for text in texts]

    def encode(self, texts: Sequence[str], *, prefix: str | None = None, progress: bool = False) -> Vectors:  # noqa: ARG002 - the protocol's
        """Unit vectors, float32, shape (len(texts), 256)."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            padded = f" {text.lower()} "
            for start in range(len(padded) - 2):
                vectors[row, _bucket(padded[start : start + 3], self.dimension)] += 1.0
        return unit(np.sqrt(vectors))


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


def has_fast_bf16() -> bool:
    """Whether the device multiplies bf16 in hardware; emulated it would be hundreds of times slower."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _load(source: str | Path) -> Any:
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of loading: it takes a second, and stderr is the user's
    try:
        return SentenceTransformer(str(source))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"cannot load the model {source}: {error}") from error


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions, longest first, in batches whose padded size stays within the token budget."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    start = 0
    while start < len(order):
        size = max(1, TOKENS_PER_BATCH // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


class progress_bar:
    """A progress bar on a terminal for long work, nothing otherwise; a context giving `advance(n)`."""

    def __init__(self, total: int, shown: bool) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, unit="text", desc="encoding", disable=None if shown else True, delay=1.0)

    def __enter__(self) -> Any:
        return self._bar.update

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def _bucket(text: str, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "little") % size
