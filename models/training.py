"""What the training scripts of these models share: data, noisy reads, the loop, the export.

The encrypted evaluation reads an activation, or a maximum `(a + b + |a - b|) / 2`, from a table
that spans the calibrated range of its input, at a noisy position. A `Read` stands in each of
these places. During training it adds normal noise of standard deviation sigma times the range of
the batch, with the gradient flowing through the range: wide ranges cost. In an export it is absent.
"""

import argparse
import copy
import math
import os
import random
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

from train_lenet5 import augment, blend, centred, read_idx

REPORTED_LOG2_SIGMAS = [-10.0, -9.5, -9.0, -8.5, -8.0, -7.5]
EVALUATION_BATCH = 500
NOISE_POOL = 1 << 24


# ---- data -----------------------------------------------------------------------------------


def partly_augment(images):
    """A random affine change of about half of the images; the others stay sharp."""
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, augment(images), images)


def mnist(folder, split, padding=0):
    """Images N x 1 x 28 x 28 in [0, 1], zero-padded by `padding` on each side, and labels."""
    prefix = {"train": "train", "test": "t10k"}[split]
    images = torch.tensor(read_idx(folder, f"{prefix}-images-idx3-ubyte"))
    labels = torch.tensor(read_idx(folder, f"{prefix}-labels-idx1-ubyte")).long()
    return F.pad(images.float().div(255).unsqueeze(1), (padding,) * 4), labels


def cifar10(folder, split):
    """Images N x 3 x 32 x 32 as bytes and labels, from the CIFAR-10 binary layout."""
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    records = []
    for name in names:
        path = folder / name
        if not path.exists():
            raise SystemExit(f"no {name} in {folder}: pass the folder of the CIFAR-10 binary files with --data")
        data = np.fromfile(path, np.uint8)
        if len(data) == 0 or len(data) % 3073:
            raise SystemExit(f"{name} is not made of records of 3,073 bytes")
        records.append(data.reshape(-1, 3073))
    records = torch.tensor(np.concatenate(records))
    return records[:, 1:].reshape(-1, 3, 32, 32).contiguous(), records[:, 0].long()


def unit(images):
    """Pixels in [0, 1], channels last in memory."""
    if images.dtype == torch.uint8:
        images = images.float().div_(255)
    return images.contiguous(memory_format=torch.channels_last)


def crop_flip(images):
    """Zero-pad by 4, crop at random to the old size, mirror half of them."""
    n, _, height, width = images.shape
    padded = F.pad(images, (4, 4, 4, 4))
    rows = torch.randint(0, 9, (n, 1)) + torch.arange(height)
    columns = torch.randint(0, 9, (n, 1)) + torch.arange(width)
    columns = torch.where(torch.rand(n, 1) < 0.5, columns, columns.flip(1))
    image = torch.arange(n).view(n, 1, 1)
    return padded.permute(0, 2, 3, 1)[image, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)


# ---- noisy reads ----------------------------------------------------------------------------


class Read(nn.Module):
    """The input of a table. Exact with `sigma` None; else noisy, over the range that was recorded
    if `calibrated`, over that of the batch if not."""

    pool = None

    def __init__(self, symmetric=False):
        super().__init__()
        self.symmetric, self.sigma = symmetric, None
        self.recording = self.calibrated = False
        self.channels = None  # a list: ranges of every channel are recorded too
        self.forget()

    def forget(self):
        """Forgets the range that was recorded."""
        self.low, self.high = torch.tensor(math.inf), torch.tensor(-math.inf)

    @staticmethod
    def noise(x):
        """Normal noise in the shape of `x`. On a processor a slice at a random place of a fixed pool,
        far cheaper than fresh noise."""
        if x.device.type != "cpu" or x.numel() > NOISE_POOL // 2:
            return torch.randn_like(x)
        if Read.pool is None:
            Read.pool = torch.randn(NOISE_POOL)
        start = int(torch.randint(0, NOISE_POOL - x.numel(), ()))
        return Read.pool[start : start + x.numel()].as_strided(x.shape, x.stride())

    def width(self, low, high):
        return 2 * torch.maximum(-low, high) if self.symmetric else high - low

    def forward(self, x):
        if self.recording:
            self.low, self.high = torch.minimum(self.low, x.amin()), torch.maximum(self.high, x.amax())
            if self.channels is not None:
                by_channel = x.transpose(0, 1).flatten(1)
                self.channels.append((by_channel.amin(1), by_channel.amax(1)))
        if self.sigma is None:
            return x
        x = x.contiguous(memory_format=torch.channels_last if x.dim() == 4 else torch.contiguous_format)
        low, high = (self.low, self.high) if self.calibrated else (x.amin(), x.amax())
        return x + self.noise(x) * (self.sigma * self.width(low, high))


class Activation(nn.Module):
    """A function of one value, read from a table."""

    def __init__(self, function):
        super().__init__()
        self.function, self.read = function, Read()

    def forward(self, x):
        return self.function(self.read(x))


class MaxPool(nn.Module):
    """The maximum of 2 x 2 and then the activation, which is monotone: in an export they stand in
    the usual order, activation first."""

    def __init__(self, function):
        super().__init__()
        self.function, self.read = function, Read()
        self.across, self.down = Read(symmetric=True), Read(symmetric=True)

    def maximum(self, a, b, read):
        return (a + b + read(a - b).abs()) / 2

    def forward(self, x):
        if self.read.sigma is None and not self.read.recording:
            return F.max_pool2d(self.function(x), 2)
        x = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
        x = self.maximum(x[..., ::2], x[..., 1::2], self.across)
        x = self.maximum(x[:, :, ::2], x[:, :, 1::2], self.down)
        return self.function(self.read(x))


def reads(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, Read)}


def set_noise(model, sigma, calibrated=False):
    for read in reads(model).values():
        read.sigma, read.calibrated = sigma, calibrated


@torch.no_grad()
def record_ranges(model, images):
    """Give every `Read` the range of its input over `images`."""
    for read in reads(model).values():
        read.forget()
        read.recording = True
    for batch in images.split(EVALUATION_BATCH):
        model(unit(batch))
    for read in reads(model).values():
        read.recording = False


# ---- training -------------------------------------------------------------------------------


def loss_of(model, inputs, labels, exact, options):
    """Cross-entropy, of exact logits or of noisy ones; with `options.steadiness` also the change that
    the noise makes in the logits of an image, as for `lenet5.onnx`: squared, brought to sigma = 2^-6.5,
    relative to the square of the exact ones, both without their mean."""
    sigma = 2.0 ** random.uniform(options.low_noise, options.high_noise)
    set_noise(model, None if exact else sigma)
    logits = model(inputs)
    loss = F.cross_entropy(logits, labels)
    if options.steadiness and not exact:
        set_noise(model, None)
        plain = centred(model(inputs))
        moved = (centred(logits) - plain).square().sum(1) * (2.0**-6.5 / sigma) ** 2
        loss = loss + options.steadiness * (moved / plain.square().sum(1)).mean()
    return loss


def train(model, images, labels, transform, optimizer, lr, options):
    """One learning-rate cycle; the reads are exact for `options.exact_epochs` epochs, then noisy. After
    every epoch the running average of the weights, its batch-norm statistics settled, is exported
    to `options.out`; the last one is returned."""
    if options.start_from is not None:
        load_weights(model, options.start_from)
    model = model.to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(model)
    steps = len(images) // options.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps * options.epochs, pct_start=0.2)
    for epoch in range(options.epochs):
        start, total = time.time(), torch.zeros(())
        decay = 0.98 if epoch < options.epochs - 2 else 0.998
        for batch in torch.randperm(len(images))[: steps * options.batch].split(options.batch):
            inputs = unit(transform(images[batch]))
            loss = loss_of(model, inputs, labels[batch], epoch < options.exact_epochs, options)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            optimizer.step()
            schedule.step()
            total += loss.detach()
            blend(average, model, decay)
        set_noise(average, None)
        settle_batch_norm(average, images[torch.randperm(len(images))[:5000]])
        export(average, images, options.out)
        print(f"epoch {epoch + 1}: loss {total.item() / steps:.4f}, {time.time() - start:.1f} s", flush=True)
    settle_batch_norm(average, images[: options.settle_images])
    return average


@torch.no_grad()
def settle_batch_norm(model, images):
    """Batch-norm statistics over `images` as they are, without noise; evaluation mode after."""
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    if norms:
        momentum = norms[0].momentum
        model.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        for batch in images.split(EVALUATION_BATCH):
            model(unit(batch))
        for norm in norms:
            norm.momentum = momentum
    model.eval()


def weighted_layers(model):
    """(name, layer, norm): the convolutions and dense layers, each with the batch-norm defined right
    after it, or None."""

    def is_norm(m):
        return isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))

    def is_weighted(m):
        return getattr(m, "weight", None) is not None and m.weight.dim() > 1

    named = [(n, m) for n, m in model.named_modules() if is_norm(m) or is_weighted(m)] + [("", None)]
    for (name, layer), (_, norm) in zip(named, named[1:]):
        if is_weighted(layer):
            yield name, layer, norm if is_norm(norm) else None


@torch.no_grad()
def snap_weights(model, bits):
    """Round each layer's weights (batch-norm folded in) to multiples of its own 2^-k, k the largest
    with max|w| 2^k < 2^(bits - 1). Returns {layer: k}."""
    grid = {}
    for name, layer, norm in weighted_layers(model):
        factor = torch.ones(len(layer.weight), dtype=torch.float64)
        if norm is not None:
            factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        factor = factor.view(-1, *[1] * (layer.weight.dim() - 1))
        folded = layer.weight.double() * factor
        grid[name] = math.floor(math.log2((2 ** (bits - 1) - 1) / folded.abs().max().item()))
        snapped = (folded * 2.0 ** grid[name]).round() * 2.0 ** -grid[name]
        layer.weight.copy_(torch.where(factor == 0, layer.weight.double(), snapped / factor))
    return grid


@torch.no_grad()
def equalize(chain, model, images, most=4.0):
    """Widen each channel towards the range that its layer's tables span, and narrow it again in the layer
    that reads it: the same function, for ReLU keeps positive factors, in which the noise of a table is
    smaller beside the channel's values (cross-layer equalization, Nagel et al., arXiv 1906.04721).
    `chain` has for each table the layer before it, its reads, and the layer behind."""
    for before, found, behind in chain:
        for read in found:
            read.channels = []
        record_ranges(model, images)
        factors = []
        for read in found:
            low, high = (torch.stack(x).T for x in zip(*read.channels))
            low, high = low.amin(1), high.amax(1)
            room = torch.minimum(read.low / low.clamp(max=-1e-9), read.high / high.clamp(min=1e-9))
            if read.symmetric:
                room = torch.maximum(-read.low, read.high) / torch.maximum(-low, high).clamp(min=1e-9)
            factors.append(room)
            read.channels = None
        factor = torch.stack(factors).amin(0).clamp(1.0, most)
        print(f"channels widened by {1 / (1 / factor).square().mean().sqrt():.2f} (harmonic root mean square)")
        before.weight *= factor.view(-1, *[1] * (before.weight.dim() - 1))
        before.bias *= factor
        columns = factor.repeat_interleave(behind.weight.shape[1] // len(factor))
        behind.weight /= columns.view(1, -1, *[1] * (behind.weight.dim() - 2))


# ---- export and report ----------------------------------------------------------------------


class Exported(nn.Module):
    """The model with a final operator that the training goes without."""

    def __init__(self, model, last):
        super().__init__()
        self.model, self.last = model, last

    def forward(self, x):
        return self.last(self.model(x))


def export(model, images, path, output="logits"):
    """Write the model as ONNX; a reader of `path` sees the old file or the new one, whole."""
    part = path.with_name(path.name + ".part")
    # Folding makes the slopes of PRelu plain weights; what it could harm is a model in training mode.
    warnings.filterwarnings("ignore", "It is recommended that constant folding be turned off")
    torch.onnx.export(
        copy.deepcopy(model).to(memory_format=torch.contiguous_format).eval(),
        torch.zeros(1, *images.shape[1:]),
        str(part),
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=True,
        opset_version=17,
        input_names=["image"],
        output_names=[output],
        dynamic_axes={"image": {0: "N"}, output: {0: "N"}},
    )
    onnx.checker.check_model(str(part), full_check=True)
    os.replace(part, path)


@torch.no_grad()
def load_weights(model, path):
    """Give the model the weights of a file that `export` wrote; equal ones are stored once."""
    graph = onnx.load(str(path)).graph
    stored = {i.name: torch.tensor(numpy_helper.to_array(i)) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
    wanted = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    missing = [name for name in wanted if name not in stored]
    if missing:
        raise SystemExit(f"{path} is not an export of this model: no weight {missing[0]}")
    model.load_state_dict({name: stored[name] for name in wanted}, strict=False)


def exported_outputs(path, images):
    """What onnxruntime computes for `images`."""
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), session_options, providers=["CPUExecutionProvider"])
    batches = [session.run(None, {"image": unit(b).contiguous().cpu().numpy()})[0] for b in images.split(EVALUATION_BATCH)]
    return torch.tensor(np.concatenate(batches))


@torch.no_grad()
def logits_of(model, images):
    return torch.cat([model(unit(batch)) for batch in images.split(EVALUATION_BATCH)])


def report(model, path, grid, calibration_images, images, labels, repeats, noise_images):
    """Accuracy of the exported file, its logits, ranges, and agreement with itself under noise."""
    graph = onnx.load(str(path)).graph
    print("nodes:", " ".join(node.op_type for node in graph.node))
    print("parameters:", sum(p.numel() for p in model.parameters()))
    outputs = exported_outputs(path, images)
    print(f"test accuracy (onnxruntime): {100 * (outputs.argmax(1) == labels).double().mean().item():.2f} %")
    plain = logits_of(model, images)
    top = plain.topk(2, 1).values
    margin = (top[:, 0] - top[:, 1]).sort().values
    print(f"logits {plain.min().item():.2f} .. {plain.max().item():.2f}; margin of image number",
          ", ".join(f"{i}: {margin[i - 1].item():.3f}" for i in (10, 50, 100, 200)))
    print("weights are multiples of 2^-k:", " ".join(f"{n} k={k}" for n, k in grid.items()))
    record_ranges(model, images)
    seen = {name: (read.low, read.high) for name, read in reads(model).items()}
    record_ranges(model, calibration_images)
    print("\n| table | training min | training max | test min | test max |\n|---|---|---|---|---|")
    for name, read in reads(model).items():
        print(f"| {name} | {read.low:.3f} | {read.high:.3f} | {seen[name][0]:.3f} | {seen[name][1]:.3f} |")
    images, labels, plain = (x[:noise_images] for x in (images, labels, plain))
    print(f"\n{len(images)} images, {repeats} draws of the noise:")
    print("\n| log2 sigma | accuracy % | agreement % |\n|---|---|---|")
    for log2_sigma in REPORTED_LOG2_SIGMAS:
        set_noise(model, 2.0**log2_sigma, calibrated=True)
        noisy = torch.cat([logits_of(model, images).argmax(1) for _ in range(repeats)])
        accuracy = (noisy == labels.repeat(repeats)).double().mean().item()
        agreement = (noisy == plain.argmax(1).repeat(repeats)).double().mean().item()
        print(f"| {log2_sigma} | {100 * accuracy:.2f} | {100 * agreement:.2f} |", flush=True)
    set_noise(model, None)


# ---- command line ---------------------------------------------------------------------------


def arguments(description, out, data, **defaults):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--data", type=Path, required=True, help=f"folder with {data}")
    p.add_argument("--out", type=Path, default=Path(__file__).with_name(out) if out else None)
    p.add_argument("--start-from", type=Path, metavar="ONNX", help="an earlier export: train it further")
    p.add_argument("--epochs", type=int, default=defaults["epochs"])
    p.add_argument("--batch", type=int, default=defaults.get("batch", 128))
    p.add_argument("--lr", type=float, default=defaults["lr"], help="the largest of the cycle")
    p.add_argument("--weight-decay", type=float, default=defaults["weight_decay"])
    p.add_argument("--clip", type=float, default=5.0, help="the norm of the gradient at most")
    p.add_argument("--exact-epochs", type=int, default=0, metavar="EPOCHS", help="the first ones, without noise")
    p.add_argument("--noise-images", type=int, default=10_000, help="test images in the report's noisy evaluations")
    p.add_argument("--settle-images", type=int, default=60_000, help="for the last batch-norm statistics")
    p.add_argument("--low-noise", type=float, default=-8.5, help="log2 of the least training sigma, of a range")
    p.add_argument("--high-noise", type=float, default=-6.5, help="log2 of the largest training sigma, of a range")
    p.add_argument("--steadiness", type=float, default=0.0, help="weight of the logits' noise in the loss")
    p.add_argument("--weight-bits", type=int, default=8, help="of the grid that the weights are rounded to")
    p.add_argument("--repeats", type=int, default=3, help="noisy evaluations per sigma in the report")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--seed", type=int, default=1)
    return p


def prepare(options):
    torch.set_num_threads(options.threads)
    torch.set_default_device(options.device)
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    torch.use_deterministic_algorithms(True, warn_only=options.device != "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False
    if options.epochs < 1 or options.batch < 2:
        raise SystemExit("--epochs must be at least 1 and --batch at least 2")


def finish(model, options, train_images, test_images, test_labels, last=None):
    """Equalize channels where the model says how, round the weights, export, report."""
    if hasattr(model, "chain"):
        # ranges of few images first: less noise at the results than by one pass over all (7 %)
        for count in (1000, 5000):
            equalize(model.chain(), model, train_images[:count])
    grid = snap_weights(model, options.weight_bits)
    if last is None:
        export(model, train_images, options.out)
    else:
        export(Exported(model, last), train_images, options.out, "probabilities")
    evaluation = test_images, test_labels, options.repeats, options.noise_images
    report(model, options.out, grid, train_images[:5000], *evaluation)
