"""`llm plugins` and `llm doctor` in an environment of their own, with real installs by pip."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

GOOD = """\
from create_llm import hookimpl

@hookimpl
def register_tokenizers(register):
    register("roar", "json:dumps", summary="A tokenizer.")
"""
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}


@pytest.fixture
def apart(llm, tmp_path: Path):
    """`llm` in a new environment that sees the packages of this one."""
    home = tmp_path / "environment"
    venv.create(home, symlinks=True)
    paths = {"base": str(home), "platbase": str(home)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    ours = sysconfig.get_path("purelib")
    # addsitedir, so that the .pth files of editable installs count too.
    (site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    return partial(llm, python=home / "bin" / "python", env=OFFLINE)


@pytest.fixture
def lion(write_distribution: Callable[[str, str, str], Path]) -> Path:
    return write_distribution("my-lion", "lion", GOOD)


def names(apart) -> set[str]:
    listed = apart("plugins", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    return {entry["name"] for entry in json.loads(listed.stdout)["plugins"]}


def test_a_plugin_comes_and_goes(apart, lion: Path):
    assert "lion" not in names(apart)

    installed = apart("plugins", "install", f"./{lion.name}", "-C", str(lion.parent))
    assert installed.returncode == 0, installed.stderr
    assert installed.stdout == "plugin 'lion' (my-lion 1.0) is ready\n"
    assert "Successfully installed my-lion-1.0" in installed.stderr
    assert "lion" in names(apart)

    asked = apart("plugins", "uninstall", "lion")
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert "lion" in names(apart)

    removed = apart("plugins", "uninstall", "My_Lion", "--yes")
    assert removed.returncode == 0, removed.stderr
    assert removed.stdout == "removed: my-lion\n"
    assert "lion" not in names(apart)


def test_installing_again_says_so(apart, lion: Path):
    assert apart("plugins", "install", str(lion)).returncode == 0
    again = apart("plugins", "install", str(lion))
    assert again.returncode == 0, again.stderr
    assert again.stdout == "installed; the plugins are those that were there before: lion\n"
    asked = apart("plugins", "install", "my_lion", "--yes")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout == "this was installed already, and nothing had to be done: lion\n"
    assert "Requirement already satisfied" not in asked.stderr


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("register_tokenizers", "register_tokenizer", "did you mean 'register_tokenizers'?"),
        ("@hookimpl\n", "", "lacks @hookimpl"),
        ("(register):", "(register)", "SyntaxError"),
    ],
)
@pytest.mark.parametrize(
    "editable",
    [(), pytest.param(("--editable",), marks=pytest.mark.slow)],
    ids=["copied", "editable"],
)
def test_a_plugin_that_does_not_load_is_not_called_ready(
    apart, write_distribution, editable: tuple[str, ...], old: str, new: str, says: str
):
    source = write_distribution("my-oops", "oops", GOOD.replace(old, new))
    # Whatever the shell restricts: this one is to be seen.
    run = partial(apart.func, **apart.keywords | {"env": OFFLINE | {"CREATE_LLM_PLUGINS": ""}})
    installed = run("plugins", "install", *editable, str(source))
    assert installed.returncode == 70, installed.stderr
    assert installed.stdout == ""
    assert "installed, but plugin 'oops' (my-oops 1.0) failed to load: " in installed.stderr
    assert says in installed.stderr
    if editable:
        assert f"if it is yours: mend {source / 'my_oops_module.py'}" in installed.stderr
    again = run("plugins", "install", *editable, str(source))
    assert again.returncode == 70


@pytest.mark.slow
def test_of_several_the_ready_are_told_beside_the_broken(apart, write_distribution, lion: Path):
    source = write_distribution("my-oops", "oops", GOOD)
    text = (source / "pyproject.toml").read_text()
    (source / "pyproject.toml").write_text(text.replace('"my_oops_module"', '"my_ops_module"'))
    installed = apart("plugins", "install", str(lion), str(source))
    assert installed.returncode == 70
    assert installed.stdout == "plugin 'lion' (my-lion 1.0) is ready\n"
    assert "No module named 'my_ops_module'" in installed.stderr
    assert "its entry point, which names the module 'my_ops_module'" in installed.stderr
    # One that was there and is broken is not what this install is about.
    assert apart("plugins", "install", str(lion)).returncode == 0


def test_a_plugin_that_ends_the_interpreter_is_an_error(apart, write_distribution):
    source = write_distribution("my-oops", "oops", "import os\nos._exit(3)\n")
    installed = apart("plugins", "install", str(source))
    assert installed.returncode == 70
    assert "ends the interpreter (exit code 3)" in installed.stderr


def test_what_is_there_already_is_not_listed(apart, lion: Path):
    text = (lion / "pyproject.toml").read_text()
    needs = 'version = "1.0"\ndependencies = ["create-llm-core", "click"]'
    (lion / "pyproject.toml").write_text(text.replace('version = "1.0"', needs))
    env = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    run = partial(apart.func, **apart.keywords | {"env": env})
    installed = run("plugins", "install", str(lion))
    assert installed.returncode == 0, installed.stderr
    assert "Requirement already satisfied" not in installed.stderr
    assert "Successfully installed my-lion-1.0" in installed.stderr


def test_a_folder_beside_a_stranger_name_is_offered(llm, tmp_path: Path):
    (tmp_path / "oops").mkdir()
    (tmp_path / "oops" / "pyproject.toml").touch()
    result = llm("plugins", "install", "oops", cwd=tmp_path, env=OFFLINE)
    assert result.returncode == 2
    assert "llm plugins install ./oops\n" in result.stderr
    assert "llm plugins install --editable oops\n" in result.stderr
    code, shown = on_a_terminal("plugins", "install", "oops", "-C", str(tmp_path), answer="n\n")
    assert code == 0
    assert "llm plugins install ./oops" in shown
    assert "nothing was installed" in shown


def test_installing_what_brings_no_plugin_says_so(apart, lion: Path):
    text = (lion / "pyproject.toml").read_text()
    (lion / "pyproject.toml").write_text(text.replace("create_llm.plugins", "somebody.else"))
    installed = apart("plugins", "install", str(lion))
    assert installed.returncode == 0, installed.stderr
    assert "no plugin" in installed.stdout


def test_pip_in_the_project_is_not_pip(apart, lion: Path, tmp_path: Path):
    (tmp_path / "pip.py").write_text("print('hijacked')")
    installed = apart("plugins", "install", str(lion), cwd=tmp_path)
    assert "hijacked" not in installed.stderr
    assert installed.returncode == 0, installed.stderr


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("gpt", "create-llm-gpt"),
        ("byte", "create-llm-tokenizers"),
        ("gpt==99.1", "create-llm-gpt==99.1"),
        ("no-such-plugin", "no-such-plugin"),
    ],
)
def test_short_names_of_our_own_are_completed(llm, tmp_path: Path, written: str, given: str):
    # An empty index: pip says what it was asked for, and what is installed already is enough.
    env = OFFLINE | {"PIP_TARGET": str(tmp_path), "PIP_FIND_LINKS": str(tmp_path)}
    result = llm("plugins", "install", written, "--yes", env=env)
    assert result.returncode == 70
    assert f"requirement {given} " in result.stderr
    assert result.stderr.rstrip().endswith("llm plugins list")


def test_an_index_out_of_reach_is_a_network_error(llm, tmp_path: Path):
    # Port 9, discard: nobody listens.
    env = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1", "PIP_CONFIG_FILE": ""}
    env |= {"PIP_TARGET": str(tmp_path), "PIP_EXTRA_INDEX_URL": ""}
    result = llm("plugins", "install", "no-such-plugin", "--yes", env=env)
    assert result.returncode == 69, result.stderr
    assert "could not reach the package index" in result.stderr


@pytest.mark.parametrize(
    "name", ["no-such-plugin", "requests==2.0", "some.thing", "create-llm-no-such-plugin"]
)
def test_a_stranger_name_is_not_installed_unasked(llm, name: str):
    result = llm("plugins", "install", name, env=OFFLINE)
    assert result.returncode == 2
    assert "--yes" in result.stderr
    assert "your rights" in result.stderr


@pytest.mark.parametrize("name", ["-r", "--index-url=http://127.0.0.1:9", "-e"])
def test_options_of_pip_are_not_names(llm, name: str):
    result = llm("plugins", "install", "--", name)
    assert result.returncode == 2
    assert "an option of pip" in result.stderr


@pytest.mark.parametrize("name", ["core", "create-llm-core", "Create_LLM.core"])
def test_the_core_stays(llm, name: str):
    result = llm("plugins", "uninstall", name, "--yes")
    assert result.returncode == 2
    assert "the core cannot remove itself" in result.stderr


@pytest.mark.parametrize(("name", "hint"), [("gtp", "did you mean 'gpt'?"), ("torch", "list")])
def test_only_plugins_are_uninstalled(llm, name: str, hint: str):
    result = llm("plugins", "uninstall", name, "--yes")
    assert result.returncode == 2
    assert f"no plugin '{name}' is installed" in result.stderr
    assert hint in result.stderr


def test_the_table_is_aligned_plain_text_off_a_terminal(llm):
    result = llm("plugins", "list")
    assert "\x1b" not in result.stdout
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["PLUGIN", "DISTRIBUTION", "VERSION", "STATUS", "PROVIDES"]
    (gpt,) = [row for row in rows if row.startswith("gpt ")]
    assert gpt[head.index("STATUS") :].split()[0] == "loaded"
    assert gpt[head.index("PROVIDES") :] == "architectures: gpt"


def test_the_core_is_not_listed_as_a_plugin(llm):
    listed = json.loads(llm("plugins", "list", "--json").stdout)["plugins"]
    assert "core" not in {entry["name"] for entry in listed}
    keys = {"name", "distribution", "version", "status", "error", "provides"}
    assert all(set(entry) == keys for entry in listed)


def diagnosis(llm, *arguments: str, **options) -> tuple[int, dict[str, dict]]:
    result = llm("doctor", "--json", *arguments, **options)
    report = json.loads(result.stdout)
    assert report["ok"] is (result.returncode == 0)
    return result.returncode, {check["name"]: check for check in report["checks"]}


def test_doctor_finds_this_installation_sound_and_keeps_its_secrets(llm, tmp_path: Path):
    (tmp_path / ".env").write_text("WANDB_API_KEY=from-the-file\nOTHER=x\n")
    env = {"HF_TOKEN": "hf_secret", "EMPTY_TOKEN": ""}
    code, checks = diagnosis(llm, cwd=tmp_path, env=env)
    assert code == 0, checks
    assert {"python", "plugin gpt", "command", "cpu", "gpu", "disk"} <= set(checks)
    assert "torch" in checks["packages"]["message"]
    assert checks["project"]["message"].startswith("none here")
    tokens = checks["tokens"]["message"].split(", ")
    assert {"HF_TOKEN", "WANDB_API_KEY (.env)"} <= set(tokens)
    assert "EMPTY_TOKEN" not in tokens
    assert "hf_secret" not in str(checks)
    assert "from-the-file" not in str(checks)


def test_doctor_finds_another_owner_of_the_command(apart, llm, write_distribution):
    other = write_distribution("other-llm", "other", "")
    text = (other / "pyproject.toml").read_text()
    points = text.replace('entry-points."create_llm.plugins"', "scripts")
    points = points.replace('other = "other_llm_module"', 'llm = "other_llm_module:main"')
    (other / "pyproject.toml").write_text(points)
    assert apart("plugins", "install", str(other)).returncode == 0
    _, checks = diagnosis(apart)
    assert checks["command"]["status"] == "warn"
    assert "other-llm" in checks["command"]["message"]
    assert "create-llm" in checks["command"]["fixes"][0]


def test_doctor_says_what_is_wrong_with_a_project(llm, tmp_path: Path):
    assert llm("new", "p", "--template", "nano", "--yes", cwd=tmp_path).returncode == 0
    project = tmp_path / "p"
    with (project / "llm.toml").open("a") as file:
        file.write("\n[trainig]\nmax_steps = 1\n")
    code, checks = diagnosis(llm, cwd=project)
    assert code == 2
    assert "trainig" in checks["project"]["message"]
    assert "training" in checks["project"]["message"] + str(checks["project"]["fixes"])


def test_doctor_checks_a_project_without_plugins_as_far_as_it_can(llm, tmp_path: Path):
    assert llm("new", "p", "--template", "nano", "--yes", cwd=tmp_path).returncode == 0
    code, checks = diagnosis(llm, "--no-plugins", cwd=tmp_path / "p")
    assert code == 0, checks
    assert checks["project"]["status"] == "warn"


def test_doctor_knows_plugins_that_are_not_there(llm, tmp_path: Path):
    _, checks = diagnosis(llm, cwd=tmp_path, env={"CREATE_LLM_PLUGINS": "gpt, gtp"})
    assert "gtp" in checks["plugins"]["message"]
    assert checks["plugin console"]["status"] == "warn"


def on_a_terminal(*arguments: str, answer: str = "") -> tuple[int, str]:
    """Run `llm` with a terminal on all three sides; returns its exit code and what it showed."""
    pty = pytest.importorskip("pty")
    control, terminal = pty.openpty()
    command = [sys.executable, "-c", "from create_llm.cli import main; main()", *arguments]
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**environment, "TERM": "xterm"},
    )
    os.close(terminal)
    os.write(control, answer.encode())
    shown = b""
    # Linux ends the reading with an error once the other side is closed.
    with contextlib.suppress(OSError):
        while chunk := os.read(control, 65536):
            shown += chunk
    os.close(control)
    return process.wait(), shown.decode()


def test_a_terminal_gets_a_table_in_colour():
    code, shown = on_a_terminal("plugins", "list")
    assert code == 0
    assert "\x1b[" in shown
    assert "architectures: gpt" in shown


def test_on_a_terminal_uninstalling_asks_and_takes_no_for_an_answer():
    code, shown = on_a_terminal("plugins", "uninstall", "gpt", answer="n\n")
    assert code == 0
    assert "Remove create-llm-gpt?" in shown
    assert "nothing was removed" in shown


def offline(apart):
    """`llm` with a pip that has no index and was told nothing about isolation."""
    return partial(apart.func, **apart.keywords | {"env": {"PIP_NO_INDEX": "1"}})


def test_a_package_of_one_s_own_is_installed_editable_without_a_network(apart, tmp_path: Path):
    run = offline(apart)
    assert run("plugins", "new", "lion", "--kind", "callback", cwd=tmp_path).returncode == 0
    installed = run("plugins", "install", "--editable", "lion", "-C", str(tmp_path))
    assert installed.returncode == 0, installed.stderr
    assert installed.stdout == "plugin 'lion' (create-llm-lion 0.1.0) is ready\n"
    plugin = tmp_path / "lion" / "src" / "create_llm_lion" / "plugin.py"
    plugin.write_text(plugin.read_text().replace('"lion",', '"tiger",'))
    listed = json.loads(run("plugins", "list", "--json").stdout)["plugins"]
    (lion,) = [entry for entry in listed if entry["name"] == "lion"]
    assert lion["provides"] == {"callbacks": ["tiger"]}
    assert run("plugins", "uninstall", "lion", "--yes").returncode == 0
    assert "lion" not in names(apart)


def test_a_folder_whose_build_needs_are_here_takes_no_network(apart, lion: Path):
    installed = offline(apart)("plugins", "install", f"./{lion.name}", "-C", str(lion.parent))
    assert installed.returncode == 0, installed.stderr
    assert "lion" in names(apart)


def test_a_folder_whose_build_needs_are_not_here_is_built_apart(apart, lion: Path):
    text = (lion / "pyproject.toml").read_text()
    (lion / "pyproject.toml").write_text(text.replace('["hatchling"]', '["no-such-builder"]'))
    installed = offline(apart)("plugins", "install", str(lion))
    assert installed.returncode == 70
    assert "no-such-builder" in installed.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--editable my-plugin"),
        (["--editable", "nowhere"], "holds no pyproject.toml"),
        (["--editable", "torn"], "pyproject.toml cannot be read"),
    ],
)
def test_what_cannot_be_installed_is_told_before_pip_runs(
    llm, tmp_path: Path, arguments: list[str], message: str
):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "pyproject.toml").write_text("[project\n")
    done = llm("plugins", "install", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
