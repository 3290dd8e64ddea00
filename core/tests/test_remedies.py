"""Going back: to where, and what is given up for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from create_llm.runs.run import RunFolder
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.training.callbacks import Overrides, Retry
from create_llm.training.remedies import Remedy, combined, go_back, remedies_of

AT_BEST = Retry("overfitting", 20, Overrides(end_at_best=True))
SLOWER = Retry("divergence", 25, Overrides(learning_rate=0.3))


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "logs" / "r", tmp_path / "checkpoints" / "r")
    run.path.mkdir(parents=True)
    run.write_manifest({"run": "r"})
    return run


@pytest.fixture
def store(run):
    store = CheckpointStore(run.checkpoints, limit=3, storage=Storage())
    for step in (10, 20, 30, 40):
        with store.commit(step) as writer:
            writer.write("state", [str(step).encode()])
    store.mark("best", 20, {"val_loss": 2.0})
    return store


def back(run, store, retry):
    told = []
    step = go_back(run, store, retry, at_step=45, divided=2, divisible=6, damaged=told.append)
    return step, told


def test_it_ends_at_its_best(run, store):
    assert back(run, store, AT_BEST) == (20, [])
    assert store.steps() == [10, 20]
    assert combined(remedies_of(run)).end_at_best


def test_nothing_is_given_up_for_a_best_that_is_damaged(run, store):
    (store.folder / "best" / "state").write_bytes(b"xx")
    (store.path(20) / "state").write_bytes(b"xx")
    step, told = back(run, store, AT_BEST)
    assert (step, len(told)) == (40, 1)
    assert store.steps() == [10, 20, 30, 40]
    assert not combined(remedies_of(run)).end_at_best


def test_a_best_that_rotation_took_is_found_again(run, store):
    for step in (10, 20):
        store._storage.remove(store.path(step))
    assert back(run, store, AT_BEST)[0] == 20
    assert store.steps() == [20]


def test_it_goes_back_to_the_newest_before_the_trouble(run, store):
    assert back(run, store, SLOWER)[0] == 20
    assert store.steps() == [10, 20]
    assert combined(remedies_of(run)).learning_rate == 0.3


def test_from_the_beginning_it_does_what_was_asked_for_there(run, store):
    retry = replace(SLOWER, step=5, from_beginning=Overrides(learning_rate=0.1, divided=4))
    assert back(run, store, retry)[0] == 0
    assert combined(remedies_of(run)).learning_rate == 0.1
    assert run.manifest()["divided"] == 6


def test_what_was_asked_for_the_beginning_is_done_nowhere_else(run, store):
    retry = replace(SLOWER, from_beginning=Overrides(learning_rate=0.1, divided=4))
    assert back(run, store, retry)[0] == 20
    assert combined(remedies_of(run)).learning_rate == 0.3
    assert run.manifest()["divided"] == 2


def test_where_rotation_has_taken_what_was_before_the_trouble_the_best_is_gone_on_from(run, store):
    for step in (10, 20):
        store._storage.remove(store.path(step))
    retry = replace(SLOWER, from_beginning=Overrides(learning_rate=0.1))
    assert back(run, store, retry)[0] == 20
    assert combined(remedies_of(run)).learning_rate == 0.3


def test_a_run_at_its_beginning_is_never_at_its_best():
    told = Remedy(45, 0, "overfitting", replace(AT_BEST.overrides))
    assert not combined([told]).end_at_best
