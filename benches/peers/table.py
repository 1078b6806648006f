"""Prints the figures of all rounds as Markdown tables, one for each ring dimension."""

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS = "ours"
TIMED = {
    "encode": "encode",
    "encrypt": "encrypt (public key)",
    "add": "add",
    "multiply_plain": "multiply by plaintext",
    "multiply": "multiply, relinearize, rescale",
    "rotate": "rotate",
    "rotate_8": "8 rotations, each by itself",
    "rotate_8_hoisted": "8 rotations, hoisted",
}
PRECISE = {
    "worst_bits": "bits of a product, worst slot",
    "mean_bits": "bits of a product, mean",
}


@dataclass(frozen=True)
class Column:
    """A library with one of its parameter sets."""

    library: str
    log_dimension: int
    log_qp: int
    digits: int

    @property
    def is_ours(self) -> bool:
        return self.library == OURS

    @property
    def title(self) -> str:
        return f"{self.library} (log QP {self.log_qp}, dnum {self.digits})"


Figures = dict[str, float]
Table = dict[Column, Figures]


def read(path: Path, statistic: str) -> Table:
    """The median over the rounds of each figure."""
    rounds: dict[Column, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in path.read_text().splitlines():
        record = json.loads(line)
        column = Column(*(record[name] for name in Column.__dataclass_fields__))
        for name, value in figures_of(record, statistic):
            rounds[column][name].append(value)
    return {column: medians(values) for column, values in rounds.items()}


def figures_of(record: dict[str, Any], statistic: str) -> Iterator[tuple[str, float]]:
    if record["operation"] != "precision":
        yield record["operation"], record[statistic]
        return
    for name in PRECISE:
        yield name, record[name]


def medians(values: dict[str, list[float]]) -> Figures:
    return {name: statistics.median(samples) for name, samples in values.items()}


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def milliseconds(seconds: float) -> str:
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def ours_of(table: Table) -> list[Column]:
    return [column for column in table if column.is_ours]


def peers_having(table: Table, name: str) -> list[float]:
    return [
        figures[name] for column, figures in table.items() if not column.is_ours and name in figures
    ]


def headings(table: Table) -> list[str]:
    gains = [f"gain at log QP {column.log_qp}" for column in ours_of(table)]
    return ["ms", *(column.title for column in table), *gains]


def timed_row(table: Table, name: str) -> list[str]:
    """The times, then by how much each of ours is faster than the fastest peer."""
    peers = peers_having(table, name)
    times = [milliseconds(figures[name]) if name in figures else "–" for figures in table.values()]
    gains = [
        f"{min(peers) / table[column][name]:.2f}x" if peers else "–" for column in ours_of(table)
    ]
    return [TIMED[name], *times, *gains]


def hoisting_row(table: Table) -> list[str]:
    shares = [
        f"{figures['rotate_8_hoisted'] / figures['rotate_8']:.2f}"
        if "rotate_8_hoisted" in figures
        else "–"
        for figures in table.values()
    ]
    return ["hoisted / each by itself", *shares, *("" for _ in ours_of(table))]


def precision_row(table: Table, name: str) -> list[str]:
    """The bits, then how many more each of ours has than the most precise peer."""
    peers = peers_having(table, name)
    values = [f"{figures[name]:.2f}" for figures in table.values()]
    gains = [
        f"{table[column][name] - max(peers):+.2f}" if peers else "–" for column in ours_of(table)
    ]
    return [PRECISE[name], *values, *gains]


def markdown(table: Table) -> Iterator[str]:
    yield row(headings(table))
    yield row(["---", *("---:" for _ in headings(table)[1:])])
    for name in TIMED:
        if any(name in figures for figures in table.values()):
            yield row(timed_row(table, name))
    yield row(hoisting_row(table))
    for name in PRECISE:
        yield row(precision_row(table, name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path, help="JSON lines that the programs printed")
    parser.add_argument(
        "--fastest",
        dest="statistic",
        action="store_const",
        const="fastest",
        default="seconds",
        help="the least time of each run in place of its median: for a busy machine",
    )
    arguments = parser.parse_args()
    table = read(arguments.figures, arguments.statistic)
    for log_dimension in sorted({column.log_dimension for column in table}):
        chosen = {c: f for c, f in table.items() if c.log_dimension == log_dimension}
        print(f"\nN = 2^{log_dimension}\n", *markdown(chosen), sep="\n")


if __name__ == "__main__":
    main()
