"""Files: the MPS and LP writers, the sidecar that explains a model, textual programs, atomic writing."""

from lipc.formats.lir import read_lir, write_lir
from lipc.formats.lp import lp_chunks
from lipc.formats.mps import mps_chunks
from lipc.formats.output import (
    Format,
    format_of,
    gzipped,
    sidecar_path,
    write_atomically,
    write_model,
    write_stdout,
)
from lipc.formats.sidecar import ModelMap, read_sidecar, sidecar, sidecar_text

__all__ = [
    "Format",
    "ModelMap",
    "format_of",
    "gzipped",
    "lp_chunks",
    "mps_chunks",
    "read_lir",
    "read_sidecar",
    "sidecar",
    "sidecar_path",
    "sidecar_text",
    "write_atomically",
    "write_lir",
    "write_model",
    "write_stdout",
]
