"""Models side by side, and a project's versions, through the command line on real tiny models."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import create_llm
from create_llm.cli.app import run
from create_llm.models.comparison import best_of
from tests.journey import SETTINGS, flags, sentences

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Without the short trial of whether compiling would pay.
QUICK = SETTINGS | {"training.compile": "off"}
KEYS = {name.replace(".", "__"): value for name, value in QUICK.items()}
WORDPIECE = {"tokenizer__name": "wordpiece", "tokenizer__vocab_size": 400}
BERT = {"model__name": "bert", "model__max_length": 32}
# As llm.toml would say it: what the project's prepared data was made with.
SET = flags({**QUICK, "tokenizer.name": "wordpiece", "tokenizer.vocab_size": 400})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """v1 with BPE, v2 with WordPiece, v3 as v2 but a BERT."""
    root = tmp_path_factory.mktemp("compare")
    with pytest.raises(SystemExit):
        run(["-C", str(root), "new", "p", "--template", "nano", "--yes"])
    project = root / "p"
    (project / "data" / "raw" / "days.txt").write_text(sentences(1500))
    (project / "evaluation" / "prompts.txt").write_text("Ada sees\n\n<b>Bo</b>\n")
    create_llm.train(project, max_steps=12, **KEYS)
    create_llm.train(project, max_steps=6, **KEYS | WORDPIECE)
    sizes = {k: v for k, v in KEYS.items() if not k.startswith("model__")}
    create_llm.train(project, max_steps=2, **sizes | WORDPIECE | BERT)
    return project


@pytest.fixture
def project(trained, tmp_path):
    """A copy to change."""
    return shutil.copytree(trained, tmp_path / "p")


@pytest.fixture
def llm(capfd):
    """Runs the command in this process: `(project, *arguments) -> (stdout, stderr)`."""

    def call(project, *arguments, code=0):
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(["-C", str(project), *map(str, arguments)])
        out, err = capfd.readouterr()
        assert (ended.value.code or 0) == code, f"{out}\n{err}"
        return out, err

    return call


@pytest.fixture
def compared(trained, llm):
    return json.loads(llm(trained, "compare", "v1", "v2", "v3", "--json", *SET)[0])


def test_the_figures_are_those_of_evaluate(trained, compared, llm):
    for model in compared["models"]:
        figures = json.loads(llm(trained, "evaluate", model["name"], "--json", *SET)[0])
        for metric in ("loss", "perplexity", "bits_per_byte", "tokens"):
            assert model[metric] == figures[metric], metric


def test_the_text_is_the_validation_part_and_the_same_for_all(trained, compared):
    text = compared["text"]
    assert text["bytes"] > 1000
    assert len(text["sha256"]) == 64
    assert compared["notes"] == []


def test_the_best_is_marked_where_it_can_be_compared(compared):
    first, second, bert = compared["models"]
    assert bert["bits_per_byte"] is None
    fewest = min((first, second), key=lambda model: model["bits_per_byte"])
    assert compared["best"]["bits_per_byte"] == [fewest["name"]]
    assert "loss" not in compared["best"]
    assert not compared["comparable_by_token"]


def test_the_settings_that_differ_are_shown(compared):
    differences = compared["differences"]
    assert differences["tokenizer.name"] == ["bpe", "wordpiece", "wordpiece"]
    assert differences["training.max_steps"] == [12, 6, 2]
    assert differences["model.name"] == ["gpt", "gpt", "bert"]
    assert "training.seed" not in differences


def test_the_curves_are_those_of_the_runs(compared):
    first, second, _ = compared["models"]
    assert [step for step, _ in first["curves"]["val/loss"]] == [6, 12]
    assert [step for step, _ in second["curves"]["train/loss"]] == [2, 4, 6]


def test_samples_are_of_the_same_prompts_and_seed(trained, llm, tmp_path):
    copy = shutil.copytree(trained / "models" / "v1", tmp_path / "copy")

    def samples(*options):
        found = json.loads(llm(trained, "compare", "v1", copy, "v3", "--json", *options, *SET)[0])
        return [model["samples"] for model in found["models"]]

    first, second, bert = samples()
    assert first == second
    assert list(first) == ["Ada sees", "<b>Bo</b>"]
    assert bert == {}
    assert samples("--seed", 7)[0] != first
    assert list(samples("--prompt", "x")[0]) == ["x"]


def test_a_comparison_leaves_a_page_its_json_and_a_line_in_the_logs(project, llm):
    found = json.loads(llm(project, "compare", "v1", "v2", "--json", *SET)[0])
    page, data = Path(found["report"]), Path(found["report_json"])
    assert page.parent == data.parent == project / "evaluation" / "reports"
    assert json.loads(data.read_text()) == found
    line = json.loads((project / "logs" / "comparisons.jsonl").read_text().splitlines()[-1])
    assert line["report"] == str(page)
    assert [model["name"] for model in line["models"]] == ["v1", "v2"]
    again = json.loads(llm(project, "compare", "v1", "v2", "--json", *SET)[0])
    assert again["report"] != found["report"]


FOREIGN = re.compile(r"https?:|//[a-z]|\b(?:src|href)\s*=|url\(|@import|<script", re.IGNORECASE)


@pytest.mark.parametrize("verb", [("compare", "v1", "v2", "v3"), ("runs", "plot")])
def test_a_page_is_well_formed_and_needs_nothing_else(project, llm, verb):
    path = page_of(project, llm, verb)
    text = path.read_text(encoding="utf-8")
    assert FOREIGN.findall(text) == []
    assert FOREIGN.findall('<a href="x">')  # the pattern can find something
    body = ET.fromstring(text.removeprefix("<!DOCTYPE html>"))
    assert len(list(body.iter("svg"))) >= 1
    if verb[0] == "compare":
        assert "&lt;b&gt;Bo&lt;/b&gt;" in text
        assert "it does not write" in text


@pytest.mark.parametrize("verb", [("compare", "v1", "v2"), ("runs", "plot")])
def test_a_browser_shows_the_page(project, llm, tmp_path, verb):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no browser of the Chromium family is installed")
    path, picture = page_of(project, llm, verb), tmp_path / "page.png"
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--screenshot={picture}", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert picture.is_file(), done.stderr
    assert picture.stat().st_size > 5000
    assert "CONSOLE" not in done.stderr


def page_of(project, llm, verb):
    found = json.loads(llm(project, *verb, "--json", *SET)[0])
    return Path(found["report" if verb[0] == "compare" else "path"])


def test_the_terminal_shows_a_table_and_the_samples(trained, llm):
    out, err = llm(trained, "compare", "v1", "v2", "--prompt", "Ada", *SET)
    assert re.search(r"model +bits per byte +loss", out)
    assert re.search(r"tokenizer.name +bpe +wordpiece", out)
    assert out.count("\nAda") == 2
    assert "Report: " in err


def test_models_and_a_text_can_be_compared_outside_a_project(trained, llm, tmp_path):
    (tmp_path / "text.txt").write_text(sentences(50))
    models = [trained / "models" / name for name in ("v1", "v2")]
    out, _ = llm(tmp_path, "compare", *models, "--text", "text.txt", "--json")
    found = json.loads(out)
    assert (found["report"], found["prompts"]) == (None, [])
    assert found["text"]["documents"] == 1
    llm(tmp_path, "compare", *models, "--text", "text.txt", "--report", "r.html")
    assert {"r.html", "r.json"} <= {path.name for path in tmp_path.iterdir()}


def test_what_is_missing_or_damaged_is_told_before_any_work(project, llm):
    _, err = llm(project, "compare", "v1", code=2)
    assert "2 to 5 models, got 1" in err
    _, err = llm(project, "compare", "v1", "v22", code=2)
    assert "did you mean 'v2'?" in err
    with (project / "models" / "v2" / "model.safetensors").open("r+b") as file:
        file.write(b"\xff")
    _, err = llm(project, "compare", "v1", "v2", code=65)
    assert "model.safetensors is not what was written" in err
    assert "scoring" not in err


def test_a_model_of_other_text_is_noted(project, llm):
    (project / "data" / "raw" / "more.txt").write_text(sentences(1600))
    llm(project, "data", "prepare", *SET)
    found = json.loads(llm(project, "compare", "v1", "v2", "--json", *SET)[0])
    assert [note.split()[0] for note in found["notes"]] == ["v1", "v2"]


def test_the_list_is_sorted_and_filtered(trained, llm):
    def names(*options):
        return [row["version"] for row in json.loads(llm(trained, "runs", "list", "--json", *options)[0])["runs"]]  # fmt: skip  # noqa: E501

    assert names() == ["v1", "v2", "v3"]
    assert names("--reverse") == ["v3", "v2", "v1"]
    assert names("--sort", "steps") == ["v3", "v2", "v1"]
    assert names("--sort", "val_bits_per_byte")[-1] == "v3"
    assert names("--where", "tokenizer.name=wordpiece", "--where", "steps>2") == ["v2"]
    assert names("--status", "failed") == []
    assert re.search(r"v3 \(active\)", llm(trained, "runs", "list")[0])


def test_show_and_diff_tell_of_versions(trained, llm):
    shown = json.loads(llm(trained, "runs", "show", "v1", "--json")[0])
    assert (shown["version"], shown["status"], shown["steps"]) == ("v1", "completed", 12)
    assert len(shown["lineage"]["tokenizer"]) == 64
    assert shown["manifest"]["run"] == shown["run"]
    found = json.loads(llm(trained, "runs", "diff", "v1", "v2", "--json")[0])
    assert found["settings"]["tokenizer.name"] == ["bpe", "wordpiece"]
    assert found["figures"]["steps"] == [12, 6]
    out, _ = llm(trained, "runs", "diff", "v1", "v2")
    assert re.search(r"training.max_steps +12 +6", out)


def test_another_version_is_made_active(project, llm):
    assert json.loads(llm(project, "runs", "use", "v1", "--json")[0]) == {
        "active": "v1",
        "before": "v3",
    }
    assert (project / "models" / "active").read_text() == "v1\n"
    _, err = llm(project, "runs", "use", "v11", code=2)
    assert "did you mean 'v1'?" in err
    (project / "models" / "v2" / "config.json").write_text("{}")
    llm(project, "runs", "use", "v2", code=65)


def test_archiving_and_removing_are_guarded_and_say_what_they_free(project, llm):
    _, err = llm(project, "runs", "remove", "v3", code=2)
    assert "v3 is the active version" in err
    best = min(
        json.loads(llm(project, "runs", "list", "--json")[0])["runs"],
        key=lambda row: row["val_bits_per_byte"] or 99,
    )["version"]
    other = {"v1": "v2", "v2": "v1"}[best]
    _, err = llm(project, "runs", "archive", best, code=2)
    assert "has the best score" in err
    told = json.loads(llm(project, "runs", "archive", other, "--json")[0])
    assert Path(told["archive"]).is_file()
    assert told["freed_bytes"] > 0
    _, err = llm(project, "generate", other, code=2)
    assert "tar -xzf" in err
    assert "freed" in llm(project, "runs", "remove", best, "--force")[0]
    assert not (project / "models" / best / "model.safetensors").exists()


def test_too_little_space_suggests_what_could_go(project, llm):
    _, err = llm(project, "train", *SET, "--set", "checkpoints.min_free_gb=1e9", code=74)
    assert re.search(r"llm runs remove v[12] +frees \d", err)


def test_a_run_like_a_version_has_its_recipe_unless_told_otherwise(project, llm):
    llm(project, "train", "--like", "v1", "--max-steps", 2, "--json")
    found = json.loads(llm(project, "runs", "diff", "v1", "v4", "--json")[0])
    assert found["settings"].keys() <= {
        "training.max_steps",
        "project.preset",
        "logging.log_interval",
    }
    assert found["settings"]["training.max_steps"] == [12, 2]
    assert found["lineage"]["parent"] == [None, "v1"]
    _, err = llm(project, "train", "--like", "v1", "--preset", "x", code=2)
    assert "--like and --preset both" in err
    _, err = llm(project, "train", "--like", "v12", code=2)
    assert "did you mean" in err


def test_a_version_is_reproduced_byte_for_byte(project, llm):
    out, _ = llm(project, "runs", "reproduce", "v2", "--json")
    found = json.loads(out)
    assert (found["verdict"], found["second"]) == ("bytes", "v4")
    assert found["hashes"]["data"][0] == found["hashes"]["data"][1]
    listed = json.loads(llm(project, "runs", "list", "--json")[0])["runs"]
    assert [row["version"] for row in listed if row["active"]] == ["v3"]
    assert [row["parent"] for row in listed] == [None, None, None, "v2"]


def test_other_text_is_not_trained_on_to_reproduce_a_version(project, llm):
    (project / "data" / "raw" / "more.txt").write_text("Another day.\n" * 50)
    _, err = llm(project, "runs", "reproduce", "v2", code=65)
    assert "cannot be reproduced" in err
    assert not (project / "models" / "v4").exists()


def test_the_timeline_is_drawn_into_one_file(project, llm):
    llm(project, "runs", "plot", "--output", "t.svg")
    texts = [element.text for element in ET.parse(project / "t.svg").iter() if element.text]
    assert {"v1", "v2", "the best so far"} <= set(texts)
    _, err = llm(project, "runs", "plot", "--output", "t.png", code=2)
    assert ".svg" in err


def row(name: str, bits: float, speed: float) -> dict[str, object]:
    figures = {"loss": bits, "perplexity": bits, "parameters": 1, "bytes": 1}
    same = {"tokenizer_sha256": "t", "objective": "causal"}
    return {
        "name": name,
        "bits_per_byte": bits,
        "tokens_per_second": speed,
        **figures,
        **same,
    }


def test_what_chance_explains_is_no_better():
    rows = [row("a", 2.0004, 100), row("b", 2.0, 108), row("c", 2.05, 60)]
    best = best_of(rows)
    assert best["bits_per_byte"] == best["loss"] == ["b", "a"]
    assert best["tokens_per_second"] == ["b", "a"]
    assert "bytes" not in best
    assert best_of(rows[:2]) == {}


def test_one_model_twice_is_no_comparison(trained, llm):
    _, err = llm(trained, "compare", "v1", "v1", *SET, code=2)
    assert "'v1' was named 2 times" in err


def test_doctor_names_what_could_go_where_the_disk_is_full(trained, llm, monkeypatch):
    # 1 byte free, as far as the commands that ask are concerned.
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(2, 1, 1))
    out, _ = llm(trained, "doctor", "--json", *SET, code=74)
    (disk,) = [check for check in json.loads(out)["checks"] if check["name"] == "disk"]
    assert any(fix.startswith("llm runs remove v") for fix in disk["fixes"])
