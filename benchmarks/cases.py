"""The reference cases: networks with domains, functionals and known values, in a `cases.json` beside their networks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lipc

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


@dataclass(frozen=True)
class Case:
    """One question: a network, a domain, a functional and a norm, with the value where it is known.

    `peer_seconds` are the CPU seconds that the public LipMIP code took with Gurobi, where it solved the case; None
    where it did not.
    """

    name: str
    norm: str
    network: Path
    query: lipc.Query
    value: float
    exact: bool
    peer_seconds: float | None


def read_cases(folder: Path = REFERENCE) -> Iterator[Case]:
    """Yield the cases in the `cases.json` of a folder, for the norms l_inf and l_1."""
    for entry in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        for norm in ("linf", "l1"):
            if norm in entry["reference"]:
                yield _case(folder, entry, norm)


def _case(folder: Path, entry: dict[str, Any], norm: str) -> Case:
    domain, known = entry["domain"], entry["reference"][norm]
    region = (
        lipc.box(domain["lo"], domain["hi"])
        if domain["type"] == "box"
        else lipc.ball(domain["center"], domain["radius"])
    )
    peer = known.get("peers", {}).get("LipMIP", {})
    return Case(
        name=entry["case"],
        norm=norm,
        network=folder / "nets" / f"{entry['net']}.onnx",
        query=lipc.Query(region, lipc.Functional(dict(enumerate(entry["c"]))), lipc.Norm(norm)),
        value=known["value"],
        exact=known["kind"] == "exact",
        peer_seconds=peer.get("cpu_total_s") if peer.get("status") == "optimal" else None,
    )
