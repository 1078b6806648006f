#!/usr/bin/env python3
"""Train the Keras example CNN on CIFAR-10 for encrypted evaluation and export it to ONNX."""

import torch
import torch.nn.functional as F
from torch import nn

import training
from training import Activation, MaxPool


class Cnn(nn.Module):
    """Input N x 3 x 32 x 32 with pixels in [0, 1]; output N x 10 logits."""

    def __init__(self, dropout):
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 32, 3, padding=1), Activation(F.relu)
        self.conv2, self.pool2 = nn.Conv2d(32, 32, 3), MaxPool(F.relu)
        self.conv3, self.relu3 = nn.Conv2d(32, 64, 3, padding=1), Activation(F.relu)
        self.conv4, self.pool4 = nn.Conv2d(64, 64, 3), MaxPool(F.relu)
        self.flatten, self.dropout = nn.Flatten(), nn.Dropout(dropout)
        self.fc1, self.relu5, self.fc2 = nn.Linear(2304, 512), Activation(F.relu), nn.Linear(512, 10)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4, self.fc1):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = self.pool2(self.conv2(self.relu1(self.conv1(x))))
        x = self.pool4(self.conv4(self.relu3(self.conv3(x))))
        x = self.relu5(self.fc1(self.flatten(x)))
        return self.fc2(self.dropout(x) if self.training else x)


def main():
    data = "the CIFAR-10 binary files"
    p = training.arguments(__doc__, "cifar10_cnn.onnx", data, epochs=7, lr=1.5e-3, weight_decay=0.02)
    p.add_argument("--dropout", type=float, default=0.3, help="of the 512 hidden units, during training")
    p.set_defaults(exact_epochs=3, repeats=1, noise_images=2_000)
    options = p.parse_args()
    training.prepare(options)
    images, labels = training.cifar10(options.data, "train")
    test = training.cifar10(options.data, "test")
    model = Cnn(options.dropout)
    optimizer = torch.optim.AdamW(model.parameters(), options.lr, weight_decay=options.weight_decay)
    model = training.train(model, images, labels, training.crop_flip, optimizer, options.lr, options)
    training.finish(model, options, images, *test)


if __name__ == "__main__":
    main()
