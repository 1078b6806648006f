#!/usr/bin/env python3
"""Train ResNet-20 on CIFAR-10 for encrypted evaluation and export it to ONNX."""

import torch
import torch.nn.functional as F
from torch import nn

import training
from training import Activation


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: the identity, or a 1x1 convolution with stride."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        self.relu1, self.relu2 = Activation(F.relu), Activation(F.relu)

    def forward(self, x):
        y = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet20(nn.Module):
    """Input N x 3 x 32 x 32 with pixels in [0, 1]; output N x 10 logits."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), Activation(F.relu)
        sizes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nn.Sequential(*(Block(*size) for size in sizes))
        self.mean, self.flatten, self.fc = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")

    def forward(self, x):
        x = self.blocks(self.relu(self.bn(self.conv(x))))
        return self.fc(self.flatten(self.mean(x)))


def main():
    data = "the CIFAR-10 binary files"
    p = training.arguments(__doc__, "resnet20_cifar10.onnx", data, epochs=60, lr=0.3, batch=256, weight_decay=5e-4)
    p.set_defaults(exact_epochs=30, steadiness=1.0, low_noise=-9.5, high_noise=-7.5)
    p.set_defaults(settle_images=20_000, repeats=1, noise_images=2_000)
    options = p.parse_args()
    training.prepare(options)
    images, labels = training.cifar10(options.data, "train")
    test = training.cifar10(options.data, "test")
    model = ResNet20()
    optimizer = torch.optim.SGD(
        model.parameters(), options.lr, momentum=0.9, nesterov=True, weight_decay=options.weight_decay
    )
    model = training.train(model, images, labels, training.crop_flip, optimizer, options.lr, options)
    training.finish(model, options, images, *test)


if __name__ == "__main__":
    main()
