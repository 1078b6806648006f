"""The CNN of the Keras example `cifar10_cnn.py`, for images of any size, with a choice of what stands
between the two dense layers of its classifier.

`square2x` and `none` are for classifiers that are evaluated by sums and products alone: x^2 + 2x, as
in Gomez et al., *Security for Distributed Machine Learning based Software*, section 5.3, and nothing.
The feature extractor is the same in all three.
"""

import torch
import torch.nn.functional as F
from torch import nn

from training import Activation, MaxPool


class Square2x(nn.Module):
    """x^2 + 2x."""

    def forward(self, x):
        return x * x + 2 * x


HIDDEN = {"relu": lambda: Activation(F.relu), "square2x": Square2x, "none": nn.Identity}
# of the standard deviation that suits ReLU: a square that starts small does not run away
SPREAD = {"relu": 1.0, "square2x": 0.2, "none": 0.7}


class KerasCnn(nn.Module):
    """Input N x C x H x W with pixels in [0, 1]; output N x 10 logits."""

    def __init__(self, channels, side, dropout, activation):
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(channels, 32, 3, padding=1), Activation(F.relu)
        self.conv2, self.pool2 = nn.Conv2d(32, 32, 3), MaxPool(F.relu)
        self.conv3, self.relu3 = nn.Conv2d(32, 64, 3, padding=1), Activation(F.relu)
        self.conv4, self.pool4 = nn.Conv2d(64, 64, 3), MaxPool(F.relu)
        self.flatten, self.dropout = nn.Flatten(), nn.Dropout(dropout)
        features = 64 * (((side - 2) // 2 - 2) // 2) ** 2
        self.fc1, self.relu5, self.fc2 = nn.Linear(features, 512), HIDDEN[activation](), nn.Linear(512, 10)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4, self.fc1):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.fc1.weight *= SPREAD[activation]

    def forward(self, x):
        x = self.pool2(self.conv2(self.relu1(self.conv1(x))))
        x = self.pool4(self.conv4(self.relu3(self.conv3(x))))
        x = self.relu5(self.fc1(self.flatten(x)))
        return self.fc2(self.dropout(x) if self.training else x)

    def chain(self):
        """For each table: the layer before it, its reads, and the layer behind."""

        def reads(pool):
            return [pool.across, pool.down, pool.read]

        chain = [
            (self.conv1, [self.relu1.read], self.conv2),
            (self.conv2, reads(self.pool2), self.conv3),
            (self.conv3, [self.relu3.read], self.conv4),
            (self.conv4, reads(self.pool4), self.fc1),
        ]
        if isinstance(self.relu5, Activation):
            chain.append((self.fc1, [self.relu5.read], self.fc2))
        return chain


def add_options(p, dropout):
    """What of this model the command line chooses."""
    p.add_argument("--activation", choices=HIDDEN, default="relu", help="between the dense layers")
    p.add_argument("--dropout", type=float, default=dropout, help="of the 512 hidden units, during training")


def file_name(model, activation):
    """`model.onnx`, or `model_square2x.onnx` and so on."""
    return f"{model}.onnx" if activation == "relu" else f"{model}_{activation}.onnx"
