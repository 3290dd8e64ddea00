"""Every first-party wheel beside the core's alone: listed, loadable, and true to its contract.

Each stands in an environment of its own that holds the core, this plugin, and what the two say
that they require: neither another plugin nor a library that is only installed by chance.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from create_llm.kernel.catalogue import catalogue
from tests.conftest import ROOT, CommandLine
from tests.environments import bare, share_requirements, site_of
from tests.journey import environment

pytestmark = pytest.mark.slow

CORE = "create-llm-core"
PACKAGES = {
    f"create-llm-{folder.name.removesuffix('_plugin').replace('_', '-')}": folder
    for folder in sorted(ROOT.glob("plugins/*_plugin"))
}
PARTS = """\
import json, sys
from create_llm.errors import CreateLLMError
from create_llm.kernel.plugins import CORE, load_plugins

plugins, troubles = load_plugins({}), []
for part in [part for record in plugins.records if record.plugin is not CORE
             for part in record.parts]:
    try:
        plugins.registry.get(part.kind, part.name)
        part.load()
        part.config_model()
    except CreateLLMError as error:
        troubles.append([f"{part.kind}/{part.name}", error.exit_code, error.render()])
print(json.dumps(troubles), flush=True)
if len(sys.argv) > 1:
    import pytest
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1]]))
"""
"""Prints what parts cannot be used, then runs a test file. One process: both import torch."""
INSTALL = re.compile(r"llm plugins install ([a-z0-9-]+)$", re.MULTILINE)
IMPORTS_A_PEER = """\
from create_llm import hookimpl

@hookimpl
def register_tokenizers(register):
    register("nosy", f"{__name__}:Nosy", summary="A tokenizer.")

def __getattr__(name):
    from create_llm_gpt.config import GPTConfig
    return GPTConfig
"""
LACKS_A_MODULE = IMPORTS_A_PEER.replace("create_llm_gpt.config", "bad_lacks_body")
LACKS_A_LIBRARY = IMPORTS_A_PEER.replace("create_llm_gpt.config", "wandb")


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of the plugins of an environment.

    Attributes:
        troubles: of each part that cannot be used: its name, exit code and error.
        code: of the tests; 0 where there were none.
        output: of the tests.
    """

    troubles: list[tuple[str, int, str]]
    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Alone:
    """An environment with the core and some plugins."""

    python: Path
    site: Path
    llm: CommandLine

    def plugins(self) -> list[dict]:
        done = self.llm("plugins", "list", "--json", python=self.python, env={"PYTHONPATH": ""})
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)["plugins"]

    def check(self, *tests: Path) -> Checked:
        """Load every part, and run a file of tests if one is given.

        Isolated from the variables and folders of whoever runs this.
        """
        done = subprocess.run(
            [str(self.python), "-I", "-c", PARTS, *map(str, tests)],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        troubles, newline, output = done.stdout.partition("\n")
        assert newline, done.stderr
        return Checked(json.loads(troubles), done.returncode, output + done.stderr)


Make = Callable[..., Alone]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, install_apart, wheels, llm) -> Make:
    """Make an environment with the core and these wheels or sources."""

    def make(*sources: Path) -> Alone:
        home = tmp_path_factory.mktemp("alone") / "environment"
        python, site = bare(home), site_of(home)
        install_apart([wheels[CORE], *sources], site)
        share_requirements(site, "pytest", "hypothesis")
        return Alone(python, site, llm)

    return make


@pytest.fixture(scope="module")
def beside_the_core(alone: Make, wheels: dict[str, Path]) -> Callable[[str], Alone]:
    """The environment of a first-party package, made once."""
    return functools.cache(lambda name: alone(wheels[name]))


@pytest.fixture(scope="module")
def checked(request, beside_the_core) -> Iterator[Callable[[str], Checked]]:
    """What the parts and the contract tests of a first-party package give beside the core.

    Two packages at a time, of those that the chosen tests ask for: this is most of the work here.
    """
    asking = [item for item in request.session.items if "checked" in item.fixturenames]
    names = sorted({item.callspec.params["name"] for item in asking})
    there = {name: beside_the_core(name) for name in names}
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = {name: pool.submit(there[name].check, contract_of(name)) for name in names}
        yield lambda name: found[name].result()


def contract_of(name: str) -> Path:
    return PACKAGES[name] / "tests" / "test_contract.py"


@pytest.fixture(scope="module")
def core_alone(alone: Make) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command where no plugin is installed at all."""
    there = alone()
    return functools.partial(there.llm, python=there.python, env={"PYTHONPATH": ""})


def unexplained(troubles: list[tuple[str, int, str]]) -> list[str]:
    """The errors that do not name a missing first-party package and how to install it."""
    return [
        f"{part}: exit {code}: {error}"
        for part, code, error in troubles
        if code != 70 or "could not be loaded" in error or not packages_named(error)
    ]


def packages_named(text: str) -> set[str]:
    """The first-party distributions that a text says to install."""
    return {f"create-llm-{name}" for name in INSTALL.findall(text)} & set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_it_is_the_only_plugin_and_gives_what_the_catalogue_says(name: str, beside_the_core):
    (plugin,) = beside_the_core(name).plugins()
    assert (plugin["distribution"], plugin["status"], plugin["error"]) == (name, "loaded", None)
    provided = {kind: sorted(names) for kind, names in plugin["provides"].items()}
    assert provided == catalogue()[name]


@pytest.mark.parametrize("name", PACKAGES)
def test_its_parts_load_or_name_the_package_that_they_need(name: str, checked):
    assert unexplained(checked(name).troubles) == []


@pytest.mark.parametrize("name", PACKAGES)
def test_its_contract_holds_with_no_more_packages_than_it_names(
    name: str, checked, alone: Make, wheels: dict[str, Path]
):
    found, installed = checked(name), {name}
    while found.code:
        missing = packages_named(found.output) - installed
        assert missing, found.output
        installed |= missing
        found = alone(*(wheels[package] for package in installed)).check(contract_of(name))
    assert found.troubles == []
    assert re.search(r"\d+ passed", found.output)


@pytest.mark.parametrize(
    ("name", "body", "missing"),
    [
        ("nosy", IMPORTS_A_PEER, "create_llm_gpt"),
        ("lacks", LACKS_A_MODULE, "bad_lacks_body"),
        ("needy", LACKS_A_LIBRARY, "wandb"),
    ],
    ids=["a peer", "a module", "a library"],
)
def test_a_wheel_that_needs_what_it_does_not_bring_is_caught(
    alone: Make, write_distribution, name: str, body: str, missing: str
):
    there = alone(write_distribution(f"bad-{name}", name, body))
    (trouble,) = unexplained(there.check().troubles)
    assert f"No module named '{missing}'" in trouble


def test_a_requirement_that_names_its_package_is_no_trouble(alone: Make, write_distribution):
    body = IMPORTS_A_PEER.replace(
        '="A tokenizer."', '="A tokenizer.", requires=("architectures/gpt",)'
    )
    troubles = alone(write_distribution("bad-polite", "polite", body)).check().troubles
    assert unexplained(troubles) == []
    ((_, code, error),) = troubles
    assert (code, packages_named(error)) == (70, {"create-llm-gpt"})


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--help"], 0, "Make a language model of your own."),
        (["plugins", "list"], 0, "No plugin is installed. For example: llm plugins install gpt"),
        (["doctor"], 0, "plugins"),
        (["new", "x"], 2, "llm plugins install templates"),
        (["new", "x", "--template", "nano"], 70, "llm plugins install templates"),
        (["quickstart"], 70, "llm plugins install sample"),
        (["train"], 2, "llm new"),
    ],
    ids=["help", "list", "doctor", "new", "new of a template", "quickstart", "train"],
)
def test_without_any_plugin_the_command_says_what_to_do(
    core_alone, tmp_path: Path, arguments: list[str], code: int, says: str
):
    done = core_alone(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def metadata(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(archive.read(name).decode())


def required(wheel: Path) -> list[Requirement]:
    return [Requirement(line) for line in metadata(wheel).get_all("Requires-Dist", [])]


@pytest.mark.parametrize("name", PACKAGES)
def test_it_asks_for_this_core_up_to_the_next_that_may_differ(name: str, wheels: dict[str, Path]):
    ours = [wanted for wanted in required(wheels[name]) if wanted.name.startswith("create-llm")]
    assert [wanted.name for wanted in ours] == [CORE]
    here = Version(metadata(wheels[CORE])["Version"])
    assert ours[0].specifier.contains(here)
    assert not ours[0].specifier.contains(f"{here.major}.{here.minor + 1}")


@pytest.mark.parametrize("name", [CORE, *PACKAGES])
def test_it_holds_its_own_package_typed_and_nothing_else(name: str, wheels: dict[str, Path]):
    with zipfile.ZipFile(wheels[name]) as archive:
        names = archive.namelist()
    package = "create_llm" if name == CORE else name.replace("-", "_")
    version = metadata(wheels[name])["Version"]
    tops = {entry.partition("/")[0] for entry in names}
    assert tops == {package, f"{name.replace('-', '_')}-{version}.dist-info"}
    assert f"{package}/py.typed" in names
    assert not [n for n in names if n.startswith(f"{package}/tests/") or n.endswith(".pyc")]
