"""The training engine's parts: saving beside the training, optimizers, schedules, rehearsals."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from create_llm.config.intervals import Interval
from create_llm.errors import StorageError
from create_llm.models.architecture import ParamGroups
from create_llm.models.evaluation import Score, Scores
from create_llm.runs.events import EpochEnd, EvalEnd, Event
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.disk import Disk, DiskFile
from create_llm.storage.durable import Storage
from create_llm.training.batches import Prefetcher, divided
from create_llm.training.callbacks import Signal
from create_llm.training.checkpointing import TrainState, read_checkpoint, snapshot
from create_llm.training.optimizers import OptimizerSettings, build_updates
from create_llm.training.saving import Saver
from create_llm.training.schedule import Schedule
from create_llm.training.stopping import Abandoned, Stop
from create_llm.training.trainer import Trainer

from .test_gates import Quiet, build, shards, weights_of


@pytest.fixture
def stream(tmp_path):
    return shards(tmp_path / "text", [1 + (i * i) % 15 for i in range(4000)])


class SlowDisk(Disk):
    """Synchronises a folder only when it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()

    def sync_folder(self, path: Path) -> None:
        assert self.let.wait(60)
        super().sync_folder(path)


class FullDisk(Disk):
    def create(self, path: Path) -> DiskFile:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


def store_on(disk: Disk, folder: Path) -> CheckpointStore:
    return CheckpointStore(folder / "checkpoints", 2, Storage(disk))


def test_a_save_is_not_told_before_it_is_durable(tmp_path, stream):
    trainer = build(tmp_path, stream)
    assert trainer.train_step()
    disk = SlowDisk()
    store = store_on(disk, tmp_path)
    saver = Saver(store)
    saver.begin(snapshot(trainer.parts, None, trainer.state), "interval")
    assert saver.finished() == []
    assert store.steps() == []
    disk.let.set()
    (saved,) = saver.wait()
    assert store.newest_valid(lambda error: None) == saved.step == 1
    assert 0 <= saved.stall_seconds <= saved.seconds
    assert saver.wait() == []
    saver.close()


def test_steps_taken_while_a_checkpoint_is_written_are_not_in_it(tmp_path, stream):
    trainer = build(tmp_path, stream)
    assert trainer.train_step()
    before, disk = weights_of(trainer), SlowDisk()
    store = store_on(disk, tmp_path)
    saver = Saver(store)
    saver.begin(snapshot(trainer.parts, None, trainer.state), "interval")
    assert trainer.train_step()
    assert not torch.equal(weights_of(trainer), before)
    disk.let.set()
    saver.wait()
    state = read_checkpoint(store.path(1), trainer.parts, None)
    assert state.step == 1
    assert torch.equal(weights_of(trainer), before)
    saver.close()


def test_a_full_disk_ends_the_run_and_names_the_last_good_checkpoint(tmp_path, stream):
    trainer = build(tmp_path, stream)
    assert trainer.train_step()
    good = Saver(store_on(Disk(), tmp_path))
    good.begin(snapshot(trainer.parts, None, trainer.state), "interval")
    good.wait()
    assert trainer.train_step()
    full = Saver(store_on(FullDisk(), tmp_path))
    full.begin(snapshot(trainer.parts, None, trainer.state), "interval")
    with pytest.raises(StorageError, match=r"last good checkpoint is .*step-00000001"):
        full.wait()
    assert store_on(Disk(), tmp_path).steps() == [1]
    good.close()
    full.close()


def settings(name: str) -> OptimizerSettings:
    return OptimizerSettings(name, 3e-3, 0.1, 0.9, 0.95)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "muon"])
def test_an_update_that_is_bad_is_not_made(tmp_path, stream, name):
    trainer = build(tmp_path, stream, optimizer=name)
    assert trainer.train_step()
    before = weights_of(trainer)
    for parameter in trainer.parts.model.module.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    trainer.parts.updates.step_unless(torch.tensor(True), 1e-3)
    assert torch.equal(weights_of(trainer), before)
    trainer.parts.updates.step_unless(torch.tensor(False), 1e-3)
    assert not torch.equal(weights_of(trainer), before)


def test_momentum_begins_at_zero_although_the_first_update_was_skipped():
    weight = nn.Parameter(torch.ones(4, 4))
    group = ParamGroups((weight,), (), ())
    skipping = build_updates(group, settings("sgd"))
    weight.grad = torch.full_like(weight, float("nan"))
    skipping.step_unless(torch.tensor(True), 0.1)
    weight.grad = torch.ones_like(weight)
    skipping.step_unless(torch.tensor(False), 0.1)
    after_skip = weight.detach().clone()

    weight.data.fill_(1.0)
    build_updates(group, settings("sgd")).step_unless(torch.tensor(False), 0.1)
    assert torch.equal(weight, after_skip)


def test_muon_takes_the_matrices_and_leaves_the_rest_to_adamw(tmp_path, stream):
    trainer = build(tmp_path, stream, optimizer="muon")
    assert trainer.train_step()
    module = trainer.parts.model.module
    keys = trainer.parts.updates.tensors(module)
    with_momentum = {name.rpartition(".")[0] for name in keys if name.endswith("momentum_buffer")}
    with_moments = {name.rpartition(".")[0] for name in keys if name.endswith("exp_avg_sq")}
    assert with_momentum | with_moments == {name for name, _ in module.named_parameters()}
    assert not with_momentum & with_moments
    assert "embedding.weight" in with_moments
    assert "layers.0.attention.qkv.weight" in with_momentum


def test_a_model_without_matrices_can_be_trained_with_muon():
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(5, 3)

    table = Table()
    updates = build_updates(ParamGroups((), (table.embedding.weight,), ()), settings("muon"))
    before = table.embedding.weight.detach().clone()
    table.embedding.weight.sum().backward()
    updates.step_unless(torch.tensor(False), 0.1)
    assert not torch.equal(table.embedding.weight, before)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_resumed_trainer_ends_with_the_same_bytes(tmp_path, stream, name):
    def steps(trainer: Trainer, count: int) -> Trainer:
        for _ in range(count):
            assert trainer.train_step()
        return trainer

    straight = steps(build(tmp_path / "a", stream, optimizer=name), 9)
    broken = steps(build(tmp_path / "b", stream, optimizer=name), 4)
    store = store_on(Disk(), tmp_path)
    saver = Saver(store)
    saver.begin(snapshot(broken.parts, None, broken.state), "interval")
    saver.wait()
    saver.close()
    resumed = build(tmp_path / "c", stream, optimizer=name)
    resumed.restore(read_checkpoint(store.path(4), resumed.parts, None), 4)
    assert torch.equal(weights_of(steps(resumed, 5)), weights_of(straight))
    # The control: without the optimizer's state the bytes are others.
    forgetful = build(tmp_path / "d", stream, optimizer=name)
    forgetful.restore(read_checkpoint(store.path(4), forgetful.parts, None), 4)
    forgetful.parts.updates.forget()
    assert not torch.equal(weights_of(steps(forgetful, 5)), weights_of(straight))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_rehearsal_leaves_no_trace(tmp_path, stream, precision):
    rehearsed = build(tmp_path / "a", stream, optimizer="muon", precision=precision)
    before = weights_of(rehearsed)
    assert rehearsed.rehearse() > 0
    assert torch.equal(weights_of(rehearsed), before)
    assert not rehearsed.parts.updates.tensors(rehearsed.parts.model.module)
    plain = build(tmp_path / "b", stream, optimizer="muon", precision=precision)
    for trainer in (rehearsed, plain):
        for _ in range(3):
            assert trainer.train_step()
    assert torch.equal(weights_of(rehearsed), weights_of(plain))


def test_a_run_out_of_time_ends_as_a_completed_one(tmp_path, stream):
    trainer = build(tmp_path, stream, steps=50)
    trainer.settings = replace(trainer.settings, deadline=0.0)
    assert trainer.run() == Stop("completed", "max_seconds")
    assert trainer.state.step == 1
    assert trainer.parts.store.names() == ["step-00000001", "best", "final"]


def test_wsd_rises_stays_and_falls_to_the_floor():
    schedule = Schedule(1.0, 10, 100, 0.1, "wsd", 0.2)
    rates = [schedule.at(step) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10:80] == [1.0] * 70
    assert rates[80:] == pytest.approx([0.1 + 0.9 * (99 - s) / 20 for s in range(80, 100)])
    assert Schedule(1.0, 0, 1, 0.1, "wsd", 0.2).at(0) == pytest.approx(0.1)


def test_a_micro_batch_is_divided_without_losing_a_sample():
    for size in range(1, 20):
        for parts in range(1, 25):
            pieces = list(divided(range(7, 7 + size), parts))
            assert [n for piece in pieces for n in piece] == list(range(7, 7 + size))
            assert len(pieces) <= parts
            assert len({len(piece) for piece in pieces[:-1]}) <= 1


def test_what_is_prepared_ahead_is_what_would_be_made(tmp_path, stream):
    batches = build(tmp_path, stream).parts.batches
    prefetcher = Prefetcher(batches)
    first = prefetcher.step([range(0, 4)], [range(4, 8)], lambda: False)
    ahead = prefetcher.step([range(4, 8)], [range(8, 12)], lambda: False)
    elsewhere = prefetcher.step([range(20, 24)], [range(0, 1)], lambda: False)
    prefetcher.close()
    for made, numbers in ((first, range(0, 4)), (ahead, range(4, 8)), (elsewhere, range(20, 24))):
        assert torch.equal(made[0].labels, batches.micro(numbers).labels)


def test_a_step_of_many_micro_batches_is_not_waited_for_when_asked_to_stop(tmp_path, stream):
    prefetcher = Prefetcher(build(tmp_path, stream).parts.batches)
    many = [range(n, n + 1) for n in range(10**6)]
    assert prefetcher.step(many, [], lambda: True) is None
    prefetcher.close()


class Told(Quiet):
    """Scores that rise from step to step, and an evaluation that a pause falls on."""

    def __init__(self, trainer: Trainer, pause_at: int | None) -> None:
        self.trainer, self.pause_at = trainer, pause_at
        self.told: list[tuple[object, ...]] = []
        self.looked = 0

    def emit(self, event: Event) -> set[Signal]:
        if isinstance(event, EvalEnd):
            self.told.append(("eval", event.step, event.val_loss, event.best))
        if isinstance(event, EpochEnd):
            self.told.append(("epoch", event.step, event.epoch, event.train_loss))
        return set()

    def score(self, between: object) -> Scores:
        if self.trainer.state.step == self.pause_at:
            self.trainer.parts.watch.ask(Stop("paused", "request"))
            raise Abandoned
        score = Score(float(self.trainer.state.step), 1, None, 0.0)
        return Scores(score, score)

    def keep(self, name: str, value: object) -> None:
        if name == "looked":
            self.looked = int(str(value))


@pytest.mark.parametrize("interval", [Interval(7), Interval(1, "epochs")], ids=str)
def test_what_a_pause_cut_short_is_made_up_for(tmp_path, stream, interval):
    def begin(folder: Path, pause_at: int | None = None) -> tuple[Trainer, Told]:
        trainer = build(folder, stream, steps=34)
        told = Told(trainer, pause_at)
        settings = replace(trainer.settings, eval_interval=interval, save_interval=interval)
        trainer = Trainer(settings, replace(trainer.parts, outside=told), TrainState())
        told.trainer = trainer
        return trainer, told

    straight, wanted = begin(tmp_path / "straight")
    assert straight.run().status == "completed"
    first = int(str(wanted.told[0][1]))
    broken, before = begin(tmp_path / "broken", pause_at=first)
    assert broken.run().status == "paused"
    resumed, after = begin(tmp_path / "broken")
    path = resumed.parts.store.path(first)
    resumed.restore(read_checkpoint(path, resumed.parts, None), before.looked)
    assert resumed.run().status == "completed"
    assert before.told + after.told == wanted.told
    marks = [trainer.parts.store.marked("best") for trainer in (straight, resumed)]
    assert marks[0] == marks[1]
    assert resumed.state.epoch_loss == straight.state.epoch_loss


def test_a_state_survives_its_checkpoint(tmp_path, stream):
    trainer = build(tmp_path, stream)
    assert trainer.train_step()
    state = TrainState(1, 5, 2.5, 3, 0.25, 1.5, 2.0)
    taken = snapshot(trainer.parts, None, state)
    store = store_on(Disk(), tmp_path)
    with store.commit(1) as writer:
        taken.write(writer)
    assert read_checkpoint(store.path(1), trainer.parts, None) == state


_TEAMS = """
import sys
import psutil, torch
from concurrent.futures import ThreadPoolExecutor
from create_llm.training.beside import thread_beside

def work():
    return float(torch.ones(4_000_000).add(1).sum())

torch.set_num_threads(2)
work()
executor = thread_beside("test") if sys.argv[1] == "beside" else ThreadPoolExecutor(1)
executor.submit(int).result()
before = psutil.Process().num_threads()
executor.submit(work).result()
work()
print(psutil.Process().num_threads() - before, torch.get_num_threads())
"""


@pytest.mark.parametrize(("how", "more"), [("beside", 0), ("plain", 1)])
def test_a_thread_beside_the_training_takes_no_team_of_its_own(how, more):
    command = [sys.executable, "-c", _TEAMS, how]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found.split() == [str(more), "2"]
