"""Where onnx's reference evaluator departs from the specification, against formulas written out here."""

import numpy as np
import pytest
from onnx_models import Case, X, case, points, weights

from lipc.frontends.onnx import import_onnx
from lipc.ir import Input, evaluate

w = weights


def outputs(subject: Case, at: np.ndarray) -> np.ndarray:
    network = import_onnx(subject.model())
    values = evaluate(network.program, {next(network.program.find(Input)): at.reshape(1, -1)})
    return values[network.program.result].reshape(network.output_shape)


def input_of(subject: Case) -> np.ndarray:
    return points(subject.shape, 1).reshape(subject.shape)


def transposed_convolution(x, kernel, begin, size, strides, dilations=(1, 1), group=1):
    """Scatter every input entry times the kernel, entry by entry, into an output of the given size."""
    channels, maps = kernel.shape[:2]
    y = np.zeros((len(x), maps * group, *size))
    for n, c, i, j in np.ndindex(x.shape):
        for m, k, h in np.ndindex(kernel.shape[1:]):
            row = i * strides[0] + k * dilations[0] - begin[0]
            column = j * strides[1] + h * dilations[1] - begin[1]
            if 0 <= row < size[0] and 0 <= column < size[1]:
                y[n, c // (channels // group) * maps + m, row, column] += x[n, c, i, j] * kernel[c, m, k, h]
    return y


@pytest.mark.parametrize(
    ("attributes", "begin", "size"),
    [
        # Grouped: the reference evaluator writes one map per group and slices the weights wrongly.
        ({"group": 2, "strides": [2, 2]}, (0, 0), (7, 7)),
        ({"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 2], "output_padding": [1, 0]}, (1, 0), (6, 3)),
        ({"group": 2, "dilations": [2, 1]}, (0, 0), (7, 5)),
        # output_shape: the reference evaluator leaves the pads at 0.
        ({"strides": [2, 2], "output_shape": [6, 6]}, (1, 1), (6, 6)),
        ({"strides": [2, 2], "output_shape": [6, 6], "auto_pad": "SAME_UPPER"}, (0, 0), (6, 6)),
        ({"strides": [2, 2], "output_shape": [6, 5], "output_padding": [1, 1]}, (1, 2), (6, 5)),
        # A kernel smaller than the stride: zeros stand behind the output, there are no negative pads.
        ({"strides": [4, 4], "auto_pad": "SAME_UPPER"}, (0, 0), (12, 12)),
    ],
)
def test_conv_transpose(attributes, begin, size):
    kernel = w(4, 3, 3, 3)
    subject = case("ConvTranspose", [X, kernel], (2, 4, 3, 3), 11, **attributes)
    x = input_of(subject)
    strides = attributes.get("strides", [1, 1])
    expected = transposed_convolution(
        x, kernel, begin, size, strides, attributes.get("dilations", (1, 1)), attributes.get("group", 1)
    )
    np.testing.assert_allclose(outputs(subject, x), expected, atol=1e-12)


def test_max_pool_with_padding_on_the_left_and_strides():
    """The reference evaluator forgets the strides of a MaxPool with auto_pad."""
    subject = case("MaxPool", [X], (1, 1, 5), 11, kernel_shape=[4], auto_pad="SAME_LOWER", strides=[2])
    x = input_of(subject)
    padded = np.pad(x, ((0, 0), (0, 0), (2, 1)), constant_values=-np.inf)
    expected = [padded[0, 0, start : start + 4].max() for start in (0, 2, 4)]
    np.testing.assert_allclose(outputs(subject, x).reshape(-1), expected)


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 2, 2, 3, 2)])
def test_global_max_pool_in_one_and_three_dimensions(shape):
    """The reference evaluator is right in two dimensions only."""
    subject = case("GlobalMaxPool", [X], shape)
    x = input_of(subject)
    np.testing.assert_allclose(outputs(subject, x), x.max(axis=tuple(range(2, x.ndim)), keepdims=True))


def test_max_pool_counts_no_window_that_starts_in_the_padding_behind():
    subject = case("MaxPool", [X], (1, 1, 4), 12, kernel_shape=[1], strides=[2], pads=[0, 0], ceil_mode=1)
    x = input_of(subject)
    np.testing.assert_allclose(outputs(subject, x).reshape(-1), x.reshape(-1)[[0, 2]])


def test_batch_normalization_per_activation():
    """Opset 7 with spatial=0: the reference evaluator ignores the attribute."""
    scale, bias, mean, variance = w(3, 4), w(3, 4, seed=2), w(3, 4, seed=3), w(3, 4, seed=4) ** 2
    subject = case("BatchNormalization", [X, scale, bias, mean, variance], (2, 3, 4), 7, spatial=0, epsilon=0.5)
    x = input_of(subject)
    expected = scale * (x - mean) / np.sqrt(variance + 0.5) + bias
    np.testing.assert_allclose(outputs(subject, x), expected, atol=1e-12)


def test_negative_pads_cut_off():
    """The reference evaluator refuses them."""
    subject = case("Pad", [X, np.int64([0, -1, 1, 2]), np.array(0.5)], (2, 4))
    x = input_of(subject)
    expected = np.pad(x[:, 1:], ((0, 1), (0, 2)), constant_values=0.5)
    np.testing.assert_allclose(outputs(subject, x), expected)


def test_slice_backwards_from_before_the_first_entry():
    """The specification clamps a start to the first entry; Python, and the reference evaluator, give nothing."""
    subject = case("Slice", [X, *(np.int64([at]) for at in (-100, -(2**63), 0, -1))], (4,))
    x = input_of(subject)
    np.testing.assert_allclose(outputs(subject, x), x[:1])
