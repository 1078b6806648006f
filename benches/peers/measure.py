"""What both Python programs share: the command line, the clock, the output."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

#: Products of fresh pairs of vectors whose precision is measured; the median is reported.
PRECISION_TRIALS = 9
#: Rotations of one ciphertext, by 1 to 8 slots.
ROTATIONS = range(1, 9)


@dataclass(frozen=True)
class Setting:
    """One parameter set, as the command line gives it."""

    log_dimension: int
    modulus_bits: list[int]
    special_bits: list[int]
    digits: int
    seconds: float

    @property
    def dimension(self) -> int:
        return 1 << self.log_dimension

    @property
    def slots(self) -> int:
        return self.dimension // 2

    @property
    def scale_bits(self) -> int:
        return self.modulus_bits[-1]


class Report:
    """Prints one JSON object per figure."""

    def __init__(self, library: str, setting: Setting) -> None:
        self._slots = setting.slots
        self._common = {
            "library": library,
            "log_dimension": setting.log_dimension,
            "log_qp": sum(setting.modulus_bits + setting.special_bits),
            "digits": setting.digits,
        }
        self._seconds = setting.seconds

    def time(self, name: str, operation: Callable[[], object], overhead: float = 0.0) -> None:
        """The median and the least seconds of `operation`, less `overhead`."""
        samples = sample(operation, self._seconds)
        self._print(
            operation=name,
            seconds=statistics.median(samples) - overhead,
            fastest=min(samples) - overhead,
            repetitions=len(samples),
        )

    def precision(self, trial: Callable[[Vector, Vector], Vector]) -> None:
        """The bits of `trial`, which multiplies two encrypted vectors slot by slot."""
        errors = [product_error(trial, self._slots) for _ in range(PRECISION_TRIALS)]
        self._print(
            operation="precision",
            worst_bits=statistics.median(-np.log2(error.max()) for error in errors),
            mean_bits=statistics.median(-np.log2(error.mean()) for error in errors),
            repetitions=PRECISION_TRIALS,
        )

    def _print(self, **figures: str | float) -> None:
        print(json.dumps(self._common | figures), flush=True)


def parse_setting() -> Setting:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log-dimension", type=int, required=True)
    parser.add_argument("--modulus-bits", type=bits, required=True)
    parser.add_argument("--special-bits", type=bits, required=True)
    parser.add_argument("--digits", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0.5)
    return Setting(**vars(parser.parse_args()))


def bits(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def sample(operation: Callable[[], object], seconds: float) -> list[float]:
    """The seconds of each call, after one that is not counted, for about `seconds` in all."""
    operation()
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples) < 5:
        begun = time.perf_counter()
        operation()
        samples.append(time.perf_counter() - begun)
    return samples


def random_vector(slots: int) -> Vector:
    return np.random.default_rng().uniform(-1.0, 1.0, slots)


def product_error(trial: Callable[[Vector, Vector], Vector], slots: int) -> Vector:
    left, right = random_vector(slots), random_vector(slots)
    return np.abs(trial(left, right) - left * right)
