"""lipc compiles a neural network and a question about it into a mixed-integer program whose optimum is the answer."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lipc.batches.answers import to_pandas
    from lipc.batches.run import batch
    from lipc.checking import Check, check
    from lipc.compiler import Compiled, compile  # noqa: A004 - the verb of a compiler
    from lipc.driver import solve
    from lipc.errors import LipcError
    from lipc.estimators.run import estimate
    from lipc.formats.output import write_model
    from lipc.frontends import Network, from_weights
    from lipc.ir import Norm
    from lipc.options import Options
    from lipc.query import Functional, Query, ball, box
    from lipc.radius import certify_radius
    from lipc.result import Result
    from lipc.solving.pieces import split

# Loaded when first asked for: `lipc --version` must not wait for numpy.
_HOMES = {
    "Check": "lipc.checking",
    "Compiled": "lipc.compiler",
    "Functional": "lipc.query",
    "LipcError": "lipc.errors",
    "Network": "lipc.frontends",
    "Norm": "lipc.ir",
    "Options": "lipc.options",
    "Query": "lipc.query",
    "Result": "lipc.result",
    "ball": "lipc.query",
    "batch": "lipc.batches.run",
    "box": "lipc.query",
    "certify_radius": "lipc.radius",
    "check": "lipc.checking",
    "compile": "lipc.compiler",
    "estimate": "lipc.estimators.run",
    "from_weights": "lipc.frontends",
    "solve": "lipc.driver",
    "split": "lipc.solving.pieces",
    "to_pandas": "lipc.batches.answers",
    "write_model": "lipc.formats.output",
}

__all__ = [
    "Check",
    "Compiled",
    "Functional",
    "LipcError",
    "Network",
    "Norm",
    "Options",
    "Query",
    "Result",
    "__version__",
    "ball",
    "batch",
    "box",
    "certify_radius",
    "check",
    "compile",
    "estimate",
    "from_weights",
    "solve",
    "split",
    "to_pandas",
    "write_model",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'lipc' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
