"""The bundled model as an OpenVINO graph: a BERT encoder, its mean over the tokens, unit length.

The graph is written here, operation by operation, because the wheel's converter would bring torch into it. Weights of
the matrix products are held as whole numbers of eight bits with one scale for each output (the table of words as
float16), so that the processor may multiply in eight bits. The one module that imports openvino.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]
GROUP = 384  # numbers of a text's state that share a scale when they are rounded to eight bits
MASKED = 30_000.0  # taken off the attention to what is only padding; still a number in float16


def import_openvino() -> Any:
    """The package, kept from reporting its use: left alone, its import calls Google Analytics. Raises ImportError."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if it were not installed
    import openvino

    return openvino


def write_network(source: Path, folder: Path) -> None:
    """Read the sentence-transformers folder `source` and write `model.xml` and `model.bin` into `folder`."""
    from safetensors.numpy import load_file

    openvino = import_openvino()
    config = json.loads((source / "config.json").read_text("utf-8"))
    graph = Network(load_file(source / "model.safetensors"), config).model()
    openvino.serialize(graph, folder / "model.xml", folder / "model.bin")


def compile_network(folder: Path) -> Any:
    """What `write_network` wrote, ready to run on this processor. Raises RuntimeError when it is no network."""
    openvino = import_openvino()
    core = openvino.Core()
    bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    how = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,
    }
    return core.compile_model(core.read_model(folder / "model.xml"), "CPU", how)


class Network:
    """Writes the graph. Inputs: token ids, int32, and the mask, float32, both of shape (texts, tokens)."""

    def __init__(self, weights: Weights, config: Mapping[str, Any]) -> None:
        self._openvino = import_openvino()
        self._op: Any = self._openvino.opset13
        self._weights = weights
        self._layers = int(config["num_hidden_layers"])
        self._heads = int(config["num_attention_heads"])
        self._hidden = int(config["hidden_size"])
        self._epsilon = float(config["layer_norm_eps"])

    def model(self) -> Any:
        """The whole: ids and mask → unit vectors, float32, shape (texts, hidden)."""
        op = self._op
        ids = op.parameter([-1, -1], np.int32, name="ids")
        mask = op.parameter([-1, -1], np.float32, name="mask")
        state = self._embedded(ids)
        off = op.multiply(op.subtract(mask, self._number(1.0)), self._number(MASKED))
        bias = op.unsqueeze(off, self._numbers(1, 2))
        for layer in range(self._layers):
            state = self._layer(state, bias, f"encoder.layer.{layer}")
        total = op.reduce_sum(op.multiply(state, op.unsqueeze(mask, self._numbers(2))), self._numbers(1))
        unit = op.normalize_l2(total, self._numbers(1), 1e-12, "max")
        return self._openvino.Model([unit], [ids, mask], "encoder")

    def _embedded(self, ids: Any) -> Any:
        op, weights = self._op, self._weights
        table = op.constant(weights["embeddings.word_embeddings.weight"].astype(np.float16))
        found = op.convert(op.gather(table, ids, op.constant(0, dtype=np.int64)), np.float32)
        places = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        length = op.gather(op.shape_of(ids, "i64"), self._numbers(1), op.constant(0, dtype=np.int64))
        first = op.slice(op.constant(places), self._numbers(0), length, self._numbers(1), self._numbers(0))
        return self._normalized(op.add(found, first), "embeddings.LayerNorm")

    def _layer(self, state: Any, bias: Any, name: str) -> Any:
        op = self._op
        attended = self._linear(self._attended(state, bias, f"{name}.attention.self"), f"{name}.attention.output.dense")
        state = self._normalized(op.add(state, attended), f"{name}.attention.output.LayerNorm")
        inner = op.gelu(self._linear(state, f"{name}.intermediate.dense"), "erf")
        return self._normalized(op.add(state, self._linear(inner, f"{name}.output.dense")), f"{name}.output.LayerNorm")

    def _attended(self, state: Any, bias: Any, name: str) -> Any:
        op = self._op
        apart = self._numbers(0, 0, self._heads, self._hidden // self._heads)
        turned = self._numbers(0, 2, 1, 3)
        query, key, value = (
            op.transpose(op.reshape(self._linear(state, f"{name}.{part}"), apart, True), turned)
            for part in ("query", "key", "value")
        )
        heads = op.scaled_dot_product_attention(query, key, value, bias)
        return op.reshape(op.transpose(heads, turned), self._numbers(0, 0, self._hidden), True)

    def _linear(self, state: Any, name: str) -> Any:
        op = self._op
        whole, scale = rounded(self._weights[f"{name}.weight"])
        weight = op.multiply(op.convert(op.constant(whole), np.float32), op.constant(scale))
        return op.add(op.matmul(state, weight, False, True), op.constant(self._weights[f"{name}.bias"][None, None]))

    def _normalized(self, state: Any, name: str) -> Any:
        op = self._op
        scaled = op.mvn(state, self._numbers(-1), True, self._epsilon, "inside_sqrt")
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return op.add(op.multiply(scaled, op.constant(weight)), op.constant(bias))

    def _numbers(self, *values: int) -> Any:
        return self._op.constant(np.array(values, np.int64))

    def _number(self, value: float) -> Any:
        return self._op.constant(np.float32(value))


def rounded(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows as whole numbers from −127 to 127 and their scales, shape (rows, 1); their product is nearly `weight`."""
    scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True) / 127, np.finfo(np.float32).tiny)
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)
