#!/usr/bin/env python3
"""Train one of the smaller MNIST models for encrypted evaluation and export it to ONNX."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import keras_cnn
import training
from training import Activation, MaxPool


class Mlp(nn.Sequential):
    """Input N x 1 x 28 x 28."""

    def __init__(self):
        super().__init__(
            nn.Flatten(),
            nn.Linear(784, 128), Activation(F.relu),
            nn.Linear(128, 64), Activation(F.relu),
            nn.Linear(64, 10),
        )  # fmt: skip


class LeakyLeNet5(nn.Sequential):
    """LeNet5 with leaky ReLU and mean-pooling. Input N x 1 x 32 x 32."""

    def __init__(self):
        def leaky():
            return Activation(nn.LeakyReLU(0.1))

        super().__init__(
            nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), leaky(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), leaky(), nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120), leaky(),
            nn.Linear(120, 84), leaky(),
            nn.Linear(84, 10),
        )  # fmt: skip


class UnpaddedLeNet5(nn.Sequential):
    """LeNet5 without batch-norm on unpadded images. Input N x 1 x 28 x 28."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5), MaxPool(F.relu),
            nn.Conv2d(6, 16, 5), MaxPool(F.relu),
            nn.Flatten(),
            nn.Linear(256, 120), Activation(F.relu),
            nn.Linear(120, 84), Activation(F.relu),
            nn.Linear(84, 10),
        )  # fmt: skip


class PaddedConv(torch.autograd.Function):
    """A convolution with its own padding on each side, for the export: one ONNX Conv."""

    @staticmethod
    def forward(ctx, x, weight, strides, pads):
        return pad_and_convolve(x, weight, strides, pads)

    @staticmethod
    def symbolic(g, x, weight, strides, pads):
        return g.op("Conv", x, weight, kernel_shape_i=weight.type().sizes()[2:], strides_i=strides, pads_i=pads)


def pad_and_convolve(x, weight, strides, pads):
    top, left, bottom, right = pads
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, None, strides)


class AsymmetricConv2d(nn.Module):
    """A convolution without bias; `pads` as in ONNX: top, left, bottom, right."""

    def __init__(self, inputs, outputs, kernel, strides, pads):
        super().__init__()
        self.weight = nn.Conv2d(inputs, outputs, kernel, bias=False).weight
        self.strides, self.pads = strides, pads

    def forward(self, x):
        convolve = PaddedConv.apply if torch.onnx.is_in_onnx_export() else pad_and_convolve
        return convolve(x, self.weight, self.strides, self.pads)


class MatMulAdd(nn.Module):
    """A dense layer that is exported as MatMul and Add."""

    def __init__(self, inputs, outputs):
        super().__init__()
        dense = nn.Linear(inputs, outputs)
        self.weight, self.bias = nn.Parameter(dense.weight.detach().t().contiguous()), dense.bias

    def forward(self, x):
        return x @ self.weight + self.bias


class Odd1(nn.Sequential):
    """Strided convolution with asymmetric padding and no bias, then a dilated one. Input N x 1 x 28 x 28."""

    def __init__(self):
        super().__init__(
            AsymmetricConv2d(1, 5, 3, [2, 2], [0, 1, 1, 0]), Activation(nn.LeakyReLU(0.2)),
            nn.Conv2d(5, 7, (3, 2), dilation=2), Activation(F.relu),
            nn.Flatten(),
            nn.Linear(7 * 10 * 12, 10),
        )  # fmt: skip


class Odd2(nn.Sequential):
    """Elu, mean-pool, a depthwise and a pointwise convolution, tanh, overlapping max-pool, sigmoid,
    dense layers as MatMul and Add. Input N x 1 x 28 x 28."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, (5, 3), padding=(2, 1)), Activation(F.elu), nn.AvgPool2d(2),
            nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 9, 1),
            Activation(torch.tanh), nn.MaxPool2d(3, 2),
            nn.Flatten(),
            MatMulAdd(9 * 6 * 6, 40), Activation(torch.sigmoid),
            MatMulAdd(40, 10),
        )  # fmt: skip


def clip(x):
    return F.hardtanh(x, 0.0, 6.0)


class Residual(nn.Module):
    """x plus a convolution of it, clipped to [0, 6]."""

    def __init__(self, channels):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        self.clip = Activation(clip)

    def forward(self, x):
        return self.clip(x + self.bn(self.conv(x)))


class Odd3(nn.Sequential):
    """Residual sums, PRelu with a slope per channel, clipped ReLU, mean over the image, and a final
    softmax in the export. Input N x 1 x 28 x 28."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 8, 3, 2, padding=1), Activation(nn.PReLU(8)), Residual(8),
            nn.Conv2d(8, 16, 3, 2, padding=1), Activation(nn.PReLU(16)), Residual(16),
            nn.Conv2d(16, 24, 3), Activation(clip),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(24, 10),
        )  # fmt: skip


# Name of the file: the model, the zero padding of the image, what only the export has.
MODELS = {
    "mlp": (Mlp, 0, None),
    "lenet5_leaky": (LeakyLeNet5, 2, None),
    "lenet5_28": (UnpaddedLeNet5, 0, None),
    "odd1": (Odd1, 0, None),
    "odd2": (Odd2, 0, None),
    "odd3": (Odd3, 0, nn.Softmax(1)),
    "cnn": (keras_cnn.KerasCnn, 0, None),
}


def main():
    data = "the four MNIST IDX files, gzipped or not"
    p = training.arguments(__doc__, None, data, epochs=8, lr=3e-3, weight_decay=0.02)
    p.add_argument("--model", choices=MODELS, required=True)
    keras_cnn.add_options(p, dropout=0.3)
    p.set_defaults(low_noise=-8.0, high_noise=-5.5)
    options = p.parse_args()
    is_cnn = options.model == "cnn"
    if options.activation != "relu" and not is_cnn:
        raise SystemExit(f"--activation {options.activation} is for --model cnn")
    name = keras_cnn.file_name("mnist_cnn", options.activation) if is_cnn else f"{options.model}.onnx"
    options.out = options.out or Path(__file__).with_name(name)
    training.prepare(options)
    build, padding, last = MODELS[options.model]
    images, labels = training.mnist(options.data, "train", padding)
    test = training.mnist(options.data, "test", padding)
    model = build(1, 28, options.dropout, options.activation) if is_cnn else build()
    optimizer = torch.optim.AdamW(model.parameters(), options.lr, weight_decay=options.weight_decay)
    model = training.train(model, images, labels, training.partly_augment, optimizer, options.lr, options)
    training.finish(model, options, images, *test, last)


if __name__ == "__main__":
    main()
