"""Simon Willison's llm, in an environment of its own, asking models of ours."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.environments import bare, share_requirements, site_of

import create_llm

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
OURS = ("core", *(f"plugins/{name}_plugin" for name in ("bridge", "gpt", "objectives")))
CONFIG = """\
[model]
name = "gpt"
max_length = 128
layers = 1
heads = 2
dim = 32
[tokenizer]
name = "bpe"
vocab_size = 300
[training]
batch_size = 8
max_steps = 10
learning_rate = 0.005
warmup_steps = 2
eval_interval = 10
save_interval = 10
"""
TALKS = '[data]\nsource = "text"\nchat_template = "chatml"\n[objective]\nname = "sft"\n'
STREAM = """\
import llm
model = llm.get_model("poet")
pieces = list(model.prompt("the cat", temperature=0, max_tokens=12))
chat = llm.get_model("talker").conversation()
answers = [chat.prompt(text, temperature=0, max_tokens=9).text() for text in ("Hi!", "Why?")]
import json
print(json.dumps({"pieces": pieces, "answers": answers}))
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The scripts of an environment with that program and, installed as anybody would, ours.

    Only what both require is borrowed from this environment, torch above all. Linked after all
    is installed: pip might replace what it found.
    """
    folder, wheels = tmp_path_factory.mktemp("there"), tmp_path_factory.mktemp("wheels")
    python = bare(folder)
    sources = [str(ROOT / source) for source in (*OURS, "plugins/tokenizers_plugin")]
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), *sources)
    into = ("--python", str(python), "install", "--no-compile")
    pip(*into, "--no-index", "--no-deps", *map(str, wheels.iterdir()))
    try:
        pip(*into, "llm")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"llm could not be installed: {error.stderr.strip()[-300:]}")
    share_requirements(site_of(folder))
    yield python.parent
    shutil.rmtree(folder)


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A project whose model continues texts, and a bundle that has learnt a chat template."""
    folder, choose = tmp_path_factory.mktemp("models"), random.Random(0).choices
    eats = choose(("cat eats fish", "cow eats grass", "bee eats honey"), k=600)
    poet = project(folder / "poet", CONFIG + '[data]\nsource = "text"\n')
    (poet / "data" / "raw" / "a.txt").write_text("".join(f"the {e}.\n" for e in eats), "utf-8")
    talker = project(folder / "talker", CONFIG + TALKS)
    chats = ((("user", f"What is {n}?"), ("assistant", f"It is {n}.")) for n in range(150))
    rows = [{"messages": [{"role": r, "content": c} for r, c in chat]} for chat in chats]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (talker / "data" / "raw" / "a.jsonl").write_text(lines, "utf-8")
    for made in (poet, talker):
        create_llm.train(made)
    return {"poet": poet, "talker": talker / "models" / "v1"}


def project(folder: Path, config: str) -> Path:
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "llm.toml").write_text(config, "utf-8")
    return folder


class Both:
    """The two programs of that environment, with their settings in a folder of the test's."""

    def __init__(self, scripts: Path, folder: Path) -> None:
        self.scripts, self.user = scripts, folder / "user"
        kept = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
        own = {"LLM_USER_PATH": str(self.user), "XDG_CACHE_HOME": str(folder / "cache")}
        # Nothing that they do here may need the network.
        self.env = {**kept, **own, "https_proxy": "http://127.0.0.1:9"}

    def __call__(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.scripts / script, *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def text(self, script: str, *arguments: str) -> str:
        done = self(script, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def both(there: Path, models: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Both:
    programs = Both(there, tmp_path_factory.mktemp("settings"))
    programs.text("create-llm", "bridge", "add", str(models["poet"]))
    programs.text("create-llm", "bridge", "add", str(models["talker"]), "--name", "talker")
    return programs


def test_each_program_keeps_a_name(both: Both) -> None:
    """The script `llm` is the last one installed; `create-llm` and `python -m llm` stay."""
    assert both.text("llm", "--version").startswith("llm, version")
    assert both.text("python", "-m", "llm", "--version").startswith("python -m llm, version")
    assert both.text("create-llm", "--version").startswith("create-llm, version")
    checks = json.loads(both("create-llm", "doctor", "--json").stdout)["checks"]
    [command] = [check for check in checks if check["name"] == "command"]
    assert command["status"] == "warn"
    assert "belongs to llm too" in command["message"]


def test_they_are_listed(both: Both, models: Mapping[str, Path]) -> None:
    listed = both.text("python", "-m", "llm", "models", "--options", "-q", "create-llm")
    for name in ("poet", "poet/v1", "talker"):
        assert f"create-llm: {name}\n" in listed
    assert "max_tokens: int" in listed
    told = json.loads(both.text("create-llm", "bridge", "list", "--json"))
    assert [entry["name"] for entry in told["models"]] == ["poet", "poet/v1", "talker"]
    assert told["models"][1]["path"] == str(models["poet"] / "models" / "v1")


def test_a_prompt_is_continued_as_we_continue_it(both: Both, models: Mapping[str, Path]) -> None:
    options = {"temperature": 0.9, "top_p": 0.8, "top_k": 20, "seed": 7}
    flags = [word for name, value in options.items() for word in ("-o", name, str(value))]
    text = both.text("llm", "-m", "poet", "the cat", *flags, "-o", "max_tokens", "12")
    there = create_llm.load(models["poet"]).generate("the cat", max_new_tokens=12, **options)
    assert text == f"{there}\n"
    assert text == both.text(
        "llm", "-m", "poet/v1", "the cat", *flags, "-o", "max_tokens", "12", "--no-stream"
    )


def test_a_conversation_is_written_out_by_the_template(
    both: Both, models: Mapping[str, Path]
) -> None:
    """Across processes too: `-c` takes up what the other program has logged."""
    asked = ("-o", "temperature", "0", "-o", "max_tokens", "9")
    ours = create_llm.load(models["talker"])
    messages = [{"role": "system", "content": "Count."}, {"role": "user", "content": "One?"}]
    first = both.text("llm", "-m", "talker", "One?", "-s", "Count.", *asked)
    answer = ours.chat(messages, temperature=0, max_new_tokens=9)
    assert first.strip() == answer
    messages += [
        {"role": "assistant", "content": first.removesuffix("\n")},
        {"role": "user", "content": "Two?"},
    ]
    second = both.text("llm", "-c", "Two?", *asked)
    assert second.strip() == ours.chat(messages, temperature=0, max_new_tokens=9)


def test_from_its_python_side(both: Both, models: Mapping[str, Path]) -> None:
    told = json.loads(both.text("python", "-c", STREAM))
    poet, talker = create_llm.load(models["poet"]), create_llm.load(models["talker"])
    pieces = list(poet.stream("the cat", temperature=0, max_new_tokens=12))
    assert len(pieces) > 1
    assert told["pieces"] == pieces
    hi = [{"role": "user", "content": "Hi!"}]
    assert told["answers"][0].strip() == talker.chat(hi, temperature=0, max_new_tokens=9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "poet", "the cat", "-o", "temperature", "-1"), "temperature must be 0"),
        (("-m", "poet", "the cat " * 200), "and the model reads 128 at once"),
        (("-m", "gone", "the cat"), "is not a model bundle"),
    ],
)
def test_mistakes_in_plain_words(
    both: Both, models: Mapping[str, Path], arguments: tuple[str, ...], message: str
) -> None:
    here = models["talker"].with_name("v2")
    if "gone" in arguments:
        shutil.copytree(models["talker"], here)
        both.text("create-llm", "bridge", "add", str(here), "--name", "gone")
        shutil.rmtree(here)
    done = both("llm", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_names(both: Both, models: Mapping[str, Path]) -> None:
    taken = both("create-llm", "bridge", "add", str(models["talker"]), "--name", "gpt-4o")
    assert taken.returncode == 2
    assert "llm already has a model called 'gpt-4o'" in taken.stderr
    none = both("create-llm", "bridge", "add", str(models["talker"].parent))
    assert none.returncode == 65
    both.text("create-llm", "bridge", "add", str(models["talker"]), "--name", "second")
    both.text("create-llm", "bridge", "remove", "second")
    again = both("create-llm", "bridge", "remove", "secnd")
    assert again.returncode == 2
    assert "no model is registered as 'secnd'" in again.stderr


def test_a_damaged_list_does_not_stop_the_other_program(both: Both) -> None:
    file = both.user / "create-llm.json"
    kept = file.read_bytes()
    file.write_text("{", "utf-8")
    try:
        done = both("llm", "models")
    finally:
        file.write_bytes(kept)
    assert done.returncode == 0
    assert "gpt-4o" in done.stdout
    assert "the list of models is damaged" in done.stderr
