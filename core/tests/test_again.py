"""Commands that are suggested: those of the run, with what is to be changed."""

from __future__ import annotations

import pytest

from create_llm.cli.train import command as train
from create_llm.runs.again import FLAGS, rerun_command

RATE = {"training.learning_rate": 0.0009}


@pytest.mark.parametrize(
    ("given", "suggested"),
    [
        ("", "llm train --resume never --learning-rate 0.0009"),
        ("llm quickstart", "llm train --resume never --learning-rate 0.0009"),
        ("/bin/llm train", "llm train --resume never --learning-rate 0.0009"),
        (
            "llm train --learning-rate 5 --set model.layers=4 --seed=7",
            "llm train --set model.layers=4 --seed=7 --resume never --learning-rate 0.0009",
        ),
        (
            "llm -C there train --learning-rate=5 --max-steps 30 --resume 2026",
            "llm -C there train --max-steps 30 --resume never --learning-rate 0.0009",
        ),
        (
            "llm --set training.learning_rate=5 train --resume=auto --json",
            "llm train --json --resume never --learning-rate 0.0009",
        ),
        (
            "llm train --set=training.learning_rate=5 --set=training.learning_rate_x=1",
            "llm train --set training.learning_rate_x=1 --resume never --learning-rate 0.0009",
        ),
    ],
)
def test_the_flags_of_the_run_stay_and_the_changed_one_is_replaced(given, suggested):
    assert rerun_command(given.split(), RATE) == suggested


def test_what_a_shell_would_take_apart_is_quoted_and_what_a_person_fills_in_is_not():
    command = ["llm", "train", "--corpus-path", "my book.txt", "--set", "model.layers=2"]
    changes = {"model.layers": "…", "training.gradient_clip": 0.25}
    assert rerun_command(command, changes) == (
        "llm train --corpus-path 'my book.txt' --resume never --set model.layers=… "
        "--set training.gradient_clip=0.25"
    )


def test_what_is_to_be_changed_may_be_nothing():
    assert rerun_command(["llm", "train", "--json"], {}) == "llm train --json --resume never"


def test_a_secret_is_not_repeated():
    command = ["llm", "train", "--set", "wandb.api_key=abc", "--set=hf.token=abc"]
    assert "abc" not in rerun_command(command, {})


def test_each_flag_is_one_of_the_command():
    known = {option for param in train.params for option in param.opts}
    assert set(FLAGS.values()) <= known
