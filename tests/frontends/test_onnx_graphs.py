"""Whole graphs: chains that compute shapes, several outputs, old files, types, what is left out."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import NEWEST, TOLERANCE, check_import, make_model, weights

from lipc.frontends.onnx import difference, import_onnx, read_onnx
from lipc.ir import Affine, Conditional, Input, entries

w = weights
node = helper.make_node


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_computed_shape_is_folded():
    """What an exporter writes for x.view(x.shape[0], -1)."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array(0))),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Unsqueeze", ["batch"], ["batch1"], axes=[0]),
        node("Concat", ["batch1", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["y"]),
    ]
    network = check_import(make_model(nodes, ["batch", 2, 3], {"rest": ints(-1)}, opset=9))
    assert network.output_shape == (1, 6)
    assert len(network.program.ops) == 1


def test_size_and_slice_of_a_shape():
    nodes = [
        node("Shape", ["x"], ["shape"], start=1, end=-1),
        node("Size", ["x"], ["size"]),
        node("Div", ["size", "shape"], ["rest"]),
        node("Concat", ["shape", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["y"]),
    ]
    assert check_import(make_model(nodes, [2, 3, 4], opset=15)).output_shape == (3, 8)


def test_constant_subgraph_is_folded():
    """Nodes on constants may be any operator, supported or not."""
    nodes = [
        node("ConstantOfShape", ["shape"], ["ones"], value=numpy_helper.from_array(np.array([1.0]))),
        node("Sigmoid", ["ones"], ["s"]),
        node("Transpose", ["W"], ["Wt"]),
        node("MatMul", ["Wt", "s"], ["bias"]),
        node("Add", ["x", "bias"], ["y"]),
    ]
    network = check_import(make_model(nodes, [1, 3], {"shape": ints(4), "W": w(4, 3)}))
    assert len(network.program.ops) == 2


def test_expand_and_constant_of_shape_of_a_computed_shape():
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["zeros"]),
        node("Cast", ["zeros"], ["zeros64"], to=TensorProto.DOUBLE),
        node("Max", ["x", "zeros64"], ["y"]),
    ]
    check_import(make_model(nodes, [2, 3]))


@pytest.mark.parametrize(
    ("opset", "sizes", "attributes", "outputs"),
    [
        (7, None, {"axis": 1}, 3),
        (11, None, {"split": [1, 5], "axis": -1}, 2),
        (13, ints(2, 4), {"axis": 1}, 2),
        (13, None, {"axis": 0}, 2),
        (18, None, {"num_outputs": 4, "axis": 1}, 4),
        (NEWEST, ints(6, 0), {"axis": 1}, 2),
    ],
)
def test_split(opset, sizes, attributes, outputs):
    parts = [f"part{k}" for k in range(outputs)]
    nodes = [
        node("Split", ["x"] if sizes is None else ["x", "sizes"], parts, **attributes),
        node("Concat", parts[::-1], ["y"], axis=attributes["axis"]),
    ]
    check_import(make_model(nodes, [2, 6], {} if sizes is None else {"sizes": sizes}, opset=opset))


def test_unused_outputs_and_branches_do_no_harm():
    nodes = [
        node("Dropout", ["x"], ["kept", "mask"]),
        node("MaxPool", ["kept"], ["y", "indices"], kernel_shape=[2]),
        node("Sigmoid", ["x"], ["unused"]),
    ]
    assert len(check_import(make_model(nodes, [1, 1, 4], opset=12)).program.ops) == 6


def residual(opset: int, dtype: type) -> onnx.ModelProto:
    """A small residual network with batch normalization, two branches, and all the usual layers."""
    nodes = [
        node("Conv", ["x", "W1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "scale", "b1", "mean", "var"], ["n1"]),
        node("Relu", ["n1"], ["r1"]),
        node("Conv", ["r1", "W2"], ["c2"], pads=[1, 1, 1, 1]),
        node("Add", ["c2", "r1"], ["sum"]),
        node("Relu", ["sum"], ["r2"], name="last"),
        node("AveragePool", ["r2"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "W3", "b3"], ["y"], transB=1),
    ]
    arrays = {"W1": w(4, 2, 3, 3), "b1": w(4), "scale": w(4), "mean": w(4), "var": w(4) ** 2, "W2": w(4, 4, 3, 3)}
    arrays.update({"W3": w(3, 16), "b3": w(3)})
    constants = {name: (array / 4).astype(dtype) for name, array in arrays.items()}
    return make_model(nodes, ["N", 2, 4, 4], constants, opset=opset, dtype=dtype)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 15, NEWEST])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_residual_network(opset, dtype):
    network = check_import(residual(opset, dtype), TOLERANCE[dtype])
    assert (network.input_shape, network.output_shape) == ((1, 2, 4, 4), (1, 3))
    assert (network.input_name, network.output_name) == ("x", "y")


def test_origins_name_the_node():
    program = import_onnx(residual(13, np.float32), source="net.onnx").program
    sources = [program.ops[value].origin.source for value in program.find(Conditional)]
    assert sources == ["net.onnx: node 2 (Relu) -> 'r1'", "net.onnx: node 'last' (Relu) -> 'r2'"]
    assert program.ops[0].origin.source == "net.onnx: input 'x'"


def test_program_has_one_free_input_and_no_question():
    program = import_onnx(residual(13, np.float32)).program
    (value,) = program.find(Input)
    assert program.objective is None
    assert np.isinf(program.ops[value].domain.lower).all()


def test_convolution_has_no_entry_for_the_padding():
    """A 3x3 kernel on 4x4 with pads of 1 reads 100 entries within the image, not 144."""
    model = make_model([node("Conv", ["x", "W"], ["y"], pads=[1] * 4)], [1, 1, 4, 4], {"W": np.ones((1, 1, 3, 3))})
    program = import_onnx(model).program
    (value,) = program.find(Affine)
    assert entries(program.ops[value].terms[0].matrix) == 100


def test_weights_are_exact():
    array = np.array([[0.1, 1 / 3]], np.float32).T
    program = import_onnx(
        make_model([node("MatMul", ["x", "W"], ["y"])], [1, 2], {"W": array}, dtype=np.float32)
    ).program
    matrix = program.ops[program.result].terms[0].matrix
    assert isinstance(matrix, np.ndarray)
    assert (matrix == array.T.astype(np.float64)).all()


@pytest.mark.parametrize(("first", "shape"), [("N", (1, 3)), (0, (1, 3)), (None, (1, 3)), (2, (2, 3))])
def test_batch_dimension(first, shape):
    model = make_model([node("Relu", ["x"], ["y"])], [first, 3])
    assert check_import(model).output_shape == shape


def test_initializers_among_the_inputs_are_not_inputs():
    model = residual(7, np.float32)
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    check_import(model, 1e-5)


def test_constant_output():
    nodes = [node("Shape", ["x"], ["shape"]), node("Cast", ["shape"], ["y"], to=TensorProto.DOUBLE)]
    network = check_import(make_model(nodes, [1, 5]))
    assert network.output_shape == (2,)


def test_sparse_initializer():
    model = make_model([node("MatMul", ["x", "W"], ["y"])], [1, 3], {"W": np.diag([1.0, 0.0, 2.0])})
    dense = model.graph.initializer.pop()
    values = numpy_helper.from_array(np.array([1.0, 2.0]), dense.name)
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(ints(0, 8)), [3, 3])
    network_of_dense = import_onnx(make_model([node("MatMul", ["x", "W"], ["y"])], [1, 3], {"W": np.diag([1.0, 0, 2])}))
    model.graph.sparse_initializer.append(sparse)
    matrices = [n.program.ops[1].terms[0].matrix for n in (import_onnx(model), network_of_dense)]
    assert (matrices[0] == matrices[1]).all()


def test_functions_of_the_model_are_inlined():
    double = helper.make_function(
        "own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 13)]
    )
    model = make_model([node("Twice", ["x"], ["y"], domain="own")], [1, 3], check=False)
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.append(double)
    assert len(check_import(model).program.ops) == 2


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("behind", [[], [node("Flatten", ["s"], ["y"])]])
def test_trailing_softmax_can_be_left_out(operator, behind):
    nodes = [node("MatMul", ["x", "W"], ["logits"]), node(operator, ["logits"], ["s" if behind else "y"]), *behind]
    model = make_model(nodes, [1, 4], {"W": w(4, 3)})
    network = check_import(model, drop_softmax=True)
    assert network.output_name == "logits"


def test_softmax_flag_without_softmax_changes_nothing():
    model = residual(13, np.float32)
    assert import_onnx(model, drop_softmax=True).output_name == "y"


def test_external_data(tmp_path):
    model = residual(13, np.float32)
    path = tmp_path / "net.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    assert difference(residual(13, np.float32), read_onnx(path), np.ones((1, 32))) <= 1e-5


def test_importing_the_package_does_not_import_onnx(run_python):
    assert run_python("import lipc.frontends, sys; print('onnx' in sys.modules)") == "False"
