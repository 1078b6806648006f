#!/usr/bin/env python3
"""Train LeNet5 with batch-norm on MNIST for encrypted evaluation and export it to ONNX.

The encrypted evaluation pools first and applies ReLU after (the two commute, ReLU is
monotone). Every comparison is a table read at a noisy position:

    max(a, b) = (a + b + |a - b|) / 2      the table |.| spans [-Rd, Rd] on the whole torus
    ReLU(m)                                the table spans [min m, max m] on half the torus

Noise of standard deviation sigma (torus units) is therefore sigma * 2 * Rd in the units of
the difference, and sigma * 2 * (max m - min m) in those of the pre-activation. Training adds
this noise with gradients flowing through the ranges, which teaches the network large margins
and small ranges at once.
"""

import argparse
import copy
import gzip
import math
import struct
import time
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

PARAMETERS = 61_750
VALIDATION = 5_000
TABLE_LOG2_SIGMAS = [-10.0, -9.5, -9.0, -8.5, -8.0, -7.7, -7.5, -7.0, -6.5]


class LeNet5(nn.Module):
    """Input N x 1 x 32 x 32 with pixels in [0, 1]; output N x 10 logits."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16)
        self.pool = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        x = self.pool(F.relu(self.bn2(self.conv2(x))))
        x = F.relu(self.fc1(self.flatten(x)))
        return self.fc3(F.relu(self.fc2(x)))


# ---- data -----------------------------------------------------------------------------------


def read_idx(folder, name):
    """The uint8 array of an IDX file, plain or gzipped."""
    plain, packed = folder / name, folder / f"{name}.gz"
    if not plain.exists() and not packed.exists():
        raise SystemExit(f"no {name} or {name}.gz in {folder}: pass the folder with --data")
    data = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    zero, kind, dims = struct.unpack(">HBB", data[:4])
    if zero != 0 or kind != 8:
        raise SystemExit(f"{name} is not an IDX file of unsigned bytes")
    shape = struct.unpack(f">{dims}I", data[4 : 4 + 4 * dims])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)


def load(folder, split):
    """Images N x 1 x 32 x 32 in [0, 1] (zero-padded by 2) and labels."""
    images = torch.from_numpy(read_idx(folder, f"{split}-images-idx3-ubyte").copy())
    labels = torch.from_numpy(read_idx(folder, f"{split}-labels-idx1-ubyte").copy()).long()
    return F.pad(images.float().div(255).unsqueeze(1), (2, 2, 2, 2)), labels


def augment(x):
    """A random rotation, scale, shear and shift of each image."""

    def uniform(bound):
        return (torch.rand(len(x)) * 2 - 1) * bound

    angle, shear = uniform(math.radians(10)), uniform(0.15)
    sx, sy = 1 + uniform(0.1), 1 + uniform(0.1)
    cos, sin = torch.cos(angle), torch.sin(angle)
    dx, dy = uniform(2 / 16), uniform(2 / 16)
    rows = [sx * cos, sx * (shear * cos - sin), dx, sy * sin, sy * (shear * sin + cos), dy]
    theta = torch.stack(rows, 1).view(-1, 2, 3)
    return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False)


# ---- evaluation with noisy tables -----------------------------------------------------------


class NoisyMaximum(torch.autograd.Function):
    """(a + b + |d + e|) / 2 with d = a - b and e = noise * 2 max|d|, differentiated through
    max|d| too. One function because it is most of the training time when left to autograd."""

    @staticmethod
    def forward(ctx, a, b, noise):
        d = a - b
        widest = d.abs().argmax()
        peak = d.flatten()[widest]
        read = torch.addcmul(d, noise, 2 * peak.abs())
        ctx.save_for_backward(read.sgn(), noise, widest, peak)
        return read.abs_().add_(a).add_(b).div_(2)

    @staticmethod
    def backward(ctx, gradient):
        sign, noise, widest, peak = ctx.saved_tensors
        half = gradient / 2
        turned = half * sign
        ga, gb = half + turned, half - turned
        slope = 2 * peak.sgn() * torch.dot(turned.flatten(), noise.flatten())
        ga.view(-1)[widest] += slope
        gb.view(-1)[widest] -= slope
        return ga, gb, None


class Tables:
    """The tables of the encrypted evaluation: each read is noisy, each input is recorded.

    `sigma` is None (exact), a number, or one number per image. `ranges` holds calibrated widths
    by table name; without it the widths of the batch at hand are used, gradients included.
    """

    def __init__(self, sigma=None, ranges=None):
        self.sigma, self.ranges, self.seen = sigma, ranges, {}

    def noise(self, x):
        """In torus units."""
        sigma = self.sigma
        if torch.is_tensor(sigma):
            sigma = sigma.view(-1, *[1] * (x.dim() - 1))
        return torch.randn(x.shape).mul_(sigma)

    def maximum(self, name, a, b):
        if self.sigma is not None and self.ranges is None:
            return NoisyMaximum.apply(a, b, self.noise(a))
        d = a - b
        self.seen[name] = d
        if self.sigma is not None:
            # The whole torus spans [-Rd, Rd].
            low, high = self.ranges[name]
            d = d + self.noise(d) * (2 * max(-low, high))
        return (a + b + d.abs()) / 2

    def relu(self, name, m):
        self.seen[name] = m
        if self.sigma is None:
            return F.relu(m)
        # Half the torus spans [min, max].
        low, high = (m.amin(), m.amax()) if self.ranges is None else self.ranges[name]
        return F.relu(torch.addcmul(m, self.noise(m), torch.as_tensor(2 * (high - low))))


def pool_then_relu(layer, y, tables):
    a, b = y.unflatten(3, (-1, 2)).unbind(4)
    h = tables.maximum(f"{layer} horizontal", a, b)
    a, b = h.unflatten(2, (-1, 2)).unbind(3)
    return tables.relu(f"{layer} relu", tables.maximum(f"{layer} vertical", a, b))


def fold(bn):
    """Factor and shift per channel of batch-norm with its running statistics."""
    factor = bn.weight / (bn.running_var + bn.eps).sqrt()
    return factor, bn.bias - bn.running_mean * factor


def convolve(conv, bn, x):
    """Convolution and batch-norm; in evaluation mode folded into one convolution."""
    if bn.training:
        return bn(conv(x))
    factor, shift = fold(bn)
    return F.conv2d(x, conv.weight * factor.view(-1, 1, 1, 1), conv.bias * factor + shift)


def table_forward(model, x, tables):
    """The logits as the encrypted evaluation computes them."""
    x = pool_then_relu("conv1", convolve(model.conv1, model.bn1, x), tables)
    x = pool_then_relu("conv2", convolve(model.conv2, model.bn2, x), tables)
    x = tables.relu("fc1 relu", model.fc1(x.flatten(1)))
    return model.fc3(tables.relu("fc2 relu", model.fc2(x)))


@torch.no_grad()
def calibrate(model, images):
    """Per table: (low, high, standard deviation) of its input over `images`."""
    found = {}
    for batch in images.split(500):
        tables = Tables()
        table_forward(model, batch, tables)
        for name, x in tables.seen.items():
            x = x.double()
            old = found.get(name, (math.inf, -math.inf, 0.0, 0.0, 0))
            found[name] = (
                min(old[0], x.min().item()),
                max(old[1], x.max().item()),
                old[2] + x.sum().item(),
                old[3] + x.square().sum().item(),
                old[4] + x.numel(),
            )
    return {k: (lo, hi, math.sqrt(s2 / n - (s / n) ** 2)) for k, (lo, hi, s, s2, n) in found.items()}


@torch.no_grad()
def plain_logits(model, images):
    return torch.cat([model(batch) for batch in images.split(500)])


@torch.no_grad()
def noise_table(model, images, labels, calibration, repeats):
    """Rows (log2 sigma, accuracy, agreement, least agreement of a repeat), in percent."""
    plain = plain_logits(model, images).argmax(1)
    ranges = {name: (low, high) for name, (low, high, _) in calibration.items()}
    rows = []
    for log2_sigma in TABLE_LOG2_SIGMAS:
        accuracy, agreement = [], []
        for _ in range(repeats):
            noisy = torch.cat(
                [table_forward(model, b, Tables(2.0**log2_sigma, ranges)) for b in images.split(500)]
            ).argmax(1)
            accuracy.append(100 * (noisy == labels).double().mean().item())
            agreement.append(100 * (noisy == plain).double().mean().item())
        rows.append((log2_sigma, np.mean(accuracy), np.mean(agreement), min(agreement)))
    return rows


# ---- training -------------------------------------------------------------------------------


def centred(logits):
    """Without what all logits of an image share: it changes no prediction."""
    return logits - logits.mean(1, keepdim=True)


def loss_of(model, x, y, steadiness, options):
    """Cross-entropy of the noisy logits, and the variance that the noise causes in them: per
    image brought to sigma = 2^-6.5, relative to the square of its exact logits, both without what they share."""
    sigma = 2.0 ** (options.low_noise + torch.rand(len(x)) * (options.high_noise - options.low_noise))
    noisy = table_forward(model, x, Tables(sigma))
    loss = F.cross_entropy(noisy, y)
    if steadiness:
        exact = centred(model(x))
        moved = ((centred(noisy) - exact) * (2.0**-6.5 / sigma).unsqueeze(1)).square().sum(1)
        loss = loss + steadiness * (moved / exact.square().sum(1)).mean()
    return loss


def train(model, images, labels, epochs, lr, steadiness, options):
    """One learning-rate cycle; returns the averaged model. Batch-norm statistics that are not
    settled yet (a model in training mode) follow the batches for the first epochs."""
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=options.weight_decay)
    steps = len(images) // options.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, total_steps=steps * epochs, pct_start=0.15
    )
    for epoch in range(epochs):
        start, total = time.time(), 0.0
        if model.training and epoch == options.batch_norm_epochs:
            settle_batch_norm(model, images)
            average.load_state_dict(model.state_dict())
        for batch in torch.randperm(len(images))[: steps * options.batch].split(options.batch):
            loss = loss_of(model, augment(images[batch]), labels[batch], steadiness, options)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
            blend(average, model, 0.99 if epoch < epochs // 2 else 0.999)
        print(f"epoch {epoch + 1}: loss {total / steps:.4f}, {time.time() - start:.1f} s", flush=True)
    return average.eval()


@torch.no_grad()
def blend(average, model, decay):
    for kept, new in zip(average.state_dict().values(), model.state_dict().values()):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


@torch.no_grad()
def settle_batch_norm(model, images):
    """Estimate the batch-norm statistics without noise. From here on they are constants."""
    for bn in (model.bn1, model.bn2):
        bn.reset_running_stats()
        bn.momentum = None
    model.train()
    for batch in images.split(1000):
        model(augment(batch))
    model.eval()


@torch.no_grad()
def snap_weights(model, bits):
    """Round each layer's weights (batch-norm folded in) to multiples of its own 2^-k.

    k is the largest with max|w| * 2^k < 2^(bits - 1): an evaluation with the integer weights
    2^k * w then has no weight error at all. Returns {layer: k}.
    """
    grid = {}
    for name, bn in (("conv1", model.bn1), ("conv2", model.bn2), ("fc1", None), ("fc2", None), ("fc3", None)):
        weight = getattr(model, name).weight
        factor = torch.ones(len(weight), dtype=torch.float64)
        if bn is not None:
            factor = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
        factor = factor.view(-1, *[1] * (weight.dim() - 1))
        folded = weight.double() * factor
        grid[name] = math.floor(math.log2((2 ** (bits - 1) - 1) / folded.abs().max().item()))
        weight.copy_((folded * 2.0 ** grid[name]).round() * 2.0 ** -grid[name] / factor)
    return grid


def load_model(path):
    """A model that `export` wrote."""
    stored = {i.name: torch.tensor(numpy_helper.to_array(i)) for i in onnx.load(str(path)).graph.initializer}
    model = LeNet5()
    model.load_state_dict(stored | {f"{bn}.num_batches_tracked": torch.tensor(0) for bn in ("bn1", "bn2")})
    return model.eval()


def export(model, path):
    torch.onnx.export(
        model,
        torch.zeros(1, 1, 32, 32),
        str(path),
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        opset_version=17,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )
    onnx.checker.check_model(str(path), full_check=True)
    print("nodes:", " ".join(node.op_type for node in onnx.load(str(path)).graph.node))


def report(model, grid, calibration_images, images, labels, repeats):
    plain = plain_logits(model, images)
    print(f"\nplain accuracy: {100 * (plain.argmax(1) == labels).double().mean().item():.2f} %")
    top = plain.topk(2, 1).values
    margin = (top[:, 0] - top[:, 1]).sort().values
    print(f"logits: {plain.min().item():.3f} .. {plain.max().item():.3f};",
          "margin of image number 5, 10, 20, 50, 100 from below:",
          " ".join(f"{margin[i - 1].item():.3f}" for i in (5, 10, 20, 50, 100)))
    print("weights are multiples of 2^-k:", " ".join(f"{n} k={k}" for n, k in grid.items()))
    calibration, test = calibrate(model, calibration_images), calibrate(model, images)
    print("\ninputs of the tables (differences for the maxima, pre-activations for ReLU):")
    print("| table | training min | training max | standard deviation | test min | test max |")
    print("|---|---|---|---|---|---|")
    for name, (low, high, sd) in calibration.items():
        t = test[name]
        print(f"| {name} | {low:.3f} | {high:.3f} | {sd:.3f} | {t[0]:.3f} | {t[1]:.3f} |")
    print(f"\n| log2 sigma | accuracy % | agreement % (mean of {repeats}) | agreement % (worst) |")
    print("|---|---|---|---|")
    for row in noise_table(model, images, labels, calibration, repeats):
        print("| {:.1f} | {:.3f} | {:.3f} | {:.2f} |".format(*row))


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, required=True, help="folder with the four MNIST IDX files, gzipped or not")
    p.add_argument("--out", type=Path, default=Path(__file__).with_name("lenet5.onnx"))
    p.add_argument("--epochs", type=int, default=40)
    p.add_argument("--batch", type=int, default=100)
    p.add_argument("--lr", type=float, default=4e-3)
    p.add_argument("--steady-epochs", type=int, default=12, help="of the second cycle")
    p.add_argument("--steady-lr", type=float, default=1e-3)
    p.add_argument("--steadiness", type=float, default=2.0, help="weight of the logit noise in the second cycle")
    p.add_argument("--start-from", type=Path, metavar="ONNX", help="an exported first cycle: run the second only")
    p.add_argument("--weight-decay", type=float, default=0.02)
    p.add_argument("--low-noise", type=float, default=-7.5, help="log2 of the least training sigma")
    p.add_argument("--high-noise", type=float, default=-5.5, help="log2 of the largest training sigma")
    p.add_argument("--batch-norm-epochs", type=int, default=3, metavar="EPOCHS", help="after these the statistics are constants")
    p.add_argument("--weight-bits", type=int, default=8, help="of the grid that the trained weights are rounded to")
    p.add_argument("--validate", action="store_true", help="hold out and report on the last 5,000 training images")
    p.add_argument("--repeats", type=int, default=20, help="noisy evaluations per sigma")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    options = p.parse_args()
    if not 0 < options.batch_norm_epochs < options.epochs:
        p.error("--batch-norm-epochs must be at least 1 and below --epochs")
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

    if options.start_from:
        model = load_model(options.start_from)
    else:
        torch.manual_seed(options.seed)
        model = train(LeNet5(), images, labels, options.epochs, options.lr, 0.0, options)
        snap_weights(model, options.weight_bits)
        export(model, options.out)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS
    torch.manual_seed(options.seed)
    model = train(model, images, labels, options.steady_epochs, options.steady_lr, options.steadiness, options)
    grid = snap_weights(model, options.weight_bits)
    export(model, options.out)
    report(model, grid, images, *held, options.repeats)


if __name__ == "__main__":
    main()
