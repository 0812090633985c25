"""The walk over an ONNX graph: its ends, its constants, the nodes the output depends on, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import external_data_helper, numpy_helper
from scipy.sparse import csr_array

from lipc.errors import CombinedError, ModelError
from lipc.frontends.network import Network
from lipc.frontends.onnx_ops import OPERATORS
from lipc.frontends.onnx_ops.folding import fold, is_foldable
from lipc.frontends.onnx_ops.node import Computed, Node, Shape, Tensor, as_floats
from lipc.ir import Affine, Builder, Floats, Op, Origin, Polytope

FIRST_OPSET = 7
DOMAINS = ("", "ai.onnx")
REALS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
SOFTMAXES = ("Softmax", "LogSoftmax")
SHAPE_ONLY = ("Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Dropout")
LIMITED = ("Clip", "Max", "Min")
"""The operators for which an infinite constant means "no limit"."""
KNOWN_ANYWAY = ("Shape", "Size")
"""The operators whose outputs are constants whatever they read."""
MOST_ERRORS = 20
"""That one run reports."""

BROKEN = (DecodeError, ValueError, TypeError, IndexError, KeyError, ArithmeticError, MemoryError, RuntimeError)
"""What numpy, scipy and protobuf raise over nonsense that no check of ours has named before."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A model's graph with its names looked up.

    Parameters
    ----------
    nodes
        In the order of the file.
    constants
        The initializers by name, not converted yet.
    producers
        By the name of a tensor, the position of the node that makes it.
    """

    graph: Any
    source: str
    opset: int
    nodes: list[Any]
    constants: dict[str, Any]
    producers: dict[str, int]

    @staticmethod
    def of(model: Any, source: str) -> Graph:
        """Return the graph of a model, its own functions written out."""
        if not model.graph.node and not model.graph.output:
            raise ModelError("holds no network", where=source, hint="the file is empty or not an ONNX model")
        opset = _opset(model, source)
        if model.functions:
            model = _inlined(model, source)
        graph = model.graph
        named = [(tensor.name, tensor) for tensor in graph.initializer]
        named += [(tensor.values.name, tensor) for tensor in graph.sparse_initializer]
        constants = dict(named)
        if len(constants) < len(named):
            twice = next(name for name, tensor in named if constants[name] is not tensor)
            raise ModelError(f"initializer '{twice}' is given twice", where=source)
        nodes = list(graph.node)
        producers: dict[str, int] = {}
        for position, proto in enumerate(nodes):
            for name in filter(None, proto.output):
                if name in producers or name in constants:
                    raise ModelError(f"tensor '{name}' is made twice", where=source)
                producers[name] = position
        return Graph(graph, source, opset, nodes, constants, producers)

    def error(self, message: str, hint: str = "") -> ModelError:
        """Return an error that names the model."""
        return ModelError(message, where=self.source, hint=hint)

    # --- the ends ---

    def input(self) -> tuple[str, Shape]:
        """Return the name and shape of the one input; old files list the initializers among the inputs too."""
        inputs = [entry for entry in self.graph.input if entry.name not in self.constants]
        if len(inputs) != 1:
            names = ", ".join(f"'{entry.name}'" for entry in inputs) or "none"
            raise self.error(f"has {len(inputs)} inputs ({names})", "a network must have exactly one")
        name, kind = inputs[0].name, inputs[0].type.tensor_type
        if name in self.producers:
            raise self.error(f"input '{name}' is also made by a node")
        if kind.elem_type not in REALS:
            raise self.error(f"input '{name}' is not a tensor of floating-point numbers")
        if not kind.HasField("shape"):
            raise self.error(f"input '{name}' has no shape", "export the model with a fixed input shape")
        sizes = [entry.dim_value if entry.WhichOneof("value") == "dim_value" else None for entry in kind.shape.dim]
        if len(sizes) > 1 and (sizes[0] is None or sizes[0] <= 0):
            sizes[0] = 1  # a free batch dimension: the question is about one input
        shown = tuple("?" if size is None else size for size in sizes)
        if any(size is None or size < 1 for size in sizes):
            message = f"input '{name}' has the shape {shown}, of which a dimension other than the batch is unknown"
            raise self.error(message, "export the model with a fixed input shape")
        shape = tuple(size for size in sizes if size is not None)
        if np.prod([float(size) for size in shape]) > 2**26:
            raise self.error(f"input '{name}' of shape {shown} is too large")
        return name, shape

    def output(self) -> str:
        """Return the name of the one output."""
        names = [entry.name for entry in self.graph.output]
        if len(names) != 1:
            shown = ", ".join(f"'{name}'" for name in names) or "none"
            raise self.error(f"has {len(names)} outputs ({shown})", "a network must have exactly one")
        return str(names[0])

    def trailing_softmax(self, output: str) -> int | None:
        """Return the position of a Softmax behind which nothing but the shape changes."""
        position = self.producers.get(output)
        for _ in self.nodes:
            if position is None or self.nodes[position].op_type not in SHAPE_ONLY or not self.nodes[position].input:
                break
            position = self.producers.get(self.nodes[position].input[0])
        return position if position is not None and self.nodes[position].op_type in SOFTMAXES else None

    def needed(self, output: str) -> list[int]:
        """Return the positions of the nodes that the output depends on, in the order of the file."""
        found: set[int] = set()
        pending = [output]
        while pending:
            position = self.producers.get(pending.pop())
            if position is not None and position not in found:
                found.add(position)
                pending.extend(self.nodes[position].input)
        return sorted(found)

    # --- the walk ---

    def network(self, drop_softmax: bool) -> Network:
        """Return the network, node by node."""
        input_name, input_shape = self.input()
        output_name = self.output()
        softmax = self.trailing_softmax(output_name)
        if drop_softmax and softmax is not None and self.nodes[softmax].input:
            output_name, softmax = self.nodes[softmax].input[0], None
        builder = Builder()
        size = int(np.prod(input_shape))
        origin = Origin(input_name, f"{self.source}: input '{input_name}'")
        tensors: dict[str, Tensor] = {
            input_name: Computed(builder.input(Polytope.space(size), origin=origin), input_shape)
        }
        walked = self.needed(output_name)
        tensors.update(self._initial([self.nodes[position] for position in walked], output_name))
        self._walk(walked, tensors, builder, softmax)
        result = tensors.get(output_name)
        if result is None:
            maker = self.producers.get(output_name)
            if maker is None:
                raise self.error(f"nothing makes the output '{output_name}'")
            raise self.error(f"its output '{output_name}' is an output of {self._label(maker)} that is not supported")
        builder.origin = Origin(output_name, f"{self.source}: output '{output_name}'")
        if not isinstance(result, Computed):
            result = Computed(builder.constant(self._finite(result, output_name)), result.shape)
        if not builder.size(result.value):
            raise self.error(f"output '{output_name}' has the shape {result.shape} and no entries")
        program = builder.program(result.value)
        return Network(program, input_shape, result.shape, input_name, output_name, self.source)

    def _walk(self, walked: list[int], tensors: dict[str, Tensor], builder: Builder, softmax: int | None) -> None:
        """Add what the nodes make to the tensors, one node after the other.

        Raises
        ------
        ModelError
            For each node that fails. Of the nodes that read what a failed one would have made, those are among them
            whose operator is not supported whatever it reads.
        """
        errors: list[ModelError] = []
        lost: dict[str, bool] = {}  # what failed nodes would have made, and whether that would be a constant
        for position in walked:
            proto = self.nodes[position]
            constant = proto.op_type in KNOWN_ANYWAY or not any(
                isinstance(tensors.get(name), Computed) or lost.get(name) is False for name in proto.input
            )
            try:
                if not _is_supported(proto, constant):
                    raise self._unsupported(position, droppable=position == softmax)
                if lost.keys().isdisjoint(proto.input):
                    tensors.update(self._outputs(position, tensors, builder))
                else:
                    lost.update(dict.fromkeys(filter(None, proto.output), constant))
            except ModelError as error:
                errors.append(error)
                lost.update(dict.fromkeys(filter(None, proto.output), constant))
        more = len(errors) - MOST_ERRORS
        if more > 0:
            errors[MOST_ERRORS:] = [self.error(f"and {more} more error{'s' if more > 1 else ''}")]
        if errors:
            raise errors[0] if len(errors) == 1 else CombinedError(errors)

    def _outputs(self, position: int, tensors: Mapping[str, Tensor], builder: Builder) -> Iterator[tuple[str, Tensor]]:
        """Append what a node computes and yield its outputs by name."""
        proto = self.nodes[position]
        node = self._node(position, tensors, builder)
        first = len(builder.ops)
        results = _results(node, proto)
        _check_finite(node, builder.ops[first:])
        yield from ((name, result) for name, result in zip(proto.output, results, strict=False) if name)

    def _label(self, position: int) -> str:
        """Return how messages name a node: ``node 'Relu_3' (Relu)``, by its position if it has no name."""
        proto = self.nodes[position]
        name = f"'{proto.name}'" if proto.name else position
        return f"node {name} ({proto.op_type})"

    def _where(self, position: int) -> str:
        """Return where messages say they are: ``net.onnx: node 'Relu_3' (Relu) -> 'out_7'``."""
        made = next(filter(None, self.nodes[position].output))
        return f"{self.source}: {self._label(position)} -> '{made}'"

    def _unsupported(self, position: int, droppable: bool) -> ModelError:
        """Return the error of an operator that has no place in a network."""
        proto = self.nodes[position]
        domain = f" of domain '{proto.domain}'" if proto.domain not in DOMAINS else ""
        message = f"operator {proto.op_type}{domain} is not supported"
        hint = f"supported: {', '.join(OPERATORS)}; on constants, every standard operator without a subgraph"
        if droppable:
            message += ": it is not piecewise linear"
            hint = "--drop-softmax (drop_softmax=True) leaves it out, so that the outputs are the logits"
        return ModelError(message, where=self._where(position), hint=hint)

    def _node(self, position: int, tensors: Mapping[str, Tensor], builder: Builder) -> Node:
        """Return a node with its inputs looked up, and let operations appended from now on carry its name."""
        proto = self.nodes[position]
        name = proto.name or f"{proto.op_type}_{position}"
        where = self._where(position)
        builder.origin = Origin(name, where)
        for entry in filter(None, proto.input):
            if entry not in tensors:
                raise self._missing(entry, position)
        inputs = tuple(tensors[entry] if entry else None for entry in proto.input)
        attributes = {attribute.name: attribute for attribute in proto.attribute}
        names, outputs = tuple(proto.input), tuple(proto.output)
        return Node(proto.op_type, self.opset, where, inputs, names, outputs, attributes, builder)

    def _missing(self, name: str, position: int) -> ModelError:
        """Return the error of a node that reads what is not there."""
        maker, hint = self.producers.get(name), ""
        if maker is None:
            message = f"reads '{name}', which nothing makes"
        elif maker < position:
            message = f"reads '{name}', an output of {self._label(maker)} that is not supported"
        elif maker == position:
            message, hint = f"reads its own output '{name}'", "a network has no cycle"
        else:
            message = f"reads '{name}', which {self._label(maker)} makes only behind it"
            hint = "the nodes of a graph stand in the order of their computation, and it has no cycle"
        return ModelError(message, where=self._where(position), hint=hint)

    # --- constants ---

    def _initial(self, walked: list[Any], output: str) -> Iterator[tuple[str, Tensor]]:
        """Yield the initializers that the nodes read, as arrays in the precision of the file."""
        readers: dict[str, list[str]] = {output: []} if output in self.constants else {}
        for proto in walked:
            for name in proto.input:
                if name in self.constants:
                    readers.setdefault(name, []).append(proto.op_type)
        for name, operators in readers.items():
            array = self._array(name)
            if np.issubdtype(array.dtype, np.integer) or array.dtype.kind in "bSUO":
                yield name, array
                continue
            limit = bool(operators) and all(operator in LIMITED for operator in operators)
            self._finite(np.where(np.isinf(array), 0.0, array) if limit else array, name)
            yield name, array

    def _array(self, name: str) -> NDArray[Any]:
        tensor = self.constants[name]
        parts = (tensor.values, tensor.indices) if isinstance(tensor, onnx.SparseTensorProto) else (tensor,)
        if any(external_data_helper.uses_external_data(part) for part in parts):
            raise self.error(f"initializer '{name}' is in external data that is not loaded", "read the file instead")
        if any(min(part.dims, default=0) < 0 for part in parts):
            raise self.error(f"initializer '{name}' has the shape {tuple(parts[0].dims)}")
        try:
            return _dense(tensor) if len(parts) == 2 else np.asarray(numpy_helper.to_array(tensor))
        except BROKEN as error:
            reason = f"unknown element type {error}" if isinstance(error, KeyError) else error
            raise self.error(f"initializer '{name}' is broken: {reason}") from error

    def _finite(self, array: NDArray[Any], name: str) -> Floats:
        try:
            numbers = as_floats(array)
        except (TypeError, ValueError) as error:
            raise self.error(f"constant '{name}' does not hold real numbers but {array.dtype}") from error
        if not np.isfinite(numbers).all():
            kind = "initializer" if name in self.constants else "constant"
            raise self.error(
                f"{kind} '{name}' holds NaN or infinite numbers", "the model cannot have been trained well"
            )
        return numbers


def _opset(model: Any, source: str) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in DOMAINS]
    if not versions:
        raise ModelError("does not say which operator set it uses", where=source)
    if len(set(versions)) > 1:
        raise ModelError(f"uses operator sets {' and '.join(map(str, versions))} at once", where=source)
    if versions[0] < FIRST_OPSET:
        raise ModelError(
            f"uses operator set {versions[0]}, older than {FIRST_OPSET}",
            where=source,
            hint="convert it with onnx.version_converter",
        )
    return int(versions[0])


def _inlined(model: Any, source: str) -> Any:
    """Return the model with its own functions written out."""
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # native code: anything may come out of it
        raise ModelError(f"its functions cannot be inlined: {error}", where=source) from error


def _dense(tensor: Any) -> NDArray[Any]:
    """Return a sparse initializer as a dense array."""
    values, indices = numpy_helper.to_array(tensor.values), numpy_helper.to_array(tensor.indices)
    shape = tuple(int(size) for size in tensor.dims)
    dense = np.zeros(shape, values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense


def _is_supported(proto: Any, constant: bool) -> bool:
    """Return whether there is a way to compute a node, of which `constant` says whether the result is one."""
    known = proto.op_type in KNOWN_ANYWAY or (is_foldable(proto) if constant else proto.op_type in OPERATORS)
    return proto.domain in DOMAINS and known


def _results(node: Node, proto: Any) -> list[Tensor]:
    """Return the outputs of a node: folded if its inputs are constants, else by the table of operators."""
    if not any(isinstance(tensor, Computed) for tensor in node.inputs):
        return fold(node, proto)
    try:
        results = OPERATORS[node.operator](node)
    except BROKEN as error:
        raise node.error(f"is not valid: {error}") from error
    return results if isinstance(results, list) else [results]


def _check_finite(node: Node, ops: list[Op]) -> None:
    """Check that a node's constants did not overflow on the way into the program."""
    for op in ops:
        if isinstance(op, Affine):
            matrices = (term.matrix for term in op.terms)
            data = (matrix.data if isinstance(matrix, csr_array) else matrix for matrix in matrices)
            if not all(np.isfinite(array).all() for array in (op.bias, *data)):
                raise node.error("its constants combine to NaN or infinite numbers")
