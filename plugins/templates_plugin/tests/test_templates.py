"""The templates: each is what it says it is, and a project made from it is valid."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from create_llm.cli import main
from create_llm.config import load_config
from create_llm.kernel.plugins import default_plugins
from create_llm.models.architecture import count_parameters
from create_llm.project.pages import hardware_in_words, in_words
from create_llm.project.templates import Template

if sys.platform != "win32":
    import fcntl
    import pty
    import termios

NAMES = ("nano", "tiny", "small", "base")
SIZES = {"nano": 10**6, "tiny": 10**7, "small": 10**8, "base": 10**9}


def template_of(name: str) -> Template:
    template: Template = default_plugins().registry.get("templates", name).load()
    return template


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("CREATE_LLM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def llm(*arguments: str) -> int:
    """The command line in this process; its exit code."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return int(exit_.value.code or 0)


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_one_template_is_the_default() -> None:
    assert [name for name in NAMES if template_of(name).default] == ["tiny"]


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_the_one_it_is_registered_under(name: str) -> None:
    assert template_of(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_as_claimed(name: str, tmp_path: Path) -> None:
    template = template_of(name)
    assert template.parameters == SIZES[name]
    assert llm("new", "p", "--template", name) == 0
    config = load_config(tmp_path / "p", default_plugins(), environ={})
    architecture = config.model.part.load()()
    vocabulary = template.values["tokenizer"]["vocab_size"]
    counted = count_parameters(architecture, config.model.options, vocabulary)
    assert counted == pytest.approx(template.parameters, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_the_schedule_fits_into_the_run(name: str) -> None:
    training = template_of(name).values["training"]
    steps = training["max_steps"]
    assert training["warmup_steps"] <= steps / 5
    for interval in ("eval_interval", "save_interval"):
        assert steps % training[interval] == 0, f"{interval}: the last step has no {interval}"


@pytest.mark.parametrize("name", NAMES)
def test_a_project_keeps_the_templates_values(name: str, tmp_path: Path) -> None:
    assert llm("new", "p", "--template", name) == 0
    written = tomllib.loads((tmp_path / "p" / "llm.toml").read_text("utf-8"))
    assert written.pop("project") == {"template": name}
    assert written == template_of(name).values


@pytest.mark.parametrize("name", NAMES)
def test_a_project_is_valid_as_it_is(name: str, tmp_path: Path) -> None:
    assert llm("new", "p", "--template", name) == 0
    config = load_config(tmp_path / "p", default_plugins(), environ={})
    for dotted, setting in config.settings.items():
        assert setting.source.label != f"template {name}", f"{dotted} is not in llm.toml"


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_how_long_on_what_and_what_to_change(name: str, tmp_path: Path) -> None:
    template = template_of(name)
    assert llm("new", "p", "--template", name) == 0
    text = (tmp_path / "p" / "README.md").read_text("utf-8")
    facts = (template.time, hardware_in_words(template.hardware), in_words(template.parameters))
    for fact in (*facts, *template.first_changes):
        assert fact in text


def test_the_readmes_commands_exist(tmp_path: Path) -> None:
    assert llm("new", "p") == 0
    text = (tmp_path / "p" / "README.md").read_text("utf-8")
    quick_start = text.split("```")[1]
    verbs = [line.split()[1] for line in quick_start.splitlines() if line.startswith("llm ")]
    assert [verb for verb in verbs if verb in ("train", "generate")] == ["train", "generate"]
    assert set(verbs) <= set(default_plugins().registry.names("commands"))


def test_defaults_without_a_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert llm("new", "my-llm") == 0
    out, err = capsys.readouterr()
    assert out == ""
    for step in ("cd my-llm", "data/raw/", "llm train", "llm generate"):
        assert step in err
    assert 'template = "tiny"' in (tmp_path / "my-llm" / "llm.toml").read_text("utf-8")


def test_every_flag_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--template", "nano", "--tokenizer", "byte", "--plugins", "gpt, console"]
    assert llm("new", "my-llm", *arguments, "--scripts", "--yes", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    folder = tmp_path / "my-llm"
    assert made == {"path": str(folder), "template": "nano", "files": files_in(folder)}
    assert {"train.py", "training/train.py", "chat.py"} <= set(made["files"])
    written = tomllib.loads((folder / "llm.toml").read_text("utf-8"))
    assert written["plugins"] == ["console", "gpt"]
    assert written["tokenizer"] == {"name": "byte"}


def test_in_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "models").mkdir()
    assert llm("-C", "models", "new", "mine") == 0
    assert (tmp_path / "models" / "mine" / "llm.toml").is_file()
    assert "cd models/mine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["p", "--template", "tinny"], 2, "did you mean 'tiny'?"),
        (["p", "--tokenizer", "bep"], 2, "did you mean 'bpe'?"),
        (["p", "--plugins", "consol"], 70, "did you mean 'console'?"),
        (["p", "--set", "training.batch_size=0"], 2, "training.batch_size"),
        ([], 2, "llm new my-llm"),
        (["a/b"], 2, "cannot be a project's name"),
        (["--", "-p"], 2, "cannot be a project's name"),
        (["x" * 300], 74, "reading or writing failed"),
    ],
)
def test_what_cannot_be_made(
    arguments: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert llm("new", *arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_project_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert llm("new", "p") == 0
    (tmp_path / "p" / "llm.toml").write_bytes(b"# mine\r\n")
    before = {path: (tmp_path / "p" / path).read_bytes() for path in files_in(tmp_path / "p")}
    assert llm("new", "p", "--yes", "--template", "nano") == 2
    assert "already something at 'p'" in capsys.readouterr().err
    after = {path: (tmp_path / "p" / path).read_bytes() for path in files_in(tmp_path / "p")}
    assert after == before


def test_a_script_runs_from_another_folder(tmp_path: Path) -> None:
    assert llm("new", "p", "--scripts") == 0
    command = [sys.executable, str(tmp_path / "p" / "training" / "train.py"), "--help"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
    assert "Usage: llm train" in done.stdout


def _take_the_terminal() -> None:
    """Make it the terminal of the process, so that Ctrl-C is a signal, and one that is heard:
    what a shell starts in the background inherits that it is ignored."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """`llm` in a process of its own, on a terminal; only its stdout goes elsewhere."""

    def __init__(self, process: subprocess.Popen[str], master: int) -> None:
        self.process, self._master = process, master
        self.shown = ""
        self._read_to = 0

    def expect(self, text: str) -> None:
        """Wait until `text` comes after what was expected before; fail if it never does."""
        while text not in self.shown[self._read_to :]:
            ready, _, _ = select.select([self._master], [], [], 60)
            try:
                self.shown += os.read(self._master, 4096).decode() if ready else ""
            except OSError:  # Linux's way to say that the other end is closed
                ready = []
            if not ready:
                pytest.fail(f"{text!r} is not shown after:\n{self.shown}")
        self._read_to = self.shown.index(text, self._read_to) + len(text)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def finish(self) -> str:
        """What was written to stdout."""
        return self.process.communicate(timeout=60)[0]


@contextmanager
def terminal(*arguments: str, cwd: Path) -> Iterator[Terminal]:
    if sys.platform == "win32":
        pytest.skip("pseudo-terminals are a matter of POSIX")
    master, slave = pty.openpty()
    command = [sys.executable, "-c", "from create_llm.cli import main; main()", *arguments]
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
        start_new_session=True,
        preexec_fn=_take_the_terminal,
    ) as process:
        os.close(slave)
        try:
            yield Terminal(process, master)
        finally:
            process.kill()
            os.close(master)


def test_on_a_terminal_it_asks_for_what_is_missing(tmp_path: Path) -> None:
    with terminal("new", "--json", cwd=tmp_path) as session:
        session.expect("Name of the project [my-llm]: ")
        session.type("a/b\n")
        session.expect("cannot be a project's name")
        session.expect("Name of the project [my-llm]: ")
        session.type("mine\n")
        for name in NAMES:
            session.expect(in_words(template_of(name).parameters))
        session.expect("Template [tiny]: ")
        session.type("nanno\n")
        session.expect("did you mean 'nano'?")
        session.expect("Template [tiny]: ")
        session.type("nano\n")
        session.expect("Tokenizer [bpe]: ")
        session.type("byte\n")
        made = json.loads(session.finish())
    assert made["path"] == str(tmp_path / "mine")
    written = tomllib.loads((tmp_path / "mine" / "llm.toml").read_text("utf-8"))
    assert written["project"]["template"] == "nano"
    assert written["tokenizer"] == {"name": "byte"}


def test_enter_takes_the_default(tmp_path: Path) -> None:
    with terminal("new", cwd=tmp_path) as session:
        for question in ("Name of the project", "Template", "Tokenizer"):
            session.expect(f"{question} [")
            session.type("\n")
        assert session.finish() == ""
        assert session.process.returncode == 0
    written = tomllib.loads((tmp_path / "my-llm" / "llm.toml").read_text("utf-8"))
    assert written.pop("project") == {"template": "tiny"}
    assert written == template_of("tiny").values


def test_what_was_said_is_not_asked(tmp_path: Path) -> None:
    arguments = ("new", "mine", "--template", "nano", "--tokenizer", "bpe")
    with terminal(*arguments, cwd=tmp_path) as session:
        session.expect("Made mine")
        assert session.finish() == ""
    assert "]: " not in session.shown


def test_yes_asks_nothing_on_a_terminal(tmp_path: Path) -> None:
    with terminal("new", "mine", "--yes", cwd=tmp_path) as session:
        session.expect("Made mine")
        session.finish()
    assert "]: " not in session.shown


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_leaving_a_question_makes_nothing(tmp_path: Path, key: str) -> None:
    with terminal("new", "mine", cwd=tmp_path) as session:
        session.expect("Template [tiny]: ")
        session.type(key)
        session.expect("Interrupted")
        session.finish()
        assert session.process.returncode == 130
    assert list(tmp_path.iterdir()) == []
