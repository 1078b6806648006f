#!/usr/bin/env python3
"""Train LeNet5 with polynomial activations and mean-pooling on MNIST and export it to ONNX.

Evaluated in CKKS alone: an activation is x^2 or x^2 + 2x, a pooling is the mean of its window,
and neither needs a comparison. Two things differ from a network with ReLU. A polynomial grows
faster than its argument, so each activation has a batch-norm before it (those of the dense
layers are folded into them before the export). The noise of CKKS is relative to the largest
value it must hold, so what an activation is given beyond +-`--bound` costs.
"""

import argparse
import copy
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from train_lenet5 import PARAMETERS, VALIDATION, LeNet5, augment, blend, export, fold, load, plain_logits

ACTIVATIONS = {"square": lambda x: x * x, "square2x": lambda x: x * x + 2 * x}


class PolynomialLeNet5(LeNet5):
    """Input N x 1 x 32 x 32 with pixels in [0, 1]; output N x 10 logits."""

    def __init__(self, activation):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.pool = nn.AvgPool2d(2)
        self.bn3, self.bn4 = nn.BatchNorm1d(120), nn.BatchNorm1d(84)

    def activate(self, name, x, seen):
        if seen is not None:
            seen[name] = x
        return self.activation(x)

    def forward(self, x, seen=None):
        """The logits; `seen`, a dictionary, is given the input of each activation."""
        x = self.pool(self.activate("conv1", self.bn1(self.conv1(x)), seen))
        x = self.pool(self.activate("conv2", self.bn2(self.conv2(x)), seen))
        x = self.activate("fc1", self.bn3(self.fc1(self.flatten(x))), seen)
        x = self.activate("fc2", self.bn4(self.fc2(x)), seen)
        return self.fc3(x)


def partly_augment(x):
    """Augments about half of the images. The others stay as they are: interpolation blurs, and a
    polynomial network that never saw a sharp image gives one values out of all proportion."""
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, augment(x), x)


def excess(seen, bound):
    """Per activation the mean square of what its input has beyond +-bound, summed."""
    return sum(F.relu(x.abs() - bound).square().mean() for x in seen.values())


def train(model, images, labels, options):
    """One learning-rate cycle; returns the averaged model. Batch-norm follows the batches for the
    first epochs and is constant from there: a batch's own statistics would hide from the training
    the rare large values that a polynomial makes larger still."""
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    steps = len(images) // options.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.lr, total_steps=steps * options.epochs, pct_start=0.15
    )
    for epoch in range(options.epochs):
        start, total = time.time(), 0.0
        if epoch == options.batch_norm_epochs:
            settle(model, images)
            average.load_state_dict(model.state_dict())
        for batch in torch.randperm(len(images))[: steps * options.batch].split(options.batch):
            seen = {}
            logits = model(partly_augment(images[batch]), seen)
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=options.smoothing)
            loss = loss + options.bound_weight * excess(seen, options.bound)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            optimizer.step()
            schedule.step()
            total += loss.item()
            blend(average, model, 0.99 if epoch < options.epochs // 2 else 0.998)
        print(f"epoch {epoch + 1}: loss {total / steps:.4f}, {time.time() - start:.1f} s", flush=True)
    return average.eval()


@torch.no_grad()
def settle(model, images):
    """Estimate the batch-norm statistics over the images. From here on they are constants."""
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    for bn in norms:
        bn.reset_running_stats()
        bn.momentum = None
    model.train()
    for batch in images.split(1000):
        model(partly_augment(batch))
    model.eval()


@torch.no_grad()
def fold_dense(model):
    """Fold the batch-norms of the dense layers into them: what is left is the graph of LeNet5."""
    for dense, norm in (("fc1", "bn3"), ("fc2", "bn4")):
        factor, shift = fold(getattr(model, norm))
        layer = getattr(model, dense)
        layer.weight.mul_(factor.unsqueeze(1))
        layer.bias.mul_(factor).add_(shift)
        setattr(model, norm, nn.Identity())
    return model


@torch.no_grad()
def ranges(model, images):
    """Per activation: (low, high, standard deviation) of its input over `images`."""
    found = {}
    for batch in images.split(500):
        seen = {}
        seen["logits"] = model(batch, seen)
        for name, x in seen.items():
            x = x.double()
            low, high, s, s2, n = found.get(name, (math.inf, -math.inf, 0.0, 0.0, 0))
            found[name] = (
                min(low, x.min().item()), max(high, x.max().item()),
                s + x.sum().item(), s2 + x.square().sum().item(), n + x.numel(),
            )
    return {k: (lo, hi, math.sqrt(s2 / n - (s / n) ** 2)) for k, (lo, hi, s, s2, n) in found.items()}


def report(model, training_images, images, labels):
    plain = plain_logits(model, images)
    print(f"\nplain accuracy: {100 * (plain.argmax(1) == labels).double().mean().item():.2f} %")
    top = plain.topk(2, 1).values
    margin = (top[:, 0] - top[:, 1]).sort().values
    print("margin of image number 5, 10, 20, 50, 100 from below:",
          " ".join(f"{margin[i - 1].item():.3f}" for i in (5, 10, 20, 50, 100)))
    test = ranges(model, images)
    print("\n| input of | training min | training max | standard deviation | test min | test max |")
    print("|---|---|---|---|---|---|")
    for name, (low, high, sd) in ranges(model, training_images).items():
        print(f"| {name} | {low:.3f} | {high:.3f} | {sd:.3f} | {test[name][0]:.3f} | {test[name][1]:.3f} |")


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, required=True, help="folder with the four MNIST IDX files, gzipped or not")
    p.add_argument("--activation", choices=ACTIVATIONS, required=True, help="x^2 or x^2 + 2x")
    p.add_argument("--out", type=Path, help="default: lenet5_ACTIVATION.onnx beside this script")
    p.add_argument("--epochs", type=int, default=12)
    p.add_argument("--batch", type=int, default=100)
    p.add_argument("--lr", type=float, default=4e-3)
    p.add_argument("--weight-decay", type=float, default=0.02)
    p.add_argument("--smoothing", type=float, default=0.05, help="of the labels: keeps the logits small")
    p.add_argument("--bound", type=float, default=3.0, help="inputs of activations beyond it, either way, cost")
    p.add_argument("--bound-weight", type=float, default=1.0, help="of that cost in the loss")
    p.add_argument("--clip", type=float, default=1.0, help="the norm of the gradient at most")
    p.add_argument("--batch-norm-epochs", type=int, default=3, metavar="EPOCHS", help="after these the statistics are constants")
    p.add_argument("--validate", action="store_true", help="hold out and report on the last 5,000 training images")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    options = p.parse_args()
    if not 0 < options.batch_norm_epochs < options.epochs:
        p.error("--batch-norm-epochs must be at least 1 and below --epochs")
    options.out = options.out or Path(__file__).with_name(f"lenet5_{options.activation}.onnx")
    return options


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    images, labels = load(options.data, "train")
    if options.validate:
        held = images[-VALIDATION:], labels[-VALIDATION:]
        images, labels = images[:-VALIDATION], labels[:-VALIDATION]
    else:
        held = load(options.data, "t10k")
    torch.manual_seed(options.seed)
    model = fold_dense(train(PolynomialLeNet5(options.activation), images, labels, options))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS
    export(model, options.out)
    report(model, images, *held)


if __name__ == "__main__":
    main()
