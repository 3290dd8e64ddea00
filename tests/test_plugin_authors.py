"""`llm plugins new`, `test` and `trace`, as the author of a plugin uses them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from create_llm.kernel.kinds import KINDS
from tests.journey import sentences
from tests.test_plugin_commands import on_a_terminal

ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Packages:
    """A new package of each kind, called `my-<kind>`, and the folder that all are installed in."""

    root: Path
    overlay: Path

    def folder(self, kind: str) -> Path:
        return self.root / f"my-{KINDS[kind].written}"


@pytest.fixture(scope="module")
def packages(
    llm, install_apart: Callable[[Sequence[Path]], Path], tmp_path_factory: pytest.TempPathFactory
) -> Packages:
    root = tmp_path_factory.mktemp("authors")
    for kind in KINDS.values():
        made = llm("plugins", "new", f"my-{kind.written}", "--kind", kind.written, cwd=root)
        assert made.returncode == 0, made.stderr
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir())
    assert len(folders) == len(KINDS)
    return Packages(root, install_apart(folders))


@pytest.fixture
def author(llm, packages: Packages):
    """`llm` where the packages are installed."""

    def run(*arguments: str, cwd: Path | None = None, overlays: Sequence[Path] = ()):
        return llm(*arguments, cwd=cwd, overlays=[*overlays, packages.overlay], env=ONE_THREAD)

    return run


def test_new_packages_keep_their_contracts(llm, packages: Packages):
    """Their own tests, as their READMEs have them run, in one process for the sake of time."""
    folders = [str(packages.folder(kind) / "tests") for kind in KINDS]
    options = ["--import-mode=importlib", "--rootdir=.", "-v", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *folders],
        cwd=packages.root,
        env=llm.environment([packages.overlay]) | ONE_THREAD,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in KINDS:
        passed = rf"my-{KINDS[kind].written}/tests/.*::test_target_resolves PASSED"
        assert re.search(passed, done.stdout), kind


@pytest.mark.slow
def test_new_packages_are_as_mypy_would_have_them(packages: Packages):
    folders = [packages.folder(kind) for kind in KINDS]
    paths = [str(folder / "src") for folder in folders]
    mypy = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases"]
    done = subprocess.run(
        [*mypy, "--cache-dir", str(packages.root / "cache"), *paths],
        env=os.environ | {"MYPYPATH": os.pathsep.join(paths)},
        cwd=packages.root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_new_parts_go_together_in_a_run(author, packages: Packages, tmp_path: Path):
    made = author("new", "p", "--template", "my-template", "--yes", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    project = tmp_path / "p"
    lines = (json.dumps({"text": line}) for line in sentences(600).splitlines())
    (project / "data" / "raw" / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (project / "llm.toml").write_text(
        'plugins = ["my-callback"]\n'
        '[model]\nname = "my-architecture"\nmax_length = 32\nlayers = 1\ndim = 16\n'
        '[tokenizer]\nname = "my-tokenizer"\nvocab_size = 512\n'
        '[data]\nsource = "my-data-source"\n'
        '[objective]\nname = "my-objective"\n'
        "[training]\nbatch_size = 8\n[logging]\nlog_interval = 5\n"
    )
    trained = author("train", "--max-steps", "20", "--json", cwd=project)
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["status"] == "completed"
    (table,) = project.glob("logs/*/losses.csv")
    assert table.read_text().splitlines()[-1].startswith("20,,")
    to = ("--to", "my-deploy-target", "--set", f"deployment.my-deploy-target.path={tmp_path}/out")
    deployed = author("deploy", "v1", *to, "--yes", cwd=project)
    assert deployed.returncode == 0, deployed.stderr
    assert (tmp_path / "out" / "v1" / "model.safetensors").is_file()
    assert author("synth", "--provider", "my-synthesizer", cwd=project).returncode == 0
    (project / "data" / "raw" / "more.txt").write_text("It gets late.", encoding="utf-8")
    counted = author("my-command", "--json", cwd=project)
    assert "gets" in json.loads(counted.stdout)["words"], counted.stderr


def parts_of(done) -> dict[str, dict]:
    """The parts of a `plugins test --json`, by kind."""
    assert done.returncode in (0, 70), done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] is (done.returncode == 0)
    return {part["kind"]: part for part in report["parts"]}


def test_the_author_s_tests_run_where_the_source_is_used(author, packages: Packages):
    source = packages.folder("callbacks")
    done = author("plugins", "test", "my-callback", "--json", overlays=[source / "src"])
    (callback,) = parts_of(done).values()
    assert callback["tests"] == str(source / "tests")
    names = {result["test"].rpartition("::")[2] for result in callback["results"]}
    assert "test_rows_of_the_table" in names
    assert (callback["failed"], callback["skipped"]) == (0, 0)


def test_without_the_source_the_contract_runs_as_far_as_it_can(author):
    (source,) = parts_of(author("plugins", "test", "my-data-source", "--json")).values()
    assert source["tests"] is None
    assert source["failed"] == 0
    assert source["passed"] >= 5
    reasons = {result["message"] for result in source["results"] if result["message"]}
    assert reasons == {"the author's test must say how to make a corpus"}
    shown = author("plugins", "test", "my-deploy-target")
    assert shown.returncode == 0
    assert "not tested: the author's test must stand in for its service" in shown.stdout
    row = shown.stdout.splitlines()[1]
    assert row.startswith("deploy_targets/my-deploy-target  default options")


def test_parts_of_the_checkout_can_be_tested(llm):
    done = llm("plugins", "test", "callbacks/console", env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert re.match(r"callbacks/console  of its author  \d+ +0 ", done.stdout.splitlines()[1])


PLUGIN = """\
from create_llm import hookimpl

@hookimpl
def register_callbacks(register):
    register("loud", __name__ + ":Loud", summary="Talks.")
    register("keyed", __name__ + ":Loud", summary="Needs a key.", config=__name__ + ":Keyed")

def __getattr__(name):
    if name == "Keyed":
        from pydantic import BaseModel, ConfigDict, Field
        class Keyed(BaseModel):
            model_config = ConfigDict(extra="forbid")
            key: str = Field(description="A key.")
        return Keyed
    from create_llm.training.callbacks import Callback
    class Loud(Callback):
        def __init__(self, config):
            pass
        def on_train_end(self, event):
            print("done")
        def on_checkpoint(self, event):
            return "saved"
        def on_warning(self, event):
            event.count("x")
    return Loud
"""
TESTS = """\
import pytest
from create_llm.testing import CallbackContract

class TestLoud(CallbackContract):
    name = "loud"

    @pytest.mark.xfail(reason="it is meant to be heard")
    def test_keeps_stdout_clean(self): ...

class TestAnother(CallbackContract):
    name = "console"

def test_nothing_of_the_contract():
    assert False
"""


@pytest.fixture
def loud(write_distribution, install_apart, tmp_path: Path) -> tuple[Path, Path]:
    """A plugin that breaks its contract: its source, and where it is installed."""
    source = write_distribution("x-loud", "loud-plugin", PLUGIN)
    return source, install_apart([source])


def test_a_broken_contract_is_told_in_words(llm, loud):
    source, overlay = loud
    (source / "tests").mkdir()
    (source / "tests" / "test_it.py").write_text(TESTS)
    (source / "tests" / "test_slow.py").write_text("import nothing_that_is_here\n")
    done = llm("plugins", "test", "x-loud", overlays=[source, overlay], env=ONE_THREAD)
    assert done.returncode == 70
    head, loud_row, keyed_row, *details = done.stdout.splitlines()
    assert head.split() == ["PART", "TESTS", "PASSED", "FAILED", "SKIPPED"]
    passed, failed, skipped = map(int, loud_row.split()[-3:])
    assert passed > 5
    assert failed >= 2
    assert skipped == 1
    assert "of its author" in loud_row
    assert "default options" in keyed_row
    text = "\n".join(details)
    assert "test_survives_every_event\n    failed: checkpoint answers 'saved'" in text
    assert "failed: AttributeError: " in text
    assert "test_keeps_stdout_clean\n    expected to fail: it is meant to be heard" in text
    assert "not tested: the author's test must give key in its options" in text
    assert f"'x-loud' breaks its contract: {failed} of" in done.stderr
    assert "tests/test_it.py::TestLoud::" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_with_json_a_broken_contract_is_one_object(llm, loud):
    done = llm("plugins", "test", "loud", "--json", overlays=[loud[1]], env=ONE_THREAD)
    (callback,) = parts_of(done).values()
    assert callback["failed"] >= 4
    failed = [result for result in callback["results"] if result["outcome"] == "failed"]
    assert all(result["message"] for result in failed)


def test_tests_that_cannot_be_imported_are_named(llm, loud):
    source, overlay = loud
    (source / "tests").mkdir()
    (source / "tests" / "test_it.py").write_text(f"import nothing_that_is_here\n{TESTS}")
    done = llm("plugins", "test", "loud", overlays=[source, overlay])
    assert done.returncode == 70
    assert done.stdout == ""
    assert "tests/test_it.py: ModuleNotFoundError: No module named 'nothing_that" in done.stderr


def test_without_pytest_one_is_told_how_to_get_it(llm, tmp_path: Path):
    program = (
        "import sys; sys.modules['pytest'] = None; import importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name == 'pytest' else find(name, *rest);"
        "from create_llm.cli import main; main(['plugins', 'test', 'gpt'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=llm.environment(), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "-m pip install pytest" in done.stderr


def test_without_tests_of_its_author_the_part_and_its_contract_are_named(llm, loud):
    done = llm("plugins", "test", "loud", overlays=[loud[1]], env=ONE_THREAD)
    assert done.returncode == 70
    _, _, error = done.stderr.rpartition("\nError: ")
    assert re.search(r"where: callbacks/loud, test_\w+ of CallbackContract, with default", error)
    assert "CallbackContract in docs/plugins/callbacks.md" in error
    assert "llm plugins new my-callback --kind callback" in error
    assert "test_defaults.py" not in error


def test_without_a_name_the_plugin_of_the_folder_is_tested(author, packages: Packages):
    folder = packages.folder("callbacks")
    overlays = [folder / "src"]
    done = author("plugins", "test", "--json", cwd=folder, overlays=overlays)
    (callback,) = parts_of(done).values()
    assert (callback["name"], callback["failed"]) == ("my-callback", 0)
    assert callback["tests"] == str(folder / "tests")


def test_without_a_name_or_a_plugin_here_one_is_told_what_to_name(
    llm, packages: Packages, tmp_path: Path
):
    nowhere = llm("plugins", "test", cwd=tmp_path)
    assert nowhere.returncode == 2
    assert "name one: llm plugins test " in nowhere.stderr
    assert re.search(r"installed are: .*\bgpt\b", nowhere.stderr)
    not_installed = llm("plugins", "test", cwd=packages.folder("callbacks"))
    assert not_installed.returncode == 2
    assert "'my-callback' of this folder is not installed" in not_installed.stderr
    assert "llm plugins install --editable ." in not_installed.stderr


@pytest.mark.parametrize("kind", ["callbacks", "templates"])
def test_a_part_whose_name_another_has_too_is_found_by_its_own_tests(
    author, install_apart, packages: Packages, tmp_path: Path, kind: str
):
    source = packages.folder(kind)
    rival = tmp_path / "rival"
    shutil.copytree(source, rival)
    old = f"create-llm-my-{KINDS[kind].written}"
    module = old.replace("-", "_")
    text = (rival / "pyproject.toml").read_text().replace(old, "x-rival")
    (rival / "pyproject.toml").write_text(text.replace(module, "x_rival"))
    (rival / "src" / module).rename(rival / "src" / "x_rival")
    for file in (rival / "src" / "x_rival").glob("*.py"):
        file.write_text(file.read_text().replace(module, "x_rival"))
    overlays = [source / "src", install_apart([rival])]
    written = f"{old}/my-{KINDS[kind].written}"
    done = author("plugins", "test", written, "--json", overlays=overlays)
    (part,) = parts_of(done).values()
    failed = [result for result in part["results"] if result["outcome"] == "failed"]
    assert not failed
    assert part["tests"] == str(source / "tests")
    assert part["passed"] >= 5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["plugins", "test", "gtp"], 70, "did you mean 'gpt'?"),
        (["plugins", "test", "gpt", "--no-plugins"], 70, "is switched off"),
        (["plugins", "new", "gpt", "--kind", "architecture"], 2, "llm plugins new my-gpt"),
        (["plugins", "new", "train", "--kind", "command"], 2, "taken, by the command of"),
        (["plugins", "new", "lion"], 2, "deploy-target"),
        (["plugins", "new", "My Lion", "--kind", "callback"], 2, "llm plugins new my-lion"),
        (["plugins", "new", "full", "--kind", "callback"], 2, "stays as it is"),
    ],
)
def test_mistakes_are_told_with_what_to_do(llm, tmp_path: Path, arguments, code, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    done = llm(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.txt"]


def test_new_says_what_comes_next(llm, tmp_path: Path):
    done = llm("plugins", "new", "lion", "--kind", "tokenizers", "--json", cwd=tmp_path)
    made = json.loads(done.stdout)
    folder = tmp_path / "lion"
    assert (made["path"], made["kind"]) == (str(folder), "tokenizers")
    written = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert made["files"] == written
    steps = [line.strip() for line in done.stderr.splitlines()]
    for step in ("cd lion", "llm plugins install --editable .", "llm plugins test lion"):
        assert step in steps
    assert 'name = "lion"' in steps


def test_on_a_terminal_the_kind_is_asked_for(tmp_path: Path):
    words = ("-C", str(tmp_path), "plugins", "new", "lion")
    code, shown = on_a_terminal(*words, answer="calback\ncallback\n")
    assert code == 0, shown
    assert "did you mean 'callback'?" in shown
    assert (tmp_path / "lion" / "src" / "create_llm_lion" / "callback.py").is_file()


def test_trace_shows_what_each_plugin_costs(llm, write_distribution, install_apart):
    heavy = write_distribution("x-heavy", "heavy", "import numpy\n" + PLUGIN)
    broken = write_distribution("x-broken", "broken", "import nothing_that_is_here\n")
    overlay = install_apart([heavy, broken])
    done = llm("plugins", "trace", "--json", overlays=[overlay])
    assert done.returncode == 0, done.stderr
    traced = json.loads(done.stdout)["plugins"]
    assert [entry["name"] for entry in traced] == sorted(entry["name"] for entry in traced)
    by_name = {entry["name"]: entry for entry in traced}
    assert by_name["heavy"]["heavy"] == ["numpy"]
    assert by_name["heavy"]["modules"] > 50
    assert by_name["heavy"]["hooks"] == ["register_callbacks"]
    assert by_name["heavy"]["provides"] == {"callbacks": ["loud", "keyed"]}
    assert by_name["broken"]["status"] == "failed"
    assert by_name["gpt"]["heavy"] == []
    assert all(entry["seconds"] >= 0 for entry in traced)


def test_trace_leaves_out_what_is_switched_off(llm):
    done = llm("plugins", "trace", env={"CREATE_LLM_PLUGINS": "gpt"})
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["gpt"][1] == "loaded"
    assert rows["console"][1:3] == ["disabled", "0"]
