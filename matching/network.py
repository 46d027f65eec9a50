"""The bundled model as an OpenVINO graph: a BERT encoder, its mean over the tokens, unit length.

The graph is written here, operation by operation, because the wheel's converter would bring torch into it. Both sides
of the matrix products are whole numbers of eight bits: weights with one scale for each output, inputs with one for each
product, after their channels were evened out (SmoothQuant, Xiao et al. 2023) by the largest numbers met in the training
texts. The table of words, nine tenths of the model, stays outside as a mapped file, since OpenVINO would hold it in
memory twice as large. The one module that imports openvino.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.errors import ModelError
from matching.files import pack, read_packed, write_atomically

Weights = Mapping[str, NDArray[np.float32]]
EVENED = 0.85  # how far a channel's size moves into the weights: 0 not at all, 1 wholly
TINY = 1e-3  # the least size of a channel
TABLE = "words.npy"
ACTIVATIONS = Path(__file__).parent / "artefacts" / "activations.npz"
MASKED = 30_000.0  # taken off the attention to other texts and padding; still a number in float16


def import_openvino() -> Any:
    """The package, kept from reporting its use: left alone, its import calls Google Analytics. Raises ImportError."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if it were not installed
    import openvino

    return openvino


def write_network(source: Path, largest: Weights, folder: Path) -> None:
    """Read the sentence-transformers folder `source`; write the network and the table of words into `folder`.

    `largest`: of each product of matrices, by name, how large each of its inputs gets, shape (inputs,). Raises
    ModelError where it is of another model.
    """
    from safetensors.numpy import load_file

    openvino = import_openvino()
    config = json.loads((source / "config.json").read_text("utf-8"))
    weights = load_file(source / "model.safetensors")
    openvino.serialize(Network(weights, largest, config).model(), folder / "model.xml", folder / "model.bin")
    np.save(folder / TABLE, weights["embeddings.word_embeddings.weight"].astype(np.float16))


def compile_network(folder: Path, streams: int = 1) -> Any:
    """What `write_network` wrote, ready to run on this processor. Raises RuntimeError when it is no network.

    One stream has all cores, several share them, each with a batch of its own.
    """
    openvino = import_openvino()
    core = openvino.Core()
    bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    how = {"NUM_STREAMS": streams, "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"}
    return core.compile_model(core.read_model(folder / "model.xml"), "CPU", how)


def save_activations(largest: Weights, path: Path) -> None:
    """Write how large the inputs of the products get, by the products' names, whole or not at all."""
    write_atomically(path, pack({}, {name: sizes.astype(np.float16) for name, sizes in largest.items()}))


def load_table(folder: Path) -> NDArray[np.float16]:
    """The table of words, shape (tokens, hidden), mapped. Raises ValueError or OSError when there is none."""
    return np.asarray(np.load(folder / TABLE, mmap_mode="r"))


def load_activations(path: Path) -> Weights:
    """Read what `save_activations` wrote. Raises ArtefactError for anything else."""
    _, arrays = read_packed(path, "list of activations")
    return {name: sizes.astype(np.float32) for name, sizes in arrays.items()}


class Network:
    """Writes the graph. A row is one text or several on end, which do not see each other. Inputs: `states`, the tokens'
    rows of the table of words, float16, shape (rows, tokens, hidden); `places`, each token's in its text, int32, (rows,
    tokens); `members`, 1 where a token is of a text, else 0, float32, (rows, texts of a row, tokens)."""

    def __init__(self, weights: Weights, largest: Weights, config: Mapping[str, Any]) -> None:
        self._openvino = import_openvino()
        self._op: Any = self._openvino.opset13
        self._largest = largest
        self._layers = int(config["num_hidden_layers"])
        self._heads = int(config["num_attention_heads"])
        self._hidden = int(config["hidden_size"])
        self._epsilon = float(config["layer_norm_eps"])
        shrunk = np.float32(np.sqrt(self._heads / self._hidden))  # what attention multiplies by, put into the queries
        self._weights = {name: own * shrunk if ".query." in name else own for name, own in weights.items()}

    def model(self) -> Any:
        """The whole: inputs → unit vectors, float32, shape (rows, texts of a row, hidden)."""
        op = self._op
        states = op.parameter([-1, -1, self._hidden], np.float16, name="states")
        places = op.parameter([-1, -1], np.int32, name="places")
        members = op.parameter([-1, -1, -1], np.float32, name="members")
        state = self._placed(op.convert(states, np.float32), places)
        together = op.matmul(members, members, True, False)
        off = op.multiply(op.subtract(together, self._number(1.0)), self._number(MASKED))
        bias = op.unsqueeze(off, self._numbers(1))
        for layer in range(self._layers):
            state = self._layer(state, bias, f"encoder.layer.{layer}")
        total = op.matmul(members, state, False, False)
        unit = op.normalize_l2(total, self._numbers(2), 1e-12, "max")
        return self._openvino.Model([unit], [states, places, members], "encoder")

    def _placed(self, state: Any, places: Any) -> Any:
        """The words' states with what their places add."""
        op, weights = self._op, self._weights
        added = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        here = op.gather(op.constant(added), places, op.constant(0, dtype=np.int64))
        return self._normalized(op.add(state, here), "embeddings.LayerNorm")

    def _layer(self, state: Any, bias: Any, name: str) -> Any:
        op = self._op
        attended = self._attended(state, bias, f"{name}.attention.self")
        (attended,) = self._products(attended, f"{name}.attention.output.dense")
        state = self._normalized(op.add(state, attended), f"{name}.attention.output.LayerNorm")
        (inner,) = self._products(state, f"{name}.intermediate.dense")
        (outer,) = self._products(op.gelu(inner, "erf"), f"{name}.output.dense")
        return self._normalized(op.add(state, outer), f"{name}.output.LayerNorm")

    def _attended(self, state: Any, bias: Any, name: str) -> Any:
        op = self._op
        apart = self._numbers(0, 0, self._heads, self._hidden // self._heads)
        turned = self._numbers(0, 2, 1, 3)
        query, key, value = (
            op.transpose(op.reshape(product, apart, True), turned)
            for product in self._products(state, f"{name}.query", f"{name}.key", f"{name}.value")
        )
        attention = op.softmax(op.add(op.matmul(query, key, False, True), bias), -1)
        heads = op.matmul(attention, value, False, False)
        return op.reshape(op.transpose(heads, turned), self._numbers(0, 0, self._hidden), True)

    def _products(self, state: Any, *names: str) -> list[Any]:
        """The state by each of these matrices, with their biases added."""
        op = self._op
        if names[0] not in self._largest:
            raise ModelError(f"the activations are of another model: they do not know {names[0]}")
        size, most = evened(self._largest[names[0]], [self._weights[f"{name}.weight"] for name in names])
        low, high = self._number(-most * 128 / 127), self._number(most)
        whole_state = op.fake_quantize(op.multiply(state, op.constant(1 / size)), low, high, low, high, 256)
        products = []
        for name in names:
            whole, scale = rounded(self._weights[f"{name}.weight"] * size)
            weight = op.multiply(op.convert(op.constant(whole), np.float32), op.constant(scale))
            product = op.matmul(whole_state, weight, False, True)
            products.append(op.add(product, op.constant(self._weights[f"{name}.bias"][None, None])))
        return products

    def _normalized(self, state: Any, name: str) -> Any:
        op = self._op
        scaled = op.mvn(state, self._numbers(-1), True, self._epsilon, "inside_sqrt")
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return op.add(op.multiply(scaled, op.constant(weight)), op.constant(bias))

    def _numbers(self, *values: int) -> Any:
        return self._op.constant(np.array(values, np.int64))

    def _number(self, value: float) -> Any:
        return self._op.constant(np.float32(value))


def evened(largest: NDArray[np.float32], weights: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], float]:
    """What to divide each input by and to multiply its weights by, shape (inputs,); the largest input that is left.

    `largest` (inputs,): how large each input gets; `weights`: matrices (outputs, inputs) that it is multiplied by.
    """
    inputs = np.maximum(largest, TINY)
    columns = np.maximum(np.abs(np.concatenate(weights)).max(axis=0), TINY)
    size = (inputs**EVENED / columns ** (1 - EVENED)).astype(np.float32)
    return size, float((inputs / size).max())


def rounded(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows as whole numbers from −127 to 127 and their scales, shape (rows, 1); their product is nearly `weight`."""
    scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True) / 127, np.finfo(np.float32).tiny)
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)
