"""llm fill, on a small model that has learnt who eats what."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import create_llm
from create_llm.cli import main
from create_llm.errors import ConfigError
from create_llm_bert.gaps import fill

EATS = {"cat": "fish", "cow": "grass", "bee": "honey", "dog": "meat"}
MASKED = 'name = "masked"\nprobability = 0.3'
SIZE = "max_length = 16\nlayers = 2\nheads = 4\ndim = 64\ndropout = 0.0\n"


def project(folder: Path, architecture: str, objective: str, steps: int) -> Path:
    """A trained model in a project of its own; the folder of its bundle."""
    pairs = random.Random(0).choices(list(EATS.items()), k=3000)
    sentences = [f" {eater} eats {food}." for eater, food in pairs]
    text = "".join("".join(sentences[n : n + 20]) + "\n" for n in range(0, 3000, 20))
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "data" / "raw" / "text.txt").write_text(text, "utf-8")
    (folder / "llm.toml").write_text(
        f'[model]\nname = "{architecture}"\n{SIZE}'
        '[tokenizer]\nname = "wordpiece"\nvocab_size = 300\n'
        '[data]\nsource = "text"\nstride = 5\n'
        f"[objective]\n{objective}\n"
        f"[training]\nbatch_size = 32\nmax_steps = {steps}\nlearning_rate = 0.002\n"
        f"warmup_steps = 20\neval_interval = {steps}\nsave_interval = {steps}\n",
        "utf-8",
    )
    return Path(create_llm.train(folder)["model"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("bert"), "bert", MASKED, steps=400)


def llm(*arguments: str) -> int:
    """The command line in this process; its exit code."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return int(exit_.value.code or 0)


@pytest.mark.parametrize("eater", EATS)
def test_a_gap_is_filled_from_what_stands_around_it(trained: Path, eater: str) -> None:
    model, food = create_llm.load(trained).loaded, EATS[eater]
    whole = f" {eater} eats {food}."
    assert fill(model, f" {eater} eats <mask>.", top=3).text == whole
    # From what comes after it as well, and at the very beginning of a text.
    begun = fill(model, f"<mask> eats {food}.", top=1)
    assert (begun.text, begun.gaps[0][0].token) == (whole, f" {eater}")
    # The space before a gap belongs to it: with or without one, the same is meant.
    assert fill(model, f" {eater} <mask> {food}.", top=2) == fill(
        model, f" {eater}<mask> {food}.", top=2
    )


def test_guesses_are_probabilities_best_first(trained: Path) -> None:
    model = create_llm.load(trained).loaded
    filled = fill(model, " bee eats <mask>. <mask> eats meat.", top=1000)
    assert filled.text == " bee eats honey. dog eats meat."
    assert len(filled.gaps) == 2
    for guesses in filled.gaps:
        likelihoods = [guess.probability for guess in guesses]
        assert likelihoods == sorted(likelihoods, reverse=True)
        assert sum(likelihoods) == pytest.approx(1.0, abs=1e-4)
        assert {guess.id for guess in guesses} == set(range(model.tokenizer.vocab_size))


def test_what_it_prints(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert llm("fill", " cow eats <mask>.", str(trained), "--top", "2") == 0
    first, empty, gap, *guesses = capsys.readouterr().out.splitlines()
    assert (first, empty, gap) == (" cow eats grass.", "", "gap 1")
    assert len(guesses) == 2
    assert guesses[0].endswith("%  ' grass'")


def test_json_is_one_object(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert llm("fill", "<mask> eats fish.", str(trained), "--top", "2", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result.keys() == {"model", "prompt", "text", "gaps"}
    assert result["prompt"] == "<mask> eats fish."
    assert result["text"] == " cat eats fish."
    assert len(result["gaps"][0]) == 2
    assert result["gaps"][0][0].keys() == {"token", "id", "probability"}


def test_other_control_tokens_stay_text(trained: Path) -> None:
    """Where a person writes the spelling of one, it stays the characters it is."""
    filled = fill(create_llm.load(trained).loaded, "</s> cat eats <mask>.", top=1)
    assert filled.text.startswith("</s> cat eats")


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (" cat eats fish.", ("has no gap to fill", "try: write <mask> in place of a word")),
        ("", ("has no gap to fill",)),
        (" cat eats <mask>." * 10, ("the text has 40 tokens, and the model reads 16 at most",)),
    ],
)
def test_texts_that_cannot_be_filled(
    trained: Path, text: str, messages: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert llm("fill", text, str(trained)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    for message in messages:
        assert message in err


def test_a_text_of_just_the_length_is_filled(trained: Path) -> None:
    model = create_llm.load(trained).loaded
    assert len(fill(model, "<mask>" * 16, top=1).gaps) == 16
    with pytest.raises(ConfigError, match="17 tokens"):
        fill(model, "<mask>" * 17, top=1)


def test_a_model_that_does_not_fill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = project(tmp_path / "gpt", "gpt", 'name = "causal"', steps=1)
    assert llm("fill", "the <mask>", str(other), "--json") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "a model of the kind GPT does not fill gaps" in err
    assert "llm new my-bert --template bert" in err
