"""Whatever is wrong with a file is one `ModelError` that says what, where and what to do."""

import gzip
import warnings
from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import NEWEST, Case, X, Z, case, make_model, weights

from lipc.errors import CombinedError, ModelError
from lipc.frontends.onnx import import_onnx, read_onnx

w = weights
node = helper.make_node
i64 = np.int64


def message_of(model: onnx.ModelProto, **options: bool) -> str:
    with pytest.raises(ModelError) as caught:
        import_onnx(model, source="net.onnx", **options)
    assert str(caught.value).startswith("net.onnx")
    return str(caught.value)


def raw(subject: Case) -> onnx.ModelProto:
    """Return the model of a case without letting onnx check it."""
    names = [
        entry if isinstance(entry, str) else "" if entry is None else f"c{k}" for k, entry in enumerate(subject.inputs)
    ]
    constants = {f"c{k}": np.asarray(entry) for k, entry in enumerate(subject.inputs) if f"c{k}" in names}
    nodes = [node("Abs", [X], [Z]), node(subject.operator, names, ["y"], name="subject", **subject.attributes)]
    return make_model(nodes, subject.shape, constants, opset=subject.opset, check=False)


NODES = [
    (case("Mul", [X, Z], (2,)), "both 'x' and 'z' are computed", "not piecewise linear"),
    (case("MatMul", [X, Z], (2, 2)), "both 'x' and 'z' are computed", "one factor must be constant"),
    (case("Gemm", [X, Z], (2, 2)), "both 'x' and 'z' are computed", ""),
    (case("Div", [X, Z], (2,)), "divisor 'z' is computed", "only division by a constant"),
    (case("Div", [w(2), X], (2,)), "divisor 'x' is computed", ""),
    (case("Div", [X, np.array([1.0, 0.0])], (2,)), "divisor 'c1' holds a zero", ""),
    (case("Reshape", [X, Z], (2,)), "'z') is computed from the network's input", "needs a constant"),
    (case("Reshape", [X, i64([4, -1])], (1, 6)), "cannot reshape (1, 6) to (4, -1)", ""),
    (case("Reshape", [X, i64([-1, -1])], (1, 6)), "cannot reshape", ""),
    (case("Reshape", [X, i64([6, 0, 0])], (1, 6)), "copies axis 2", ""),
    (case("Reshape", [X, i64([0, 6])], (1, 6), 14, allowzero=1), "cannot reshape", ""),
    (case("Add", [X, w(3)], (2,)), "shapes (2,) and (3,) cannot be broadcast", ""),
    (case("MatMul", [X, w(3, 2)], (1, 2)), "factors of shapes (1, 2) and (3, 2) do not fit", ""),
    (case("MatMul", [X, np.array(1.0)], (1, 2)), "a factor is a scalar", "use Mul"),
    (case("Gemm", [X, w(2, 2)], (2,)), "must be matrices, not of shape (2,)", ""),
    (case("Gemm", [X, w(2, 2), w(3)], (1, 2)), "(3,) and (1, 2) cannot be broadcast", ""),
    (case("Gemm", [X, w(2, 2), w(2, 2)], (1, 2)), "does not broadcast to (1, 2)", ""),
    (case("Conv", [X, w(2, 3, 2)], (1, 2, 4)), "do not fit an input of shape (1, 2, 4)", ""),
    (case("Conv", [X, w(2, 2, 5)], (1, 2, 4)), "a window of 5 does not fit into a padded axis of 4", ""),
    (case("Conv", [X, w(2, 2, 2)], (1, 2, 4), strides=[0]), "'strides' must hold 1 integers of at least 1", ""),
    (case("Conv", [X, w(2, 2, 2)], (1, 2, 4), strides=1.5), "'strides' must be a list of integers", ""),
    (case("Conv", [X, w(2, 2, 2)], (1, 2, 4), auto_pad="SAME"), "unknown auto_pad 'SAME'", "SAME_UPPER"),
    (case("Conv", [X, w(2, 2, 2)], (1, 2, 4), pads=[1]), "'pads' must hold 2 integers", ""),
    (case("Conv", [X, w(2, 2, 2), w(3)], (1, 2, 4)), "bias of shape (3,) for 2 output channels", ""),
    (case("Conv", [w(1, 2, 2), X], (2, 2, 2)), "'x') is computed", ""),
    (case("Conv", [X, w(2, 2, 2)], (1, 2, 4), group=0), "in 0 groups", ""),
    (case("ConvTranspose", [X, w(3, 2, 2)], (1, 2, 4)), "do not fit an input", ""),
    (case("ConvTranspose", [X, w(2, 2, 2)], (1, 2, 4), pads=[9, 9]), "leave nothing", ""),
    (case("MaxPool", [X], (1, 1, 4)), "'kernel_shape' is missing", ""),
    (case("MaxPool", [X], (1, 1, 4), kernel_shape=[2], pads=[2, 2]), "lies wholly in the padding", ""),
    (case("BatchNormalization", [X, *[w(2)] * 4], (1, 2), 14, training_mode=1), "training mode", "inference"),
    (case("BatchNormalization", [X, w(3), w(2), w(2), w(2) ** 2], (1, 2), 14), "'c1' has shape (3,)", ""),
    (case("BatchNormalization", [X, w(2), w(2), w(2), -np.ones(2)], (1, 2), 14), "variance 'c4' plus epsilon", ""),
    (case("Dropout", [X, np.array(0.5), np.array(True)], (1, 2), 13), "training mode", "inference"),
    (case("Cast", [X], (2,), to=TensorProto.INT64), "to INT64 rounds", "floating point"),
    (case("Clip", [X, Z], (1,)), "'z') is computed", "Clip needs a constant"),
    (case("Clip", [X, w(2)], (2,)), "must be one number", ""),
    (case("Clip", [X, np.array(np.inf)], (2,)), "leave no finite number", ""),
    (case("Max", [X, np.array(np.inf)], (2,)), "'c1' holds NaN or infinite", ""),
    (case("PRelu", [X, Z], (2,)), "'z') is computed", ""),
    (case("PRelu", [X, w(3, 2)], (2,)), "does not broadcast to (2,)", ""),
    (case("Gather", [X, i64([5])], (2, 3)), "not integers within axis 0", ""),
    (case("Gather", [w(4), X], (2,)), "constant but another input is computed", ""),
    (case("Transpose", [X], (2, 3), perm=[0, 0]), "no order of the axes", ""),
    (case("Squeeze", [X], (2, 3), 11, axes=[0]), "cannot squeeze", ""),
    (case("Unsqueeze", [X, i64([0, 0])], (2,)), "an axis is repeated", ""),
    (case("ReduceSum", [X, i64([2])], (2, 3)), "axis 2 is out of range for rank 2", ""),
    (case("ReduceSum", [X, w(1)], (2, 3)), "must be a list of integers", ""),
    (case("Slice", [X, i64([0]), i64([1]), i64([0]), i64([0])], (2,)), "do not fit", ""),
    (case("Concat", [X, w(3, 3)], (2, 2), axis=0), "cannot be concatenated along axis 0", ""),
    (case("Pad", [X, i64([1])], (2,)), "do not fit 1 axes", ""),
    (case("Pad", [X, i64([1, 1])], (2,), mode="up"), "unknown padding mode 'up'", "reflect"),
    (case("Pad", [X, i64([0, 1]), np.array(-np.inf)], (2,)), "initializer 'c2' holds NaN or infinite", ""),
    (case("Expand", [X, i64([2**40, 1])], (2,)), "too large", ""),
    (case("Tile", [X, i64([2**40])], (2,)), "too large", ""),
    (case("Relu", [], (2,)), "cannot be computed", ""),
    (case("LeakyRelu", [X], (2,), alpha=float("nan")), "'alpha' is not a number", ""),
]  # fmt: skip


@pytest.mark.parametrize(("subject", "message", "hint"), NODES, ids=[f"{row[0]}-{row[1]}" for row in NODES])
def test_node_error(subject: Case, message: str, hint: str):
    text = message_of(raw(subject))
    assert f"net.onnx: node 'subject' ({subject.operator}) -> 'y': " in text or "initializer" in text
    assert message in text
    assert hint in text


def test_uneven_split():
    nodes = [node("Split", ["x"], ["a", "b"], axis=0), node("Add", ["a", "b"], ["y"])]
    assert "cannot be split into 2 equal parts" in message_of(make_model(nodes, [5, 2], check=False))


@pytest.mark.parametrize("operator", ["Sigmoid", "Tanh", "Softmax", "Erf"])
def test_unsupported_operator_names_node_operator_and_what_is_supported(operator):
    nodes = [node(operator, ["x"], ["h"], name="act"), node("Relu", ["h"], ["y"])]
    text = message_of(make_model(nodes, [1, 3]))
    assert f"net.onnx: node 'act' ({operator}) -> 'h': operator {operator} is not supported" in text
    assert all(name in text for name in ("supported: Abs, Add", "Conv,", "MaxPool", "Relu"))
    assert "--drop-softmax" not in text


def test_the_command_line_prints_the_place_first():
    with pytest.raises(ModelError) as caught:
        import_onnx(make_model([node("Relu", ["x"], ["h"]), node("Tanh", ["h"], ["y"])], [1, 3]), source="net.onnx")
    line = caught.value.render()
    assert line.startswith("net.onnx: node 1 (Tanh) -> 'y': error: operator Tanh is not supported; supported: Abs,")
    assert "\n" not in line


def test_a_terminal_does_not_obey_a_model():
    nodes = [node("Tanh", ["x"], ["y"], name="a\x1b[2J\nb")]
    with pytest.raises(ModelError) as caught:
        import_onnx(make_model(nodes, [1, 3], check=False), source="net.onnx")
    assert caught.value.render().startswith("net.onnx: node 'a?[2J b' (Tanh) -> 'y': error: ")


def errors_of(model: onnx.ModelProto) -> list[str]:
    with pytest.raises(CombinedError) as caught:
        import_onnx(model, source="net.onnx")
    assert len(str(caught.value).splitlines()) == len(caught.value.errors)
    return caught.value.render().splitlines()


def test_all_unsupported_operators_of_a_chain_are_reported_at_once():
    """Those behind a failed one too, but not what only cannot be checked any more."""
    nodes = [
        node("Sigmoid", ["x"], ["a"], name="first"),
        node("Relu", ["a"], ["b"]),
        node("MatMul", ["b", "W"], ["c"]),
        node("Tanh", ["c"], ["d"]),
        node("Neg", ["d"], ["y"]),
    ]
    first, second = errors_of(make_model(nodes, [1, 3], {"W": w(5, 2)}, check=False))
    assert first == "net.onnx: node 'first' (Sigmoid) -> 'a': error: operator Sigmoid is not supported"
    assert second.startswith("net.onnx: node 3 (Tanh) -> 'd': error: operator Tanh is not supported; supported: Abs,")


def test_errors_of_independent_nodes_are_reported_in_the_order_of_the_graph():
    nodes = [
        node("MatMul", ["x", "W"], ["a"], name="product"),
        node("Elu", ["x"], ["b"]),
        node("Add", ["a", "b"], ["y"]),
    ]
    first, second = errors_of(make_model(nodes, [1, 3], {"W": w(5, 2)}, check=False))
    assert first.startswith("net.onnx: node 'product' (MatMul) -> 'a': error: factors of shapes (1, 3) and (5, 2) do")
    assert second.startswith("net.onnx: node 1 (Elu) -> 'b': error: operator Elu is not supported; supported: Abs,")


def test_constants_and_shapes_behind_a_failed_node_are_no_errors():
    nodes = [
        node("RandomNormal", [], ["r"], shape=[1, 3], name="r"),
        node("Exp", ["r"], ["e"]),
        node("Sigmoid", ["x"], ["a"], name="a"),
        node("Shape", ["a"], ["s"]),
        node("Sqrt", ["s"], ["q"]),
        node("Reshape", ["a", "q"], ["b"]),
        node("Add", ["b", "e"], ["y"]),
    ]
    errors = errors_of(make_model(nodes, [1, 3], check=False))
    assert [error.split(":")[1] for error in errors] == [
        " node 'r' (RandomNormal) -> 'r'",
        " node 'a' (Sigmoid) -> 'a'",
    ]


@pytest.mark.parametrize(("count", "more"), [(20, ""), (21, "and 1 more error"), (50, "and 30 more errors")])
def test_no_more_than_twenty_errors_are_shown(count, more):
    names = ["x", *(f"t{k}" for k in range(count - 1)), "y"]
    nodes = [node("Sigmoid", [before], [after]) for before, after in pairwise(names)]
    errors = errors_of(make_model(nodes, [1, 3]))
    assert [f"node {k} (Sigmoid)" in error for k, error in enumerate(errors[:20])] == [True] * 20
    assert errors[20:] == ([f"net.onnx: error: {more}"] if more else [])


def test_unsupported_domain():
    model = make_model([node("Relu", ["x"], ["y"], domain="com.example")], [1, 3], check=False)
    assert "operator Relu of domain 'com.example' is not supported" in message_of(model)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_trailing_softmax_hints_at_the_flag(operator):
    text = message_of(make_model([node(operator, ["x"], ["y"])], [1, 3]))
    assert f"operator {operator} is not supported" in text
    assert "--drop-softmax" in text


def test_random_and_branching_nodes_are_no_constants():
    nodes = [node("RandomNormal", [], ["r"], shape=[3]), node("Add", ["x", "r"], ["y"])]
    assert "operator RandomNormal is not supported" in message_of(make_model(nodes, [1, 3], dtype=np.float32))


def test_unsupported_second_output():
    nodes = [
        node("MaxPool", ["x"], ["p", "at"], kernel_shape=[2]),
        node("Cast", ["at"], ["d"], to=TensorProto.DOUBLE),
        node("Add", ["p", "d"], ["y"]),
    ]
    assert "reads 'at', an output of node 0 (MaxPool) that is not supported" in message_of(make_model(nodes, [1, 1, 4]))


def test_batch_normalization_with_batch_statistics_before_opset_14():
    outputs = ["y", "mean", "var", "saved_mean", "saved_var"]
    nodes = [node("BatchNormalization", ["x", "a", "a", "a", "a"], outputs)]
    assert "training mode" in message_of(make_model(nodes, [1, 2], {"a": np.ones(2)}, opset=9, check=False))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_name_the_initializer(bad):
    model = make_model([node("MatMul", ["x", "fc.weight"], ["y"])], [1, 2], {"fc.weight": np.array([[1.0], [bad]])})
    assert "initializer 'fc.weight' holds NaN or infinite numbers" in message_of(model)


def test_constants_that_overflow():
    model = make_model([node("Gemm", ["x", "W"], ["y"], alpha=1e30)], [1, 1], {"W": np.array([[1e300]])})
    assert "combine to NaN or infinite" in message_of(model)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (None, "has no shape"),
        (["N", "M"], "other than the batch is unknown"),
        (["N", 3, None], "other than the batch is unknown"),
        ([1, 0], "other than the batch is unknown"),
        (["N"], "other than the batch is unknown"),
        ([1, -3], "other than the batch is unknown"),
        ([2**20, 2**20], "too large"),
    ],
)
def test_input_shape(shape, message):
    assert message in message_of(make_model([node("Relu", ["x"], ["y"])], shape, check=False))


def test_inputs_and_outputs():
    info = helper.make_tensor_value_info
    model = make_model([node("Add", ["x", "x2"], ["y"])], [1, 2], check=False)
    model.graph.input.append(info("x2", TensorProto.DOUBLE, [1, 2]))
    assert "has 2 inputs ('x', 'x2')" in message_of(model)
    model = make_model([node("Relu", ["x"], ["y"])], [1, 2])
    model.graph.output.append(info("x", TensorProto.DOUBLE, [1, 2]))
    assert "has 2 outputs ('y', 'x')" in message_of(model)
    del model.graph.input[:]
    assert "has 0 inputs (none)" in message_of(model)
    model = make_model([node("Relu", ["x"], ["y"])], [1, 2], dtype=np.int32, check=False)
    assert "not a tensor of floating-point numbers" in message_of(model)


def test_broken_graphs():
    relu = node("Relu", ["x"], ["y"])
    text = message_of(make_model([node("Relu", ["q"], ["y"])], [1], check=False))
    assert text == "net.onnx: node 0 (Relu) -> 'y': reads 'q', which nothing makes"
    assert "'y' is made twice" in message_of(make_model([relu, relu], [1], check=False))
    assert "nothing makes the output 'z'" in message_of(make_model([relu], [1], output="z", check=False))
    assert "'x' is also made by a node" in message_of(
        make_model([node("Relu", ["x"], ["x"])], [1], output="x", check=False)
    )
    text = message_of(make_model([node("Relu", ["x"], ["h", "y"])], [1], check=False))
    assert text == "net.onnx: its output 'y' is an output of node 0 (Relu) that is not supported"


def test_order_and_cycles():
    swapped = [node("Relu", ["h"], ["y"]), node("Relu", ["x"], ["h"], name="first")]
    text = message_of(make_model(swapped, [1], check=False))
    assert "node 0 (Relu) -> 'y': reads 'h', which node 'first' (Relu) makes only behind it; the nodes" in text
    ring = [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Sigmoid", ["b"], ["y"])]
    first, second = errors_of(make_model(ring, [1], check=False))
    assert "node 0 (Add) -> 'a': error: reads 'b', which node 1 (Relu) makes only behind it; the nodes" in first
    assert "node 2 (Sigmoid) -> 'y': error: operator Sigmoid is not supported" in second
    text = message_of(make_model([node("Add", ["x", "y"], ["y"])], [1], check=False))
    assert text.endswith("node 0 (Add) -> 'y': reads its own output 'y'; a network has no cycle")


def product() -> onnx.ModelProto:
    return make_model([node("MatMul", ["x", "W"], ["y"])], [1, 3], {"W": w(3, 2)})


def test_broken_initializers():
    model = product()
    model.graph.initializer.append(model.graph.initializer[0])
    assert message_of(model) == "net.onnx: initializer 'W' is given twice"
    model = product()
    model.graph.initializer[0].dims[0] = -3
    assert message_of(model) == "net.onnx: initializer 'W' has the shape (-3, 2)"
    model = product()
    model.graph.initializer[0].data_type = 999
    assert message_of(model) == "net.onnx: initializer 'W' is broken: unknown element type 999"
    model = product()
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-3]
    assert message_of(model).startswith("net.onnx: initializer 'W' is broken: ")


def test_two_operator_sets():
    model = product()
    model.opset_import.append(helper.make_opsetid("", 9))
    assert message_of(model) == "net.onnx: uses operator sets 13 and 9 at once"


@pytest.mark.parametrize("batch", [None, "N", 0, -1, 1])
def test_the_batch_may_have_any_size(batch):
    assert import_onnx(make_model([node("Relu", ["x"], ["y"])], [batch, 3], check=False)).input_shape == (1, 3)


@pytest.mark.parametrize("opset", [1, 6])
def test_old_opset(opset):
    text = message_of(make_model([node("Relu", ["x"], ["y"])], [1, 2], opset=opset, check=False))
    assert f"operator set {opset}, older than 7" in text
    assert "version_converter" in text


def test_no_opset():
    model = make_model([node("Relu", ["x"], ["y"])], [1, 2])
    del model.opset_import[:]
    assert "does not say which operator set" in message_of(model)


def test_no_entries():
    nodes = [node("Slice", ["x", "at", "at"], ["y"])]
    assert "has the shape (0, 3) and no entries" in message_of(make_model(nodes, [2, 3], {"at": i64([1])}))


# --- files ---


def convolutional() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "W", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2], name="conv"),
        node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2]),
        node("Reshape", ["p", "shape"], ["f"]),
        node("Gemm", ["f", "V"], ["g"], transB=1, alpha=0.5),
        node("Clip", ["g", "", "b0"], ["y"]),
    ]
    constants = {"W": w(2, 1, 3, 3), "b": w(2), "shape": i64([1, -1]), "V": w(3, 2), "b0": np.array(1.0)}
    return make_model(nodes, ["N", 1, 4, 4], constants)


def file_message(path) -> str:
    with pytest.raises(ModelError) as caught:
        read_onnx(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def test_missing_file_and_folder(tmp_path):
    assert "No such file" in file_message(tmp_path / "none.onnx")
    assert "directory" in file_message(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no network"),
        (b"not a model at all", "not an ONNX model"),
        (gzip.compress(b"a model", mtime=0), "is compressed: unpack it with gunzip"),
        (b"PK\x03\x04" + bytes(100), "torch.onnx.export"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "'git lfs pull'"),
        (b"<!DOCTYPE html><html></html>", "not an ONNX model"),
    ],
)
def test_empty_and_foreign_files(tmp_path, content, message):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    assert message in file_message(path)


def test_missing_external_data(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save_model(convolutional(), path, save_as_external_data=True, location="net.data", size_threshold=0)
    with pytest.raises(ModelError, match="in external data that is not loaded"):
        import_onnx(onnx.load(path, load_external_data=False))
    (tmp_path / "net.data").write_bytes(b"short")
    assert "external data cannot be read" in file_message(path)
    (tmp_path / "net.data").unlink()
    text = file_message(path)
    assert "external data cannot be read: 'net.data' of initializer 'W' is missing; keep" in text
    assert "in its folder" in text


def imported_or_refused(content: bytes, path) -> bool:
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of onnx, over what is broken
        try:
            read_onnx(path)
        except ModelError:
            return False
    return True


def test_truncated_files_are_refused(tmp_path):
    content = convolutional().SerializeToString()
    path = tmp_path / "net.onnx"
    assert imported_or_refused(content, path)
    accepted = [cut for cut in range(len(content)) if imported_or_refused(content[:cut], path)]
    # The operator set stands last: what is accepted lacks nothing else.
    assert accepted == []


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_are_imported_or_refused(tmp_path, seed):
    content = np.frombuffer(convolutional().SerializeToString(), np.uint8)
    rng = np.random.default_rng(seed)
    for _ in range(250):
        broken = content.copy()
        at = rng.integers(len(content), size=rng.integers(1, 4))
        broken[at] = rng.integers(256, size=len(at))
        imported_or_refused(broken.tobytes(), tmp_path / "net.onnx")


def test_newer_opset_than_installed_is_read():
    model = make_model([node("Relu", ["x"], ["y"])], [1, 2])
    model.opset_import[0].version = NEWEST + 5
    assert import_onnx(model).output_shape == (1, 2)
