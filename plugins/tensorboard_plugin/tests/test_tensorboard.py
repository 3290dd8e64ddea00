"""The callback `tensorboard`, read back with TensorBoard's own reader."""

from __future__ import annotations

import html
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as PluginEventAccumulator,
)
from tensorboard.plugin_util import markdown_to_safe_html
from tests.journey import SMALL, llm, sentences

from create_llm.kernel.plugins import load_plugins
from create_llm.runs.events import Event, SampleGenerated
from create_llm.testing.events import eval_end, step_end, train_end, train_start
from create_llm.training.dispatch import Dispatcher, Dropped
from create_llm_tensorboard.callback import TensorBoard
from create_llm_tensorboard.config import TensorBoardConfig

FIGURES = {
    "train/loss": "loss",
    "train/learning_rate": "learning_rate",
    "train/grad_norm": "grad_norm",
    "train/tokens_per_second": "tokens_per_second",
    "train/memory_bytes": "memory_bytes",
}

TRAIN_A_STEP = """\
import sys
from pathlib import Path
import create_llm_tensorboard.callback
from create_llm.testing.events import train_start
from create_llm_tensorboard.config import TensorBoardConfig
early = {name.partition(".")[0] for name in sys.modules} & {"tensorboard", "google", "torch"}
assert not early, early
callback = create_llm_tensorboard.callback.TensorBoard(TensorBoardConfig())
callback.on_train_start(train_start(Path(sys.argv[1])))
assert "tensorboard" in sys.modules
assert "tensorflow" not in sys.modules
"""


def play(events: list[Event], **config: Any) -> list[Dropped]:
    dropped: list[Dropped] = []
    callback = TensorBoard(TensorBoardConfig(**config))
    dispatcher = Dispatcher([("tensorboard", callback)], dropped.append)
    for event in events:
        assert dispatcher.emit(event) == set()
    return dropped


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard")).Reload()


def points(found: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in found.Scalars(tag)]


def texts(found: EventAccumulator, tag: str = "sample") -> list[tuple[int, bytes]]:
    return [(event.step, event.tensor_proto.string_val[0]) for event in found.Tensors(tag)]


def test_every_figure_is_a_point_at_its_step(tmp_path: Path):
    steps = [step_end(10), step_end(20)]
    evals = [eval_end(10), eval_end(20, val_loss=4.9, val_bits_per_byte=2.2)]
    assert play([train_start(tmp_path), steps[0], evals[0], steps[1], evals[1], train_end()]) == []
    found = read(tmp_path)
    for tag, field in FIGURES.items():
        expected = [(event.step, pytest.approx(getattr(event, field))) for event in steps]
        assert points(found, tag) == expected
    assert points(found, "val/loss") == [(10, pytest.approx(5.1)), (20, pytest.approx(4.9))]
    bits = [(10, pytest.approx(2.345)), (20, pytest.approx(2.2))]
    assert points(found, "val/bits_per_byte") == bits
    assert set(found.Tags()["scalars"]) == {*FIGURES, "val/loss", "val/bits_per_byte"}


def test_a_point_is_in_the_file_before_the_run_is_over(tmp_path: Path):
    play([train_start(tmp_path), step_end(10)])
    assert points(read(tmp_path), "train/loss") == [(10, pytest.approx(0.6))]


def test_what_was_not_measured_has_no_point_and_what_is_no_number_stays_none(tmp_path: Path):
    unscored = eval_end(10, val_bits_per_byte=None)
    play([train_start(tmp_path), step_end(10, loss=math.nan), unscored, train_end()])
    found = read(tmp_path)
    assert "val/bits_per_byte" not in found.Tags()["scalars"]
    ((_, loss),) = points(found, "train/loss")
    assert math.isnan(loss)


def test_a_resumed_run_voids_the_steps_that_it_takes_again(tmp_path: Path):
    before = [step_end(step) for step in (10, 20, 30)]
    sample = SampleGenerated(step=30, prompt="Once", text=" lost")
    play([train_start(tmp_path), *before, sample])
    again = [step_end(step, loss=1.5) for step in (30, 40)]
    more = SampleGenerated(step=40, prompt="Once", text=" more")
    play([train_start(tmp_path, step=20, resumed_from=20), *again, more, train_end(40)])
    assert points(read(tmp_path), "train/loss") == [
        (10, pytest.approx(0.6)),
        (20, pytest.approx(0.3)),
        (30, 1.5),
        (40, 1.5),
    ]
    # The reader for scripts keeps old texts; this one is TensorBoard's own.
    shown = PluginEventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert texts(shown) == [(40, b"    Once more")]
    assert [event.step for event in shown.Tensors("train/loss")] == [10, 20, 30, 40]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2


@pytest.mark.parametrize(
    "text",
    [
        "Once upon a time\n\n    there was",
        "# not a title\n* not a list\n\n---\n[x](javascript:alert(1)) `a` **b**",
        "<script>alert(1)</script> & <img src=x onerror=alert(1)>",
        "```\nnot a fence\n```",
    ],
)
def test_a_sample_is_shown_as_it_is(tmp_path: Path, text: str):
    play([train_start(tmp_path), SampleGenerated(step=10, prompt=text[:3], text=text[3:])])
    ((step, markdown),) = texts(read(tmp_path))
    assert step == 10
    shown = markdown_to_safe_html(markdown)
    inside = shown.removeprefix("<pre><code>").removesuffix("\n</code></pre>")
    assert len(shown) - len(inside) == len("<pre><code>\n</code></pre>")
    assert "<" not in inside
    assert html.unescape(inside) == text


def test_a_sample_that_is_no_text_at_all_does_no_harm(tmp_path: Path):
    odd = ["", "\x00\x1b[2J", "lone \ud800 surrogate", "\u2028\x0b<b>x</b>"]
    samples = [SampleGenerated(step=i, prompt="", text=text) for i, text in enumerate(odd)]
    assert play([train_start(tmp_path), *samples, step_end(10)]) == []
    found = read(tmp_path)
    assert "<b>" not in markdown_to_safe_html(texts(found)[3][1])
    assert points(found, "train/loss")


def test_samples_can_be_left_out(tmp_path: Path):
    sample = SampleGenerated(step=10, prompt="Once", text=" upon")
    play([train_start(tmp_path), sample, train_end()], samples=False)
    assert read(tmp_path).Tags()["tensors"] == []


def test_without_tensorboard_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "create_llm_tensorboard.event_file", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    (dropped,) = play([train_start(tmp_path), step_end(10), train_end()])
    assert (dropped.name, dropped.method) == ("tensorboard", "on_train_start")


def test_a_run_that_never_started_ends(tmp_path: Path):
    assert play([train_end(0, "failed")]) == []


def test_tensorflow_is_not_imported_and_tensorboard_only_when_a_run_starts(tmp_path: Path):
    (tmp_path / "tensorflow.py").write_text("")
    subprocess.run(
        [sys.executable, "-c", TRAIN_A_STEP, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
        timeout=60,
    )


def test_the_plugin_offers_the_callback():
    part = load_plugins({}).registry.get("callbacks", "tensorboard")
    assert part.distribution == "create-llm-tensorboard"
    assert part.load() is TensorBoard
    assert part.config_model() is TensorBoardConfig
    with pytest.raises(ValidationError):
        TensorBoardConfig(sample=True)


def test_a_training_in_a_project_is_recorded(tmp_path: Path):
    llm(tmp_path, "new", "p", "--template", "nano", "--yes")
    project = tmp_path / "p"
    (project / "data" / "raw" / "days.txt").write_text(sentences(300))
    settings = (project / "llm.toml").read_text()
    switches = "[logging]\ntensorboard = true\nwandb = false\n"
    (project / "llm.toml").write_text(settings.replace("[logging]\n", switches))
    llm(project, "train", "--max-steps", 6, *SMALL)
    (run,) = (project / "logs").glob("*/run.json")
    lines = (run.parent / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    told = [(e["step"], pytest.approx(e["loss"])) for e in events if e["event"] == "step"]
    assert not (run.parent / "wandb").exists()
    found = read(run.parent)
    assert [step for step, _ in points(found, "train/loss")] == [2, 4, 6]
    assert points(found, "train/loss") == told
    assert [step for step, _ in points(found, "val/bits_per_byte")] == [6]
    assert [step for step, _ in texts(found)] == [6]
