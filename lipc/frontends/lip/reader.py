"""A .lip file from its text to a network: constants, networks in the order of the file, then the query."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from lipc.diagnostics import SourceText, in_order
from lipc.errors import InternalError, ModelError
from lipc.frontends.lip.expressions import Evaluator
from lipc.frontends.lip.functions import FUNCTIONS
from lipc.frontends.lip.load import Loader
from lipc.frontends.lip.networks import NetworkReader
from lipc.frontends.lip.parser import MAX_CHARACTERS, parse
from lipc.frontends.lip.question import QueryReader
from lipc.frontends.lip.report import Budget, Report
from lipc.frontends.lip.scope import Scope, Template, similar
from lipc.frontends.lip.syntax import Definition, Item, NetworkBlock, Node, OutputLine, QueryBlock
from lipc.frontends.lip.values import Linear
from lipc.frontends.lip.writer import Writer
from lipc.frontends.network import Network
from lipc.ir import Builder
from lipc.query import Query


def read_lip(path: str | Path, content: bytes | None = None) -> Network:
    """Return the network in a .lip file, with the question that the file asks.

    Parameters
    ----------
    path
        The file; what it loads is looked for in its folder.
    content
        What it holds, if it was read before, as from standard input.

    Raises
    ------
    ModelError
        If the file cannot be read; a `SourceError` that names every place if something in it is wrong.
    """
    file = Path(path)
    try:
        if content is None:
            with file.open("rb") as stream:
                content = stream.read(4 * MAX_CHARACTERS + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text: byte {error.start} does not fit"
        raise ModelError(message, where=str(path), hint="save it as UTF-8") from error
    network = parse_lip(text, str(path), file.parent)
    return replace(network, files=(str(path), *network.files))


def parse_lip(text: str, name: str = "<text>", folder: Path = Path()) -> Network:
    """Return the network that a text in the .lip language describes, with the question that it asks.

    Parameters
    ----------
    text
        At most 2**24 characters.
    name
        What messages call it.
    folder
        What relative paths in load() are relative to.

    Raises
    ------
    SourceError
        If something in it is wrong.
    """
    source = SourceText(name, text)
    items = parse(source)
    report = Report(source)
    loader = Loader(folder, Budget())
    network = _FileReader(report, loader).read(items)
    report.check()
    return replace(network, files=loader.files())


@dataclass
class _FileReader:
    """Reads the items of one file."""

    report: Report
    loader: Loader
    scope: Scope = field(default_factory=Scope)
    networks: dict[str, Template] = field(default_factory=dict)

    def read(self, items: list[Item]) -> Network:
        """Return the network to compile.

        Raises
        ------
        SourceError
            If something is wrong.
        """
        self.scope.later = {item.name.text: item.name for item in items if not isinstance(item, QueryBlock)}
        constants = self._evaluator(self.scope)
        queries: list[QueryBlock] = []
        for item in items:
            if isinstance(item, Definition):
                self._constant(constants, item)
            elif isinstance(item, NetworkBlock):
                self._network(item)
            else:
                queries.append(item)
        for query in queries[1:]:
            message = f"a second query; the first is on line {self.report.line(queries[0])}"
            self.report.error(_head(query, "query"), message, "one file asks one question")
        chosen = self._chosen(queries[0] if queries else None)
        question = self._question(queries[0], chosen) if queries and chosen else None
        self.report.check()
        if chosen is None:
            raise InternalError("no network was chosen, and nothing was said of it")
        self._warn(chosen)
        return self._compiled(chosen, question)

    def _evaluator(self, scope: Scope) -> Evaluator:
        return Evaluator(self.report, scope, self.networks, Writer(self.loader))

    def _constant(self, evaluator: Evaluator, item: Definition) -> None:
        value = evaluator.value(item.value)
        if isinstance(value, Linear):
            self.report.error(item.value, "outside of networks stand constants", "apply networks inside of networks")
            value = None
        evaluator.define(item.name, value)

    def _network(self, block: NetworkBlock) -> None:
        later = {s.name.text: s.name for s in block.statements if not (isinstance(s, OutputLine) and s.value is None)}
        template = NetworkReader(block, self._evaluator(Scope(self.scope, later))).read()
        name = block.name.text
        if name in self.networks:
            line = self.report.line(self.networks[name].word)
            self.report.error(block.name, f"the network '{name}' is defined already, on line {line}")
            return
        if name in FUNCTIONS or name == "load":
            self.report.warn("shadow", block.name, f"the network '{name}' hides the function '{name}'")
        self.networks[name] = template

    def _chosen(self, query: QueryBlock | None) -> Template | None:
        """Return the network that is compiled: the one that the query names, or else the last."""
        if not self.networks and self.report.errors:
            return None  # enough has been said
        if not self.networks:
            self.report.error(
                Node(0, 1), "there is no network here", "as in: network f { input x[2]; output y = relu(x) }"
            )
            return None
        if query is None or query.network is None:
            return list(self.networks.values())[-1]
        name = query.network.text
        if name not in self.networks:
            known = list(self.networks)
            hint = similar(name, known) or f"the last one is '{known[-1]}'"
            self.report.error(query.network, f"unknown network '{name}'", hint)
            return None
        return self.networks[name]

    def _question(self, query: QueryBlock, network: Template) -> Query | None:
        if network.is_broken:
            return None
        return QueryReader(query, network, self._evaluator(Scope(self.scope))).read()

    def _warn(self, chosen: Template) -> None:
        for name, binding in self.scope.unused():
            self.report.warn("unused", binding.word, f"nothing reads '{name}'", f"leave it out, or call it _{name}")
        for name, network in self.networks.items():
            if not network.used and network is not chosen and not name.startswith("_"):
                message = f"nothing applies the network '{name}', and it is not the one that is compiled"
                self.report.warn("unused", network.word, message, f"query {name} {{ .. }} compiles it")

    def _compiled(self, network: Template, question: Query | None) -> Network:
        builder = Builder(network.ops)
        return Network(
            builder.program(network.result),
            (network.inputs,),
            (network.outputs,),
            network.input_name,
            network.output_name,
            self.report.source.name,
            question,
            in_order(self.report.warnings),
        )


def _head(node: Node, word: str) -> Node:
    """Return the first word of a block."""
    return Node(node.start, node.start + len(word))
