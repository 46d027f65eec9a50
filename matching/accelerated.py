"""The bundled model through OpenVINO: the same vectors as `SentenceEncoder`'s but for rounding, several times faster.

Vectors of the two are near enough to stand beside one another (docs/speed.md), so both have one name. Of many texts
those of like length go together, a row each; a few, such as the passages of a query, stand on end in one row. Rows are
filled up to a multiple of 16 tokens: OpenVINO prepares itself anew for each shape it meets, which takes longer than to
encode a short text.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from matching.encoder import Vectors, progress_bar
from matching.errors import ModelError
from matching.network import ACTIVATIONS, compile_network, load_activations, load_table, write_network
from matching.prepared import MANIFEST, ensure_folder, sha256

LAYOUT = 5  # raise it when the network is written in another way, so that old folders are left aside
STEP = 16  # tokens that a text's length is filled up to a multiple of
SHORTEST = 0.75  # of a batch's longest text; shorter ones, which would mostly be padding, go into the next
BATCH_TOKENS = 1024
MANY = 256  # texts, from which on it is worth preparing the network for several batches at once
MOST = 8  # of these, each of which takes about 90 MB of memory; on more cores several share one
FEW = 8  # texts that go on end
LONGEST_ROW = 512  # tokens of such texts, at most
Batch = list[list[int]]  # rows of texts, by their positions
BYTES = {"avx512_vnni", "avx_vnni", "amx_int8"}  # instructions that multiply whole numbers of eight bits


class AcceleratedEncoder:
    """The model in `source`, a folder that `ensure_model` made, on the CPU; its network is kept beside that folder.

    Not to be used by two threads at once. Raises ModelError when the network cannot be built or read.
    """

    def __init__(self, source: Path, *, name: str, prefix: str = "passage: ") -> None:
        self._tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._marks = [self._tokenizer.token_to_id(mark) or 0 for mark in ("<s>", "</s>", "<pad>")]
        self._prefix = prefix
        self.name = f"{name}|{prefix.strip()}"
        self._folder = ensure_network(source)
        network = self._compiled(1)
        self._alone = [network.create_infer_request()]
        self._many: list[Any] = []  # made when many texts are to be encoded
        self.dimension = int(network.output(0).partial_shape[2].get_length())
        self._table = load_table(self._folder)
        self._positions = int(json.loads((source / "config.json").read_text("utf-8"))["max_position_embeddings"])

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads, its prefix and marks taken off."""
        return self._positions - 2 - len(self.tokenize([self._prefix])[0])

    @property
    def query_prefix(self) -> str:
        """What the makers of E5 models put before a query; with another prefix than theirs, that one."""
        return "query: " if self._prefix == "passage: " else self._prefix

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """The model's subword ids of each text, without prefix and marks, uncut."""
        return [one.ids for one in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode(self, texts: Sequence[str], *, prefix: str | None = None, progress: bool = False) -> Vectors:
        """Unit vectors of `texts`, float32, shape (len(texts), dimension), in the order given.

        `prefix` stands before every text instead of the encoder's own.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        ids = self.tokenize([(self._prefix if prefix is None else prefix) + text for text in texts])
        ids = [one[: self._positions - 2] for one in ids]
        free, busy = list(self._requests(len(texts))), deque[tuple[Any, Batch]]()
        with progress_bar(len(texts), progress) as advance:

            def finish() -> None:
                request, batch = busy.popleft()
                request.wait()
                for row, found in zip(batch, request.get_output_tensor().data, strict=True):
                    vectors[row] = found[: len(row)]
                advance(sum(map(len, batch)))
                free.append(request)

            for batch in batches([len(one) + 2 for one in ids]):
                inputs = self._inputs([[ids[i] for i in row] for row in batch])
                if not free:
                    finish()
                busy.append((free.pop(), batch))
                busy[-1][0].start_async(inputs)
            while busy:
                finish()
        return vectors

    def _requests(self, texts: int) -> list[Any]:
        """One with all cores for a few texts; for many one a core, up to `MOST`, which need not wait for each other."""
        if texts < MANY:
            return self._alone
        if not self._many:
            at_once = min(len(os.sched_getaffinity(0)), MOST)
            network = self._compiled(at_once)
            self._many = [network.create_infer_request() for _ in range(at_once)]
        return self._many

    def _compiled(self, streams: int) -> Any:
        try:
            return compile_network(self._folder, streams)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot read the network {self._folder}: {error}") from error

    def _inputs(self, rows: Sequence[Sequence[Sequence[int]]]) -> list[NDArray[Any]]:
        """What the network reads (`Network`) of texts in rows, filled up to one length."""
        start, end, padding = self._marks
        tokens = filled(max(sum(len(text) + 2 for text in row) for row in rows))
        ids = np.full((len(rows), tokens), padding, np.int32)
        places = np.zeros((len(rows), tokens), np.int32)
        members = np.zeros((len(rows), FEW if len(rows) == 1 else 1, tokens), np.float32)
        for i, row in enumerate(rows):
            at = 0
            for j, text in enumerate(row):
                here = slice(at, at := at + len(text) + 2)
                ids[i, here] = (start, *text, end)
                places[i, here] = np.arange(len(text) + 2)
                members[i, j, here] = 1.0
        return [self._table[ids], places, members]


def can_accelerate() -> bool:
    """Whether OpenVINO is installed, this processor multiplies in eight bits, and no graphics card does better.

    Without such instructions OpenVINO would be slower, and sums of two products could exceed its 16 bits.
    """
    if importlib.util.find_spec("openvino") is None or not multiplies_bytes():
        return False
    return not Path("/dev/nvidiactl").exists() or not _has_cuda()


def ensure_network(source: Path) -> Path:
    """The folder beside `source` with its network, built if absent, rebuilt if damaged; its name tells of what."""
    made_of = f"{sha256(source / MANIFEST)[:8]}-{sha256(ACTIVATIONS)[:8]}"
    folder = source.with_name(f"{source.name}-int8-{made_of}-v{LAYOUT}")
    return ensure_folder(folder, lambda aside: write_network(source, load_activations(ACTIVATIONS), aside), "0.3 GB")


def batches(lengths: Sequence[int]) -> Iterator[Batch]:
    """Positions, longest first, in batches within the token budget whose texts are of about one length, a row each.

    A few texts stand on end in rows that go one by one: nothing of them is padding but the end, and the shapes are few.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))

    def on_end(row: list[int], i: int) -> bool:
        return sum(lengths[j] for j in row) + lengths[i] <= LONGEST_ROW

    def alike(texts: list[int], i: int) -> bool:
        longest = filled(lengths[texts[0]])
        return (len(texts) + 1) * longest <= BATCH_TOKENS and filled(lengths[i]) >= SHORTEST * longest

    if len(lengths) <= FEW:
        yield from ([row] for row in _grouped(order, on_end))
    else:
        yield from ([[i] for i in texts] for texts in _grouped(order, alike))


def _grouped(order: Sequence[int], fits: Callable[[list[int], int], bool]) -> Iterator[list[int]]:
    """In this order, each in one group with the last where it fits."""
    group: list[int] = []
    for i in order:
        if group and not fits(group, i):
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def filled(length: int) -> int:
    """The next multiple of `STEP`."""
    return -(-length // STEP) * STEP


def multiplies_bytes(described: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor, as Linux describes it, multiplies whole numbers of eight bits: VNNI or AMX, x86-64."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", described.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and not BYTES.isdisjoint(flags[1].split())


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
