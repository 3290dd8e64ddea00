"""Exports: all or nothing, never over what is not ours."""

from __future__ import annotations

import pytest

from create_llm.errors import ConfigError, DataError
from create_llm.models.bundle import FORMAT, INFO, WEIGHTS, ModelBundle
from create_llm.models.exporting import export
from create_llm.storage.durable import Storage, verify


class Letters:
    """Writes a letter a file."""

    def __init__(self, letters: str) -> None:
        self._letters = letters

    def check(self, bundle):
        pass

    def export(self, bundle, writer):
        for letter in self._letters:
            if letter == "!":
                raise ConfigError("no further")
            (writer.folder / letter).write_text(letter)
            writer.adopt(letter)
        return ("read {folder}/a",)

    def test(self, bundle, folder):
        return ()


@pytest.fixture
def bundle(tmp_path):
    with Storage().commit(tmp_path / "v1") as writer:
        writer.write(WEIGHTS, [b"weights"])
        writer.write_json(INFO, {"format": FORMAT})
    return ModelBundle.open(tmp_path / "v1")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_advice_has_the_path_as_it_is_seen_from_here(bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export(Letters("a"), bundle, tmp_path / "more" / "out") == ("read more/out/a",)
    monkeypatch.chdir(tmp_path / "more")
    assert export(Letters("a"), bundle, tmp_path / "out") == (f"read {tmp_path.as_posix()}/out/a",)


def test_files_that_a_library_wrote_are_recorded(bundle, tmp_path):
    export(Letters("ab"), bundle, tmp_path / "out")
    assert names(tmp_path / "out") == ["a", "b", "manifest.json"]
    verify(tmp_path / "out")
    (tmp_path / "out" / "b").write_text("c")
    with pytest.raises(DataError, match="b"):
        verify(tmp_path / "out")


def test_an_earlier_export_gives_way(bundle, tmp_path):
    for letters in ("ab", "c"):
        export(Letters(letters), bundle, tmp_path / "out")
    assert names(tmp_path / "out") == ["c", "manifest.json"]


def test_a_folder_that_fails_is_not_there_and_the_earlier_one_is(bundle, tmp_path):
    for folder in ("new", "out"):
        if folder == "out":
            export(Letters("ab"), bundle, tmp_path / "out")
        with pytest.raises(ConfigError, match="no further"):
            export(Letters("c!"), bundle, tmp_path / folder)
    assert names(tmp_path) == ["out", "v1"]
    assert names(tmp_path / "out") == ["a", "b", "manifest.json"]


@pytest.mark.parametrize("beside", ["notes.txt", "more/notes.txt"])
def test_what_is_not_ours_is_not_replaced(bundle, tmp_path, beside):
    export(Letters("ab"), bundle, tmp_path / "out")
    (tmp_path / "out" / beside).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / beside).write_text("precious")
    with pytest.raises(ConfigError, match="something else"):
        export(Letters("c"), bundle, tmp_path / "out")
    assert (tmp_path / "out" / beside).read_text() == "precious"


def test_neither_a_bundle_nor_a_file_is_replaced(bundle, tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (bundle.path, tmp_path / "file"):
        with pytest.raises(ConfigError, match="something else"):
            export(Letters("c"), bundle, folder)
    verify(bundle.path)


def test_an_empty_folder_is_filled(bundle, tmp_path):
    (tmp_path / "out").mkdir()
    export(Letters("a"), bundle, tmp_path / "out")
    assert names(tmp_path / "out") == ["a", "manifest.json"]


def test_a_damaged_model_is_not_passed_on(bundle, tmp_path):
    (bundle.path / WEIGHTS).write_bytes(b"weighty")
    with pytest.raises(DataError):
        export(Letters("a"), bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", ["inner", "inner/deeper"])
def test_nothing_is_written_into_a_model(bundle, tmp_path, inside):
    (tmp_path / "link").symlink_to(bundle.path, target_is_directory=True)
    for folder in (bundle.path, tmp_path / "link"):
        with pytest.raises(ConfigError, match="inside a model"):
            export(Letters("a"), bundle, folder / inside)
    assert names(bundle.path) == [INFO, "manifest.json", WEIGHTS]
