"""The bar of long work: on a terminal, after a while, and nowhere else."""

from __future__ import annotations

import io
import sys
import time

import pytest

from lipc.cli import stages
from lipc.cli.stages import Stages


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work(seconds: float) -> None:
    with Stages(2) as shown:
        shown.next("first")
        shown.next("second")
        time.sleep(seconds)


def test_long_work_shows_its_stage_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "SHOWN_AFTER", 0.05)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    work(0.5)
    assert "second" in terminal.getvalue()
    assert "1/2" in terminal.getvalue()


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    work(0.0)
    assert terminal.getvalue() == ""


def test_what_is_no_terminal_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stages, "SHOWN_AFTER", 0.0)
    work(0.2)
    assert capsys.readouterr() == ("", "")


def test_a_failure_takes_the_bar_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "SHOWN_AFTER", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyboardInterrupt), Stages(1) as shown:
        shown.next("first")
        time.sleep(0.3)
        raise KeyboardInterrupt
    assert terminal.getvalue().endswith(("\x1b[2K", "\x1b[?25h", "\n")) or "\x1b[?25h" in terminal.getvalue()
