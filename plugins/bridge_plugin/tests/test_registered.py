"""The list of models, without the other program."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from create_llm.cli import main
from create_llm.errors import DataError
from create_llm_bridge.registered import read, with_versions, write


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "create-llm.json"
    assert read(path) == {}
    models = {"zebra": Path("/models/z"), "löwe": Path("/models/a b")}
    write(path, models)
    assert read(path) == models
    assert list(json.loads(path.read_text("utf-8"))["models"]) == ["löwe", "zebra"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "the whole file"),
        ('{"format": 2, "models": {}}', "format"),
        ('{"models": {"a": 3}}', "models.a"),
        ('{"modles": {}}', "modles"),
    ],
)
def test_a_damaged_list_is_named(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "create-llm.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.where == f"{path}: {place}"


def test_a_project_is_there_with_its_versions(tmp_path: Path) -> None:
    project = tmp_path / "poet"
    for version in ("v1", "v2", "v10"):
        (project / "models" / version).mkdir(parents=True)
        (project / "models" / version / "create_llm.json").touch()
    (project / "llm.toml").touch()
    elsewhere, gone = tmp_path / "elsewhere", tmp_path / "gone"
    models = {"poet": project, "poet/v2": elsewhere, "gone": gone}
    found = list(with_versions(models))
    assert [name for name, _ in found] == ["poet", "poet/v1", "poet/v10", "poet/v2", "gone"]
    # Where somebody gave a name that a version would have, theirs is meant.
    assert dict(found)["poet/v2"] == elsewhere
    assert dict(found)["poet/v10"] == project / "models" / "v10"


@pytest.mark.skipif(find_spec("llm") is not None, reason="the other program is installed here")
def test_without_the_other_program(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bridge", "list", "--json"])
    assert exit_.value.code == 70
    out, err = capsys.readouterr()
    assert out == ""
    assert f"try: {sys.executable} -m pip install llm" in err
