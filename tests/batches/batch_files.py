"""Files of small jobs, and what must be the same of two runs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lipc.engine import Service
from lipc.jobs import Job

EXAMPLES = Path(__file__).parents[2] / "examples"

TIMES = ("seconds", "time", "history")


def small_jobs(folder: Path, count: int = 12) -> Path:
    """Write a file of jobs that take some hundredths of a second each."""
    (folder / "net.lip").write_text((EXAMPLES / "two_neurons.lip").read_text(encoding="utf-8"), encoding="utf-8")
    lines = [
        json.dumps(
            {"id": f"job {number}", "model": "net.lip", "box": [-1, 1 + number / 8], "norm": ["linf", "l1"][number % 2]}
        )
        for number in range(count)
    ]
    path = folder / "jobs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def records_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def told(path: Path) -> dict[str, dict[str, Any]]:
    """Return by id what a file of results says, but for times."""
    records = records_of(path)
    found = {each["id"]: {name: value for name, value in each.items() if name not in TIMES} for each in records}
    assert len(found) == len(records), "a job stands there twice"
    return found


class Slow:
    """A service that does not come back from some jobs, or takes its process with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def start(self) -> Callable[[Job], dict[str, object]]:
        def answer(job: Job) -> dict[str, object]:
            if job.id == "hangs":
                time.sleep(60)
            mark = Path(self.folder) / f"{job.id} was here"
            if job.id == "always dies" or (job.id == "dies once" and not mark.exists()):
                mark.touch()
                os._exit(3)
            return {"status": "optimal", "certified": True, "error": ""}

        return answer


class Inline:
    """An engine of one seat, in this process: what is not about processes needs none."""

    size = 1

    def hire(self, service: Service, on_answer: Callable[[], None] = lambda: None) -> InlineSeat:
        return InlineSeat(service, on_answer)

    def close(self) -> None:
        pass


class InlineSeat:
    reason, is_lost = "", False

    def __init__(self, service: Service, on_answer: Callable[[], None]) -> None:
        self.work, self.on_answer = service.start(), on_answer
        self.given: list[Any] = []
        self.on_answer()

    def is_ready(self, seconds: float) -> bool:  # noqa: ARG002
        return True

    def ask(self, request: object) -> None:
        self.given.append(self.work(request))
        self.on_answer()

    def answer(self, seconds: float) -> Any | None:  # noqa: ARG002
        return self.given.pop() if self.given else None

    def stop(self) -> None:
        pass
