"""The ONNX front end: read a model, walk its graph once, append one or few operations per node.

Nothing is fused here. Whatever is wrong with a file is a `ModelError` that says where and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from onnx import external_data_helper

from lipc.errors import ModelError
from lipc.frontends.network import Network
from lipc.frontends.onnx_graph import BROKEN, Graph
from lipc.frontends.onnx_reference import difference

__all__ = ["Network", "difference", "import_onnx", "read_onnx"]

FOREIGN: Mapping[bytes, str] = MappingProxyType(
    {
        b"\x1f\x8b": "it is compressed: unpack it with gunzip",
        b"PK\x03\x04": "it is a zip archive: a PyTorch model must be exported by torch.onnx.export",
        b"version https://git-lfs": "it is a pointer of Git LFS: fetch the model by 'git lfs pull'",
    }
)
"""How files begin that are taken for models by mistake, and what to do about them."""


def read_onnx(path: str | Path, *, drop_softmax: bool = False, content: bytes | None = None) -> Network:
    """Return the network in an ONNX file.

    Parameters
    ----------
    path
        The file; external data is looked for beside it.
    drop_softmax
        Leave out a trailing Softmax or LogSoftmax, so that the outputs are the logits.
    content
        What the file holds, if it was read before, as from standard input.

    Raises
    ------
    ModelError
        If the file is missing or broken, or holds something that is not supported.
    """
    file = Path(path)
    try:
        content = file.read_bytes() if content is None else content
        model = onnx.load_model_from_string(content)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except BROKEN as error:
        hint = next((hint for start, hint in FOREIGN.items() if (content or b"").startswith(start)), "")
        raise ModelError("is not an ONNX model, or is broken or cut off", where=str(path), hint=hint) from error
    beside = _load_external_data(model, file)
    network = import_onnx(model, source=str(path), drop_softmax=drop_softmax)
    return replace(network, files=(str(path), *beside), dropped_softmax=drop_softmax)


def _load_external_data(model: Any, file: Path) -> list[str]:
    """Read the initializers that are kept in other files of the model's folder; return these files."""
    found: dict[str, None] = {}
    try:
        for tensor in filter(external_data_helper.uses_external_data, model.graph.initializer):
            location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
            if not (file.parent / location).exists():
                raise FileNotFoundError(f"'{location}' of initializer '{tensor.name}' is missing")
            found[str(file.parent / location)] = None
        external_data_helper.load_external_data_for_model(model, str(file.parent))
    except (OSError, onnx.checker.ValidationError, *BROKEN) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"external data cannot be read: {reason}",
            where=str(file),
            hint="keep the data files that were written with the model in its folder",
        ) from error
    return list(found)


def import_onnx(model: onnx.ModelProto, *, source: str = "<model>", drop_softmax: bool = False) -> Network:
    """Return the network in an ONNX model that is in memory, its external data included.

    Parameters
    ----------
    model
        Operator set 7 or newer; one input of real numbers, one output.
    source
        What messages call the model.
    drop_softmax
        Leave out a trailing Softmax or LogSoftmax, so that the outputs are the logits.

    Raises
    ------
    ModelError
        If the model is broken or holds something that is not supported.
    """
    try:
        with np.errstate(all="ignore"):  # what is not finite is found and named
            return Graph.of(model, source).network(drop_softmax)
    except BROKEN as error:
        raise ModelError(f"is not a valid ONNX model: {error}", where=source) from error
