"""What the files of a project tell of its runs and versions, and what is done with them."""

from __future__ import annotations

import json
import tarfile
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from create_llm.cli.runs_filter import Condition, matching
from create_llm.errors import ConfigError, DataError, LockedError
from create_llm.models.bundle import INFO, WEIGHTS
from create_llm.models.comparison import best_of
from create_llm.models.versions import (
    active_version,
    find_bundle,
    next_version,
    set_active,
    versions,
)
from create_llm.project.folder import Project
from create_llm.runs.chart import Line, line_chart, svg_file, ticks
from create_llm.runs.curves import MAX_POINTS, curves_of
from create_llm.runs.history import entry_called, history
from create_llm.runs.lock import RunLock
from create_llm.runs.origin import Origin, origin_of, versions_named
from create_llm.runs.page import figure, render
from create_llm.runs.recipe import exact, parent_of, recipe_of, save_recipe
from create_llm.runs.removal import archive, refuse_unless_spare, remove, room_of, spare
from create_llm.runs.reproduction import compare_runs
from create_llm.runs.run import run_folder, runs_of
from create_llm.runs.settings import differences
from create_llm.runs.timeline import timeline
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage, verify

CONFIG = {
    "project": {"preset": None},
    "model": {"name": "gpt", "layers": 2, "vocab_size": None},
    "tokenizer": {"name": "bpe"},
    "objective": {"name": None},
    "data": {"source": "text", "workers": 2, "password": "**********"},
    "training": {"seed": 1, "device": "auto", "precision": "auto", "max_seconds": 60.0},
    "generation": {"top_k": 50},
    "logging": {"log_interval": 10},
}


def set_key(config, dotted, value):
    section, key = dotted.split(".")
    return {**config, section: {**config[section], key: value}}


class Made:
    """A project with runs and versions, made as training makes them but for the training."""

    def __init__(self, root):
        self.project = Project(root)
        self.models = self.project.models

    def version(self, name, run, bits, config=CONFIG, weights=b"1234"):
        info = {
            "format": 1,
            "run": run,
            "architecture": "gpt",
            "tokenizer": "bpe",
            "parameters": 9,
            "created": f"2026-01-0{name[1:]}T00:00:00Z",
            "metrics": {"steps": 4, "val_loss": 2.0, "val_bits_per_byte": bits},
            "data": {"key": "d" * 64},
            "recipe": config,
        }
        with Storage().commit(self.models / name) as writer:
            writer.write(WEIGHTS, [weights])
            writer.write_json(INFO, info)
        set_active(self.models, name)

    def run(self, name, status="completed", config=CONFIG, **frozen):
        run = run_folder(self.project.logs, self.project.checkpoints, name)
        identity = {"data": "d" * 64, "tokenizer": "t" * 64}
        run.write_manifest({"config": config, "identity": identity, "frozen": frozen})
        if status:
            run.write_summary({"status": status, "steps": 4})
        with CheckpointStore(run.checkpoints, 2, Storage()).commit(4) as writer:
            writer.write("state", [bytes(1000)])
        return run

    def both(self, number, bits, **options):
        run = f"2026010{number}-000000"
        self.run(run, config=options.get("config", CONFIG))
        self.version(f"v{number}", run, bits, **options)

    def history(self):
        runs = list(runs_of(self.project.logs, self.project.checkpoints))
        return history(self.models, runs)

    def called(self, name):
        return entry_called(name, self.history())


@pytest.fixture
def made(tmp_path):
    made = Made(tmp_path)
    for number, bits in ((1, 2.5), (2, 2.0), (3, 2.2)):
        made.both(number, bits)
    return made


def test_the_history_has_each_run_with_its_version(made):
    made.run("20260104-000000", status=None)
    rows = [entry.row() for entry in made.history()]
    assert [row["version"] for row in rows] == ["v1", "v2", "v3", None]
    assert [row["status"] for row in rows] == ["completed"] * 3 + ["killed"]
    assert [row["version"] for row in rows if row["best"]] == ["v2"]
    assert [row["version"] for row in rows if row["active"]] == ["v3"]
    assert rows[0]["val_bits_per_byte"] == 2.5
    assert rows[3]["steps"] == 4
    assert all(row["bytes"] > 1000 for row in rows)


def test_a_version_without_a_run_and_a_damaged_one_are_listed_too(made):
    made.version("v4", None, 3.0)
    (made.models / "v1" / INFO).write_text("{")
    states = {e.version.name: e.version.state for e in made.history() if e.version}
    assert states == {"v1": "damaged", "v2": "present", "v3": "present", "v4": "present"}
    assert made.called("v4").run is None
    assert made.called("20260101-000000").version is None


def test_an_entry_is_found_by_version_and_run_and_a_wrong_name_gets_the_nearest(made):
    assert made.called("20260102-000000").version.name == "v2"
    assert made.called("v2").run.name == "20260102-000000"
    with pytest.raises(ConfigError) as caught:
        made.called("20260102-00000")
    assert "did you mean '20260102-000000'?" in caught.value.fixes


@pytest.mark.parametrize(
    ("name", "reason"), [("v3", "is the active version"), ("v2", "has the best score")]
)
def test_the_active_and_the_best_version_are_guarded(made, name, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        refuse_unless_spare(made.called(name), "remove", force=False)
    assert any("--force" in fix for fix in caught.value.fixes)
    refuse_unless_spare(made.called(name), "remove", force=True)


def test_every_other_version_may_go(made):
    refuse_unless_spare(made.called("v1"), "remove", force=False)
    set_active(made.models, "v1")
    refuse_unless_spare(made.called("v3"), "remove", force=False)


def test_a_removed_version_leaves_its_number_and_its_logs(made):
    set_active(made.models, "v2")
    before = made.called("v3").row()["bytes"]
    room = remove(made.called("v3"), made.models)
    assert room.bytes < before
    run = made.called("20260103-000000")
    assert (run.version.state, run.run.checkpoints.exists()) == ("removed", False)
    assert run.run.status() == "completed"
    assert (versions(made.models), next_version(made.models)) == (["v1", "v2"], "v4")
    with pytest.raises(ConfigError, match="v3 was removed on"):
        find_bundle("v3", made.models)


def test_a_run_without_a_version_goes_with_its_logs(made):
    made.run("20260104-000000", status="failed")
    remove(made.called("20260104-000000"), made.models)
    assert len(made.history()) == 3


def test_a_live_run_is_not_removed(made):
    run = made.run("20260104-000000", status=None)
    with RunLock(run.path), pytest.raises(LockedError):
        remove(made.called(run.name), made.models)
    assert run.checkpoints.is_dir()


def test_room_counts_what_two_folders_share_once(made):
    run = made.called("v1").run
    (run.checkpoints / "linked").hardlink_to(made.models / "v1" / WEIGHTS)
    room = room_of(made.called("v1"))
    (run.checkpoints / "linked").unlink()
    assert room.bytes == room_of(made.called("v1")).bytes


def test_an_archive_gives_the_version_back_as_it_was(made):
    room = archive(made.called("v1"), made.models, None)
    assert not (made.models / "v1" / WEIGHTS).exists()
    with pytest.raises(ConfigError) as caught:
        find_bundle("v1", made.models)
    assert any("tar -xzf" in fix for fix in caught.value.fixes)
    assert made.called("20260101-000000").version.state == "archived"
    with tarfile.open(room.archive) as tar:
        tar.extractall(made.models, filter="data")
    verify(made.models / "v1")
    assert find_bundle("v1", made.models).info["run"] == "20260101-000000"
    assert made.called("v1").version.state == "present"


def test_an_archive_can_go_elsewhere(made, tmp_path):
    room = archive(made.called("v1"), made.models, tmp_path / "far" / "away")
    assert room.archive == tmp_path / "far" / "away" / "v1.tar.gz"
    assert made.called("20260101-000000").version.gone.archive == str(room.archive)


def test_a_damaged_version_is_not_archived_and_stays(made):
    (made.models / "v1" / WEIGHTS).write_bytes(b"123x")
    with pytest.raises(DataError, match="not what was written"):
        archive(made.called("v1"), made.models, None)
    assert (made.models / "v1" / INFO).is_file()
    assert not (made.models / "archive").exists()


def test_an_archive_that_reads_back_wrong_removes_nothing(made, monkeypatch):
    import create_llm.runs.removal as removal

    pack = removal._pack

    def torn(bundle, target):
        """As a disk does that lies: the archive of another content."""
        pack(bundle, target)
        with tarfile.open(target, "w:gz") as tar:
            tar.add(made.models / "v2" / INFO, f"{bundle.name}/{INFO}")

    monkeypatch.setattr(removal, "_pack", torn)
    with pytest.raises(DataError, match="v1 stays as it is"):
        archive(made.called("v1"), made.models, None)
    assert versions(made.models) == ["v1", "v2", "v3"]


def test_what_could_go_is_neither_active_nor_best_nor_the_newest_unfinished(made):
    made.run("20260104-000000", status="failed")
    made.run("20260105-000000", status="paused")
    assert [room.name for room in spare(made.history())] == ["v1", "20260104-000000"]


def test_conditions_on_columns_and_on_any_setting(made):
    made.both(4, 1.0, config=set_key(CONFIG, "model.layers", 8))
    entries = made.history()

    def found(*conditions):
        return [row["version"] for row in matching(conditions, entries)]

    assert found("model.layers=8") == ["v4"]
    assert found("val_bits_per_byte<2.3", "model.layers=2") == ["v2", "v3"]
    assert found("active=true") == ["v4"]
    assert found("status=failed") == []
    for wrong in ("model.layrs=8", "layers"):
        with pytest.raises(ConfigError):
            found(wrong)


@pytest.mark.parametrize(
    ("order", "value", "found", "holds"),
    [
        ("=", "2", 2, True),
        ("=", "2", 2.0, True),
        (">=", "2", 2, True),
        ("<", "2", 2, False),
        ("<", "two", 1, False),
        ("=", "gpt", "gpt", True),
        ("<", "gpt", "bert", False),
        ("=", "None", None, False),
    ],
)
def test_a_condition(order, value, found, holds):
    assert Condition("key", order, value).holds(found) is holds


def test_differences_are_those_of_any_of_the_configurations():
    other = set_key(set_key(CONFIG, "model.layers", 3), "model.form", "llama")
    assert differences([CONFIG, other, CONFIG]) == {
        "model.form": (None, "llama", None),
        "model.layers": (2, 3, 2),
    }
    assert differences([CONFIG, CONFIG]) == {}


def at(event, step, session=1, **fields):
    time = f"2026-01-01T00:00:{step:02}.000Z"
    return {"event": event, "time": time, "step": step, "session": session, **fields}


def test_curves_are_those_of_the_run_as_it_stands():
    curves = curves_of(
        [
            at("train_start", 0),
            at("step", 1, loss=5.0),
            at("step", 3, loss=4.0),
            at("eval", 3, val_loss=4.5, val_bits_per_byte=None),
            at("train_start", 1, 2, resumed_from=1),
            at("step", 2, 2, loss=3.0),
            at("step", 3, 2, loss=None, nonfinite=True),
        ]
    )
    assert curves == {"train/loss": ((1, 5.0), (2, 3.0))}


def test_long_curves_are_thinned_and_keep_their_end():
    points = curves_of(at("step", n % 60, loss=float(n)) | {"step": n} for n in range(1001))
    assert len(points["train/loss"]) <= MAX_POINTS
    assert points["train/loss"][-1] == (1000, 1000.0)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (2.31, 2.97), (-3.0, 12_345.0), (1e-5, 3e-5), (6.0, 7.0)]
)
def test_ticks_are_a_few_round_numbers_inside(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 8
    slack = (high - low) * 1e-9
    assert low - slack <= found[0] <= found[-1] <= high + slack
    steps = {round((b - a) / (high - low), 9) for a, b in pairwise(found)}
    assert len(steps) == 1


@pytest.mark.parametrize("points", [[], [(3, 2.0)], [(1, 2.0), (9, 2.0)], [(1, 0.0)]])
def test_a_chart_of_few_points_can_be_drawn(points):
    svg = ET.fromstring(line_chart("a & b", [Line("<x>", points)], x_label="x", y_label="y"))
    assert svg.find("title").text == "a & b"
    assert len(svg.findall(".//circle")) == len(points)


def test_a_point_stands_where_the_axes_say():
    svg = ET.fromstring(
        line_chart("t", [Line("l", [(0, 1.0), (10, 3.0)])], x_label="x", y_label="y")
    )
    first, last = svg.findall(".//circle")
    assert float(first.get("cx")) < float(last.get("cx"))
    assert float(first.get("cy")) > float(last.get("cy"))
    assert ET.fromstring(svg_file(ET.tostring(svg, encoding="unicode"))).tag.endswith("}svg")


def test_the_timeline_draws_each_version_and_the_best_so_far(made):
    made.both(4, None)
    svg = ET.fromstring(timeline([entry.row() for entry in made.history()]))
    texts = [element.text for element in svg.iter("text")]
    for name in ("v1", "v2", "v3", "v4 01-04", "the best so far"):
        assert name in texts
    assert len(svg.findall(".//circle")) == 3


def test_a_page_escapes_what_a_model_wrote_and_drops_what_no_page_may_hold():
    row = {"version": "<b>\x07\ud800", "active": False, "best": False, "state": "present"}
    rest = ("created", "parameters", "steps", "val_bits_per_byte", "val_loss", "run", "parent")
    page = render("timeline.html", title="&", chart="", rows=[{**row, **dict.fromkeys(rest)}])
    assert "&lt;b&gt;\ufffd\ufffd" in page
    ET.fromstring(page.replace("<!DOCTYPE html>", ""))
    page.encode()


def test_figures_for_people():
    told = [figure(v) for v in (None, 1.23456, 12345.678, 1e-6, 0.0, 12345, True, ["a", 1], "x")]
    assert told == ["-", "1.2346", "12,345.7", "1e-06", "0.0000", "12,345", "True", "a, 1", "x"]


ROW = {"tokenizer_sha256": "a", "objective": "causal", "parameters": 5, "bytes": 7}


def scored(name, **figures):
    usual = {"bits_per_byte": 2.0, "loss": 3.0, "perplexity": 20.0, "tokens_per_second": 9.0}
    return {"name": name, **ROW, **usual, **figures}


def test_the_best_of_each_metric_is_named():
    best = best_of([scored("a", loss=2.5), scored("b", tokens_per_second=11.0), scored("c")])
    assert best == {"loss": ["a"], "tokens_per_second": ["b"]}
    assert best_of([scored("a", bits_per_byte=None), scored("b"), scored("c")]) == {}


@pytest.mark.parametrize("other", [{"tokenizer_sha256": "b"}, {"objective": "masked"}])
def test_a_loss_per_token_has_no_best_among_other_tokens(other):
    best = best_of([scored("a"), scored("b", loss=1.0, bits_per_byte=1.0, **other)])
    assert best == {"bits_per_byte": ["b"]}


def test_a_recipe_has_what_makes_the_model_and_leaves_the_machine_alone():
    recipe = recipe_of("v1", CONFIG)
    assert list(recipe) == ["model", "tokenizer", "objective", "data", "training", "generation"]
    assert recipe["model"] == CONFIG["model"]
    assert recipe["data"] == {"source": "text"}
    assert "device" not in recipe["training"]
    with pytest.raises(DataError):
        recipe_of("v1", {"project": {}})


def test_an_exact_recipe_has_what_was_decided():
    decided = exact(CONFIG, {"precision": "bf16", "compiled": False, "fitted_steps": 30})
    wanted = {"precision": "bf16", "compile": "off", "max_steps": 30, "max_seconds": None}
    assert decided["training"] == {**CONFIG["training"], **wanted}
    assert exact(CONFIG, {"fitted_steps": None})["training"] == CONFIG["training"]


def test_a_saved_recipe_is_a_preset_that_tells_the_parent(made):
    path = save_recipe(made.project, "v1", CONFIG)
    assert path == "training/presets/like-v1.json"
    assert json.loads((made.project.root / path).read_text())["model"] == CONFIG["model"]
    made.both(4, 1.0, config=set_key(CONFIG, "project.preset", path))
    hashes = {"data": "d" * 64, "tokenizer": "t" * 64}
    assert made.called("v4").lineage == {**hashes, "parent": "v1", "init": None}
    assert parent_of({"project": {"preset": "pipeline"}}) is None
    assert parent_of({"project": {"preset": "training/presets/again-v7.json"}}) == "v7"


def test_a_reproduction_is_of_bytes_of_figures_or_none(made):
    made.both(4, 2.5)
    made.both(5, 2.51, weights=b"other")
    made.both(6, 2.6, weights=b"other")

    def verdict(name):
        return compare_runs(made.called("v1"), made.called(name)).verdict

    assert [verdict(name) for name in ("v4", "v5", "v6")] == ["bytes", "figures", "different"]


def test_a_reproduction_names_what_has_changed_around_it(made):
    run = made.run("20260104-000000", threads=4)
    made.version("v4", run.name, 2.5)
    found = compare_runs(made.called("v1"), made.called("v4")).as_dict()
    assert found["changes"] == {"threads": [None, 4]}
    assert found["hashes"]["tokenizer"] == ["t" * 64, "t" * 64]


def test_a_forced_removal_of_the_active_version_leaves_the_newest_as_active(made):
    remove(made.called("v3"), made.models, force=True)
    assert active_version(made.models) == "v2"


def test_a_number_that_anybody_names_is_not_given_again(made):
    """Folders that were deleted by hand leave no note."""
    runs = list(runs_of(made.project.logs, made.project.checkpoints))
    assert next_version(made.models, versions_named(made.models, runs)) == "v4"
    began = {"model": "v7", "weights_sha256": "7" * 64}
    runs[0].write_manifest({**runs[0].manifest(), "init": began})
    assert next_version(made.models, versions_named(made.models, runs)) == "v8"
    runs[1].write_summary({"status": "completed", "model": "/elsewhere/models/v11"})
    assert next_version(made.models, versions_named(made.models, runs)) == "v12"
    info = json.loads((made.models / "v1" / INFO).read_text())
    (made.models / "v1" / INFO).write_text(json.dumps({**info, "init": {**began, "model": "v20"}}))
    (made.models / "v2" / INFO).write_text("{")
    assert next_version(made.models, versions_named(made.models, runs)) == "v21"
    runs[2].write_manifest({**runs[2].manifest(), "init": {**began, "model": "/others/models/v90"}})
    assert next_version(made.models, versions_named(made.models, runs)) == "v21"


@pytest.mark.parametrize("stored", [None, 5, [], "v1", {"model": "v1"}, {"model": 1}])
def test_what_does_not_say_what_a_run_began_with_says_nothing(stored):
    assert origin_of(stored) is None


def test_what_a_run_began_with_is_read_and_told():
    origin = origin_of({"model": "v1", "weights_sha256": "ab" * 32, "later": 1})
    assert origin == Origin("v1", "ab" * 32)
    assert str(origin) == "v1 (abababab)"
