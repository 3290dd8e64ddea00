"""Callbacks hear every event, and one's failure stays its own."""

from __future__ import annotations

import pytest

from create_llm.errors import PluginError
from create_llm.runs.events import EpochStart, TrainEnd
from create_llm.training.callbacks import Callback, Overrides, Pause, Retry, Signal, Warn
from create_llm.training.dispatch import Dispatcher

EVENT = EpochStart(step=3, epoch=1)


class Recorder(Callback):
    def __init__(self, answer=None):
        self.heard = []
        self.answer = answer

    def on_epoch_start(self, event):
        self.heard.append(event)
        return self.answer


class Broken(Callback):
    def on_epoch_start(self, event):
        raise RuntimeError("no")


class CriticalAndBroken(Broken):
    critical = True


def dispatcher(*callbacks):
    dropped = []
    named = [(f"c{n}", callback) for n, callback in enumerate(callbacks)]
    return Dispatcher(named, dropped.append), dropped


def test_a_failing_callback_is_dropped_and_its_peers_go_on():
    before, after = Recorder(), Recorder()
    callbacks, dropped = dispatcher(before, Broken(), after)
    callbacks.emit(EVENT)
    callbacks.emit(EVENT)
    assert before.heard == after.heard == [EVENT, EVENT]
    assert [(d.name, d.method) for d in dropped] == [("c1", "on_epoch_start")]
    assert "RuntimeError: no" in dropped[0].traceback


def test_a_critical_callback_stops_the_run_and_is_named():
    callbacks, _ = dispatcher(CriticalAndBroken())
    with pytest.raises(PluginError, match="'c0' failed in on_epoch_start"):
        callbacks.emit(EVENT)


def test_signals_are_collected_and_other_answers_are_not():
    callbacks, _ = dispatcher(Recorder(Signal.STOP), Recorder("nonsense"), Recorder(Signal.PAUSE))
    assert callbacks.emit(EVENT) == {Signal.STOP, Signal.PAUSE}


def test_several_answers_come_in_their_order():
    retry = Retry("it went wrong", 3)
    several = [
        Warn("one"),
        Pause("why", ("what",)),
        retry,
        Warn("two", "do something"),
        "nonsense",
        Signal.STOP,
    ]
    callbacks, _ = dispatcher(Recorder(several), Recorder(Warn("one")))
    assert list(callbacks.emit(EVENT)) == [*several[:4], Signal.STOP]


@pytest.mark.parametrize(
    "wrong",
    [{"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"gradient_clip": 0}, {"divided": 0}],
)
def test_what_cannot_be_done_otherwise_is_refused_where_it_is_asked_for(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Overrides(**wrong)


def test_every_event_has_a_method():
    end = TrainEnd(
        step=1, status="completed", stopped_by="max_steps", seconds=1.0,
        train_loss=None, val_loss=None, val_bits_per_byte=None,
    )  # fmt: skip
    callbacks, dropped = dispatcher(Callback())
    assert callbacks.emit(end) == set()
    assert not dropped


def test_who_wants_every_step_is_known():
    class Eager(Callback):
        every_step = True

    callbacks, _ = dispatcher(Callback(), Eager())
    assert callbacks.every_step == ["c1"]


def test_suggestions_may_come_as_any_sequence_or_as_one():
    assert Pause("why", ["one", "two"]) == Pause("why", ("one", "two"))
    assert Pause("why", "one").suggestions == ("one",)


def test_an_answer_that_cannot_be_kept_drops_its_callback_alone():
    odd, after = Recorder(Retry(["no words"])), Recorder(Signal.STOP)
    callbacks, dropped = dispatcher(odd, after)
    assert callbacks.emit(EVENT) == {Signal.STOP}
    assert "unhashable" in dropped[0].error
