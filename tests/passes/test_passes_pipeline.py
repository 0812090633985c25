"""Pipelines as texts: what they mean, what is wrong with them and where, and passes of other packages."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipc.catalogue import Catalogue
from lipc.diagnostics import SourceError
from lipc.errors import QueryError
from lipc.ir import Program
from lipc.passes.base import Pass, PassResult, kept_whole
from lipc.passes.bounds import Bounds
from lipc.passes.dce import DeadCodeElimination
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian
from lipc.passes.pipeline import (
    Level,
    describe_pass,
    named_pipeline,
    parse_pipeline,
    pass_class,
    pass_names,
    print_pipeline,
)
from lipc.passes.prune_stable import PruneStable


def test_a_pipeline_is_read_with_its_options() -> None:
    text = "jacobian{mode=forward},fuse,bounds{method=interval, only-new},prune-stable,dce"
    passes = (Jacobian("forward"), Fuse(), Bounds("interval", only_new=True), PruneStable(), DeadCodeElimination())
    assert parse_pipeline(text) == passes


@pytest.mark.parametrize(
    "text",
    [
        "bounds{method=linear,only-new=true}",
        "bounds{method=linear only-new}",
        " bounds { method = linear , only_new , } , ",
        "bounds{only-new,method=linear}",
    ],
)
def test_options_may_be_written_in_several_ways(text: str) -> None:
    assert parse_pipeline(text) == (Bounds("linear", only_new=True),)


def test_an_empty_text_is_no_pass() -> None:
    assert parse_pipeline("") == parse_pipeline("  ") == ()


@pytest.mark.parametrize("level", get_args(Level))
def test_named_pipelines_are_printed_and_read_back(level: Level) -> None:
    passes = named_pipeline(level, "forward", "interval")
    assert parse_pipeline(print_pipeline(passes)) == passes
    assert sum(isinstance(each, Jacobian) for each in passes) == 1


PASSES = st.one_of(
    st.builds(Bounds, st.sampled_from(["interval", "linear"]), st.booleans()),
    st.builds(Jacobian, st.sampled_from(["auto", "forward", "reverse"])),
    st.sampled_from([Fuse(), PruneStable(), DeadCodeElimination()]),
)


@given(st.lists(PASSES))
def test_every_pipeline_is_printed_and_read_back(passes: list[Pass]) -> None:
    assert parse_pipeline(print_pipeline(passes)) == tuple(passes)


MISTAKES = [
    ("fuze", 1, "there is no pass 'fuze'", "did you mean 'fuse'?"),
    ("bounds,prune", 8, "there is no pass 'prune'", "prune-stable"),
    ("bounds{method=lp}", 15, "option 'method' of pass 'bounds' is one of interval, linear, not 'lp'", ""),
    ("bounds{methd=linear}", 8, "pass 'bounds' has no option 'methd'", "did you mean 'method'?"),
    ("fuse{hard}", 6, "pass 'fuse' has no option 'hard'", "it has no options"),
    ("bounds{only-new=yes}", 17, "option 'only-new' of pass 'bounds' is true or false, not 'yes'", ""),
    ("bounds{method}", 8, "option 'method' of pass 'bounds' needs a value", ""),
    ("bounds{method=linear,method=linear}", 22, "option 'method' is given twice", ""),
    ("bounds,,fuse", 8, "unexpected ','; expected a name", "write passes like"),
    ("bounds{", 8, "the text ends too early; expected a name or '}'", ""),
    ("bounds{method=", 15, "the text ends too early; expected a value", ""),
    ("bounds}", 7, "unexpected '}'; expected ',' or '{'", ""),
    ("bounds;fuse", 7, "unexpected ';'; expected ',' or '{'", ""),
    ("bounds fuse", 8, "unexpected 'f'; expected ',' or '{'", ""),
    ("1", 1, "unexpected '1'; expected a name", ""),
]


@pytest.mark.parametrize(("text", "column", "message", "hint"), MISTAKES, ids=[text for text, *_ in MISTAKES])
def test_a_mistake_has_its_column(text: str, column: int, message: str, hint: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_pipeline(text)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.span.line, diagnostic.span.column, diagnostic.message) == (1, column, message)
    assert hint in diagnostic.hint


def test_all_mistakes_are_told_in_order() -> None:
    with pytest.raises(SourceError) as caught:
        parse_pipeline("bonds,jacobian{mode=sideways},fuse{x}", "--passes")
    assert [(each.span.column, each.message.split()[0]) for each in caught.value.diagnostics] == [
        (1, "there"),
        (21, "option"),
        (36, "pass"),
    ]
    assert str(caught.value).startswith("--passes:1:1: error: there is no pass 'bonds'\n    bonds,jacobian{")


@given(st.text("abounds-fuse{}=, \n\t", max_size=30))
def test_any_text_is_a_pipeline_or_a_user_error(text: str) -> None:
    try:
        parse_pipeline(text)
    except SourceError as error:
        assert all(each.span.line >= 1 for each in error.diagnostics)


@pytest.mark.parametrize("name", pass_names())
def test_every_pass_has_its_file_and_a_line_of_documentation(name: str) -> None:
    found = pass_class(name)
    assert found is not None
    assert found.name == name
    assert found.__module__ == f"lipc.passes.{name.replace('-', '_')}"
    usage, summary = describe_pass(name)
    assert parse_pipeline(usage) == (found(),)
    assert summary.endswith(".")


THIRD_PARTY = """
from dataclasses import dataclass
from typing import ClassVar
from lipc.ir import Program
from lipc.passes.base import Pass, PassResult, kept_whole

@dataclass(frozen=True)
class Nothing(Pass):
    "Does nothing, politely."
    name: ClassVar[str] = "nothing"
    exact: ClassVar[bool] = True
    times: int = 1
    share: float = 0.5

    def apply(self, program: Program) -> PassResult:
        return PassResult(program, kept_whole(program))
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package that registers passes, as an installer would lay it out; return the folder."""
    (tmp_path / "tiny_pass.py").write_text(THIRD_PARTY, encoding="utf-8")
    info = tmp_path / "tiny_pass-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-pass\nVersion: 1.0\n", encoding="utf-8")
    entries = "nothing = tiny_pass:Nothing\nbroken = tiny_pass:Missing\nclass = tiny_pass:Program\n"
    (info / "entry_points.txt").write_text(f"[lipc.passes]\n{entries}", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tiny_pass", raising=False)
    return tmp_path


@pytest.mark.usefixtures("third_party")
def test_another_package_adds_a_pass() -> None:
    assert "nothing" in pass_names()
    (found,) = parse_pipeline("nothing{times=3,share=0.25}")
    assert (found.name, found.times, found.share) == ("nothing", 3, 0.25)  # type: ignore[attr-defined]
    assert describe_pass("nothing") == ("nothing{times=1,share=0.5}", "Does nothing, politely.")
    with pytest.raises(SourceError, match="option 'times' of pass 'nothing' is a whole number, not 'many'"):
        parse_pipeline("nothing{times=many}")


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize("name", ["broken", "class"])
def test_a_broken_registration_is_told(name: str) -> None:
    with pytest.raises(QueryError, match=f"'{name}'.*tiny_pass"):
        parse_pipeline(name)


@dataclass(frozen=True)
class Needs(Pass):
    """Needs an option."""

    name: ClassVar[str] = "needs"
    exact: ClassVar[bool] = True
    how: Literal["well", "badly"]

    def apply(self, program: Program) -> PassResult:
        return PassResult(program, kept_whole(program))


def test_an_option_without_a_default_must_be_given() -> None:
    catalogue = Catalogue("pass", "passes", lambda: ["needs"], lambda _: Needs, "needs{how=well}")
    assert catalogue.parse("needs{how=badly}", "--passes") == (Needs("badly"),)
    assert catalogue.describe("needs")[0] == "needs{how=...}"
    with pytest.raises(SourceError, match="pass 'needs' needs the option how"):
        catalogue.parse("needs", "--passes")
