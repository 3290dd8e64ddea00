"""What pip says, as it is shown."""

import pytest

from create_llm.cli.pip import run_pip
from create_llm.errors import PluginError

VERSIONS = [f"1.{number}" for number in range(300)]


def page(link):
    return f"<a href='{link}' data-requires-python='&lt;3,&gt;=2.7'>{link}</a>"


@pytest.fixture
def refused(tmp_path, capsys):
    """Ask for a version that there is not; the error, and what was shown on the way.

    The files have no package in them: pip goes by their names.
    """

    def run(versions: list[str], html: str = "") -> tuple[str, list[str]]:
        for version in versions:
            (tmp_path / f"many-{version}-py3-none-any.whl").touch()
        (tmp_path / "old.html").write_text(html)
        options = ["--isolated", "--no-index", "--find-links", str(tmp_path)]
        with pytest.raises(PluginError) as caught:
            run_pip(["install", *options, "many==9"], tmp_path)
        return caught.value.what, capsys.readouterr().err.splitlines()

    return run


def test_of_hundreds_of_versions_the_newest_are_told(refused):
    what, shown = refused(VERSIONS)
    assert what == "pip failed: No matching distribution found for many==9"
    (told,) = (line for line in shown if "from versions" in line)
    assert told.endswith("many==9 (from versions: … 1.298, 1.299)")


def test_so_are_a_few_of_those_for_another_python(refused):
    pages = [page(f"many-{version}-py3-none-any.whl") for version in VERSIONS]
    _, shown = refused([], "".join(pages))
    (told,) = (line for line in shown if "different python" in line)
    assert told.startswith("ERROR: Ignored the following versions that require a different python")
    assert "1.99 Requires-Python <3,>=2.7" in told
    assert len(told) < 200


def test_what_is_short_is_shown_as_it_is(refused):
    _, shown = refused(VERSIONS[:3])
    assert any("(from versions: 1.0, 1.1, 1.2)" in line for line in shown)
