"""Front ends: files and arrays into programs, one operation at a time.

This package imports no file format: `lipc.frontends.onnx` alone imports onnx.
"""

from lipc.frontends.dense import from_weights
from lipc.frontends.network import Network

__all__ = ["Network", "from_weights"]
