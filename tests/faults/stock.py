"""The control: how often the stock loaders notice a damaged file of weights."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.faults.bench import Bench
from tests.faults.damage import Damage, damaged, damages
from tests.faults.figures import Figures


def _load_pickled(path: Path) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, weights_only=True)


LOADERS: dict[str, Callable[[Path], object]] = {
    "safetensors.torch.load_file": load_file,
    "torch.load": _load_pickled,
}


def stock(bench: Bench, each: int) -> Figures:
    """Damage a file of weights in each format and load it as everybody does.

    Nothing is asserted: the share that loads without an error is the figure.
    """
    figures, folder = Figures("stock loaders"), bench.folder("stock")
    generator = torch.Generator().manual_seed(1)
    for number, (name, load) in enumerate(LOADERS.items()):
        path, other = folder / f"{number}.weights", folder / f"{number}.other"
        for file in (path, other):
            _save(name, file, generator)
        silent, total = _count(path, other, load, each, bench)
        trials = sum(total.values())
        figures.counts["trials"] += trials
        figures.numbers[f"{name}: silent, all kinds"] = _share(sum(silent.values()), trials)
        for kind in total:
            figures.numbers[f"{name}: silent, {kind}"] = _share(silent[kind], total[kind])
    return figures.closed()


def _save(loader: str, path: Path, generator: torch.Generator) -> None:
    tensors = {f"layer.{i}": torch.randn(64, 32, generator=generator) for i in range(4)}
    if loader == "torch.load":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)


def _count(
    path: Path, other: Path, load: Callable[[Path], object], each: int, bench: Bench
) -> tuple[Counter[str], Counter[str]]:
    silent, total = Counter[str](), Counter[str]()
    for damage in damages(path.stat().st_size, each, bench.rng("stock")):
        total[damage.kind] += 1
        silent[damage.kind] += _loads(path, damage, other, load)
    return silent, total


def _loads(path: Path, damage: Damage, other: Path, load: Callable[[Path], object]) -> bool:
    with damaged(path, damage, other):
        try:
            load(path)
        except Exception:
            return False
        return True


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})"
