"""Runs that a callback pauses or sends back, and what is told of it."""

from __future__ import annotations

import json

import pytest

from tests.conftest import ROOT
from tests.journey import SETTINGS, flags, llm, sentences, with_signals
from tests.scripted import STRUCK, VARIABLE, install_scripted

TOML = """\
plugins = ["scripted"]

[project]
template = "nano"

[tokenizer]
name = "byte"

[logging]
log_interval = 1
"""
QUICK = flags(
    {
        **{key: value for key, value in SETTINGS.items() if key != "tokenizer.vocab_size"},
        "training.compile": "off",
        "training.max_steps": 8,
        "training.save_interval": 2,
        "training.eval_interval": 4,
        "logging.log_interval": 1,
        "logging.guard": "false",
    }
)


@pytest.fixture(scope="module")
def overlay(tmp_path_factory):
    return install_scripted(tmp_path_factory.mktemp("plugin"))


def make_project(root):
    (root / "data/raw").mkdir(parents=True)
    (root / "data/raw/text.txt").write_text(sentences(200))
    (root / "llm.toml").write_text(TOML)


@pytest.fixture
def project(tmp_path):
    make_project(tmp_path)
    return tmp_path


@pytest.fixture
def scripted(project, overlay):
    """Runs the command where the callback answers by a script of (event and step, answer)."""

    def run(*words, script=(), code=0, struck=""):
        env = {VARIABLE: json.dumps(script), STRUCK: struck}
        return llm(project, *words, code=code, env=env, overlays=[overlay, ROOT])

    return run


def shown(scripted):
    return json.loads(scripted("runs", "show", "--json").stdout)


WHY = {"reason": "the loss only rises", "suggestions": ["a lower learning rate", "more text"]}
PAUSE = ("step 5", "Pause", WHY)


def test_a_pause_is_told_with_its_reason_and_what_to_do(scripted):
    told = scripted("train", *QUICK, script=[PAUSE], code=78).stderr
    assert "saved step 5 and stopped: the loss only rises\n" in told
    assert "try: a lower learning rate\n  try: more text\n" in told
    assert "try: or go on from there: llm train" in told
    assert shown(scripted)["paused_for"] == WHY
    lines = scripted("runs", "show").stdout
    assert "paused for         the loss only rises\n" in lines
    assert "try                more text\n" in lines
    scripted("train", *QUICK)
    assert "paused_for" not in shown(scripted)


def test_a_pause_without_a_reason_has_none_in_the_summary(scripted):
    scripted("train", *QUICK, script=[("step 3", "Signal", {"value": "pause"})], code=78)
    facts = shown(scripted)
    assert (facts["status"], facts["stopped_by"]) == ("paused", "callback")
    assert "paused_for" not in facts


BACK = (
    "step 5",
    "Retry",
    {
        "reason": "it jumps",
        "step": 4,
        "overrides": {"learning_rate": 0.5, "gradient_clip": 0.8, "divided": 2},
        "from_beginning": {"learning_rate": 0.1},
    },
)
AGAIN = ("step 6", "Retry", {**BACK[2], "step": 1, "reason": "it jumps again"})


def test_a_run_that_went_back_shows_what_it_did_otherwise(scripted, project):
    verdict = ("train_end 8", "Warn", {"message": "quality 62 of 100", "level": "note"})
    rate = ["--learning-rate", "0.01"]
    scripted("train", *QUICK, *rate, script=[BACK, verdict])
    lines = scripted("runs", "show").stdout
    assert "went back          from step 5 to 4: it jumps\n" in lines
    assert (
        "from there         0.5 times the learning rate, gradients no longer than 0.8, "
        "micro-batches divided by 2\n"
    ) in lines
    assert "learning rate      0.005 (0.01 at first)\n" in lines
    assert "gradient clip      0.8 (1.0 at first)\n" in lines
    assert "note               step 8: quality 62 of 100\n" in lines
    assert lines.count("it jumps") == 1
    assert shown(scripted)["warnings"][-1] == {
        "step": 8,
        "level": "note",
        "message": "quality 62 of 100",
        "suggestion": None,
    }


def starts(project):
    (events,) = project.glob("logs/*/events.jsonl")
    lines = map(json.loads, events.read_text().splitlines())
    return [event for event in lines if event["event"] == "train_start"]


def test_a_run_whose_remedies_are_damaged_is_shown_all_the_same(scripted, project):
    scripted("train", *QUICK, script=[BACK])
    (manifest,) = project.glob("logs/*/run.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "remedies": [5]}))
    told = scripted("runs", "show").stdout
    assert "cannot be read" in told
    assert "status" in told


def test_each_session_tells_with_what_it_learns(scripted, project):
    rate = ["--learning-rate", "0.01"]
    scripted("train", *QUICK, *rate, script=[BACK, AGAIN])
    told = [(each["learning_rate"], each["gradient_clip"]) for each in starts(project)]
    assert [round(rate, 6) for rate, _ in told] == [0.01, 0.005, 0.0005]
    assert [clip for _, clip in told] == [1.0, 0.8, 0.8]


def weights(project):
    (made,) = project.glob("models/v*/model.safetensors")
    return made.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, overlay):
    """The weights of a run that went back, and that nothing struck."""
    root = tmp_path_factory.mktemp("undisturbed")
    make_project(root)
    llm(root, "train", *QUICK, env={VARIABLE: json.dumps([BACK])}, overlays=[overlay, ROOT])
    return weights(root)


@with_signals
@pytest.mark.parametrize("where", ["rewind", "between"])
def test_ctrl_c_while_a_run_goes_back_is_answered_as_in_any_step(
    scripted, project, undisturbed, where
):
    told = scripted("train", *QUICK, script=[BACK], struck=f"{where} SIGINT", code=130).stderr
    assert "saved step 4 and stopped" in told
    assert "before training began" not in told
    facts = shown(scripted)
    assert (facts["status"], facts["stopped_by"]) == ("interrupted", "SIGINT")
    assert len(facts["remedies"]) == 1
    scripted("train", *QUICK, script=[BACK])
    assert weights(project) == undisturbed


@pytest.mark.parametrize(("where", "code"), [("rewind", 74), ("between", 70)])
def test_a_failure_while_a_run_goes_back_leaves_a_summary(
    scripted, project, undisturbed, where, code
):
    scripted("train", *QUICK, script=[BACK], struck=f"{where} ENOSPC", code=code)
    facts = shown(scripted)
    assert (facts["status"], facts["step"]) == ("failed", 5)
    assert len(facts["remedies"]) == 1
    scripted("train", *QUICK, script=[BACK])
    assert weights(project) == undisturbed


def reproduced(scripted, project, script=()):
    """What `llm runs reproduce v1` finds, and what its run says that it did."""
    found = json.loads(scripted("runs", "reproduce", "v1", "--json", script=script).stdout)
    assert (project / "models/active").read_text().strip() == "v1"
    return found, shown(scripted)["remedies"]


SLOW = pytest.mark.slow
AT_BEST = ("eval 8", "Retry", {"reason": "by heart", "overrides": {"end_at_best": True}})
EARLIER = ("step 7", "Retry", {**BACK[2], "step": 2, "reason": "it jumps again"})


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([BACK, AGAIN], marks=SLOW),
        [BACK, EARLIER, BACK],
        pytest.param([BACK, AT_BEST], marks=SLOW),
        pytest.param([BACK, ("step 6", "Signal", {"value": "stop"})], marks=SLOW),
    ],
    ids=["to the beginning", "behind an earlier time", "ended at its best", "stopped"],
)
def test_a_run_that_went_back_is_reproduced_byte_for_byte(scripted, project, script):
    scripted("train", *QUICK, script=script)
    then = shown(scripted)["remedies"]
    assert then
    found, now = reproduced(scripted, project)
    assert found["verdict"] == "bytes"
    assert now == [{**each, "at_step": each["from_step"]} for each in then]
    told = scripted("runs", "show").stdout
    assert "went back" not in told
    assert "otherwise" in told


@pytest.mark.slow
def test_a_run_that_was_left_alone_is_left_alone_when_it_is_reproduced(scripted, project):
    """Whatever callbacks would do today."""
    scripted("train", *QUICK)
    script = [("step 3", "Signal", {"value": "stop"}), PAUSE, ("step 6", *BACK[1:])]
    found, remedies = reproduced(scripted, project, script)
    assert (found["verdict"], remedies) == ("bytes", [])


def test_a_run_like_one_that_went_back_says_that_it_does_not(scripted):
    scripted("train", *QUICK, script=[BACK])
    told = scripted("train", "--like", "v1", "--max-steps", "2", *QUICK[:-2]).stderr
    assert "went back once to learn otherwise" in told
    assert "llm runs reproduce v1" in told


@with_signals
def test_a_reproduction_that_was_cut_short_goes_on_as_one(scripted, project):
    scripted("train", *QUICK, script=[BACK])
    words = ("runs", "reproduce", "v1", "--json")
    scripted(*words, struck="between SIGINT", code=130)
    found, remedies = reproduced(scripted, project)
    assert (found["verdict"], len(remedies)) == ("bytes", 1)
    assert len(list(project.glob("logs/*/run.json"))) == 2
