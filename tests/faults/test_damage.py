"""Damaged files: noticed before they are used, by the library and on the command line.

Sampled: each kind of damage to each file at a few places, 12 cases on the command line;
`make faults` tries thousands.
"""

from __future__ import annotations

import random

import pytest

from tests.faults.bench import Bench
from tests.faults.commands import commands
from tests.faults.corruption import corruption
from tests.faults.damage import KINDS, damages
from tests.faults.figures import Figures
from tests.faults.stock import LOADERS, stock


def test_every_damage_is_noticed(bench: Bench):
    figures = corruption(bench, 2)
    assert figures.wrong == []
    assert {f"of them {kind}" for kind in KINDS} <= figures.numbers.keys()


def test_the_command_line_refuses_or_falls_back_loudly(bench: Bench):
    figures = commands(bench, 12)
    assert figures.wrong == []
    assert figures.numbers["exit 65"] > 1


@pytest.fixture(scope="module")
def control(bench: Bench) -> Figures:
    return stock(bench, 40)


@pytest.mark.parametrize("loader", LOADERS)
def test_the_stock_loaders_let_flipped_bits_through(control: Figures, loader: str):
    silent = str(control.numbers[f"{loader}: silent, flipped"])
    assert int(silent.split()[0]) > 10


def test_every_kind_of_damage_changes_a_file():
    data = bytes(range(1, 256)) * 40
    for damage in damages(len(data), 16, random.Random(1)):
        assert damage.of(data, b"other") != data
