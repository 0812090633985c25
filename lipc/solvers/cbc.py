"""CBC, by its command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from lipc.ir import Floats
from lipc.solvers.base import Capabilities
from lipc.solvers.command import CommandSolver, Job
from lipc.solvers.found import executable, first_words
from lipc.solvers.logs import CBC


class Cbc(CommandSolver):
    """CBC, which gets LP files: its reader of MPS files is off by one rounding in every fifth number.

    Its exit code is 0 whatever happens, so it says nothing. Its preprocessing is off: it cuts optima off.
    """

    name: ClassVar[str] = "cbc"
    title: str = "CBC"
    install: ClassVar[str] = "apt install coinor-cbc, or conda install -c conda-forge coin-or-cbc"
    capabilities: ClassVar[Capabilities] = Capabilities(
        formulations=("bigm", "sos1"), start=True, bound="log", threads=True, seed=True
    )
    dual_tolerance: ClassVar[float] = 1e-9
    ending = ".lp"
    patterns = CBC

    @cached_property
    def _version(self) -> str:
        found = first_words([executable(self), "-quit"], re.compile(r"^Version:\s*(\S+)", re.MULTILINE))
        return f"CBC {found}".strip()

    def version(self) -> str:
        """Return ``CBC`` and its version."""
        return self._version

    def command(self, job: Job) -> Sequence[str]:
        """Return the words of the command."""
        words = [executable(self), job.model.name, "-timeMode", "elapsed", "-seconds", str(job.seconds)]
        words += ["-ratioGap", repr(job.gap), "-randomCbcSeed", str(job.seed), "-randomSeed", str(job.seed + 1)]
        # The preprocessing of CBC 2.10.8 cuts optima off: it calls 12 optimal where 16 is (docs/solvers.md).
        words += ["-dualTolerance", repr(self.dual_tolerance), "-preprocess", "off"]
        if job.threads > 1:
            words += ["-threads", str(job.threads)]
        if job.formulation == "sos1":
            # They fix bits of a set at 1, which CBC 2.10.8 takes for an error of its own (CbcSOS.cpp:492) and aborts.
            words += ["-cutsOnOff", "off"]
        if job.start is not None:
            words += ["-mipstart", job.start.name]
        return [*words, "-printingOptions", "all", "-solve", "-solution", job.solution.name]

    def start_text(self, names: Sequence[str], columns: Floats) -> str:
        """Return a start solution as CBC writes its own."""
        entries = zip(names, columns.tolist(), strict=True)
        lines = [f"{place} {name} {value!r} 0" for place, (name, value) in enumerate(entries)]
        return "\n".join(["Optimal - objective value 0", *lines]) + "\n"
