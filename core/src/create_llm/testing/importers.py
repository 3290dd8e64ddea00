"""The contract of importers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from create_llm.errors import ConfigError, CreateLLMError, DataError
from create_llm.kernel.registry import Registry
from create_llm.models.bundle import ModelBundle
from create_llm.models.importing import Importer, import_into
from create_llm.models.loaded import LoadedModel
from create_llm.storage.durable import read_manifest
from create_llm.testing.base import PartContract

_TEXTS = ("Once upon a time", " there\twas a 'sea'.\n\n", "naïve 東京 \N{SLIGHTLY SMILING FACE}")
_CLOSE = 1e-4


class ImporterContract(PartContract):
    """Reads a model of another program."""

    kind = "importers"

    def model(self, root: Path) -> Path:
        """Write a small model, as its own program would, into the folder `root`, and return what
        `llm import` gets: a file, or `root` itself."""
        raise NotImplementedError(f"{type(self).__name__} must say how to make a model")

    def logits(self, path: Path, tokens: Tensor) -> Tensor:
        """What its own program computes: [batch, length, vocabulary] for int64 [batch, length]."""
        raise NotImplementedError(f"{type(self).__name__} must say what its program computes")

    def ids(self, path: Path, text: str) -> list[int]:
        """What its own program makes of a text, without control tokens around it."""
        raise NotImplementedError(f"{type(self).__name__} must say how its program encodes")

    def test_knows_its_own_form(self, tmp_path: Path) -> None:
        """`reads` says yes to a model of its own, and no to an empty folder and to any text."""
        path = self._made(tmp_path)
        other = tmp_path / "other"
        other.mkdir()
        assert self._importer().reads(path), "it does not know its own form"
        assert not self._importer().reads(other), "it takes an empty folder for a model"
        (other / "notes.txt").write_text("a text", encoding="utf-8")
        assert not self._importer().reads(other), "it takes a folder of texts for a model"
        assert not self._importer().reads(other / "notes.txt"), "it takes a text for a model"

    def test_same_logits(self, tmp_path: Path) -> None:
        """The imported model computes what it computes in its own program."""
        path = self._made(tmp_path)
        model = self._loaded(self._imported(path, tmp_path / "v1"))
        length = min(model.context, 12)
        generator = torch.Generator().manual_seed(5)
        tokens = torch.randint(0, model.tokenizer.vocab_size, (2, length), generator=generator)
        with torch.no_grad():
            ours, theirs = model.module(tokens).logits(), self.logits(path, tokens)
        assert ours.shape == theirs.shape
        largest = float(torch.maximum(ours.abs().max(), theirs.abs().max()))
        apart = float((ours - theirs).abs().max())
        assert apart <= _CLOSE * largest, f"logits differ by {apart:.3g} of {largest:.3g}"

    def test_same_token_ids(self, tmp_path: Path) -> None:
        """Text becomes the ids that it becomes in its own program."""
        path = self._made(tmp_path)
        tokenizer = self._loaded(self._imported(path, tmp_path / "v1")).tokenizer
        for text in _TEXTS:
            assert tokenizer.encode_batch([text])[0] == self.ids(path, text), f"of {text!r}"

    def test_says_where_it_comes_from(self, tmp_path: Path) -> None:
        """The bundle names its origin; it has no figures, because none were measured."""
        bundle = self._imported(self._made(tmp_path), tmp_path / "v1")
        assert bundle.info["imported"]["from"], "no origin"
        assert not bundle.info["metrics"], "figures that nobody measured"

    def test_twice_gives_the_same_weights(self, tmp_path: Path) -> None:
        """Equal imports can be told by their hashes."""
        path = self._made(tmp_path)
        first, second = (self._imported(path, tmp_path / name) for name in ("v1", "v2"))
        assert first.weights_sha256() == second.weights_sha256()
        assert set(read_manifest(first.path)) == set(read_manifest(second.path))

    def test_leaves_the_source_alone(self, tmp_path: Path) -> None:
        """Importing changes nothing of what is imported."""
        path = self._made(tmp_path)
        before = _contents(path)
        self._imported(path, tmp_path / "v1")
        assert _contents(path) == before

    def test_what_is_no_model_is_refused_in_words(self, tmp_path: Path) -> None:
        """A path that is not there, an empty folder, and a model that was cut off."""
        path, empty = self._made(tmp_path), tmp_path / "empty"
        empty.mkdir()
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                file.write_bytes(file.read_bytes()[:20])
        for number, wrong in enumerate((tmp_path / "missing", empty, path)):
            with pytest.raises(CreateLLMError) as caught:
                self._imported(wrong, tmp_path / f"wrong-{number}")
            assert isinstance(caught.value, ConfigError | DataError), type(caught.value).__name__
            assert caught.value.fixes, f"nothing to do about {wrong.name}"
            assert not (tmp_path / f"wrong-{number}").exists(), "something was left"

    @classmethod
    def registry(cls) -> Registry:
        """Where the parts that run the model are looked for."""
        return cls.plugins().registry

    def _importer(self) -> Importer:
        made: Importer = self.part().load()()
        return made

    def _made(self, root: Path) -> Path:
        folder = root / "theirs"
        folder.mkdir()
        return self.model(folder)

    def _imported(self, path: Path, folder: Path) -> ModelBundle:
        registry, said = self.registry(), list[str]()
        read = self._importer().read(str(path), path.parent, registry, said.append)
        return import_into(read, folder, registry)

    def _loaded(self, bundle: ModelBundle) -> LoadedModel:
        return LoadedModel.from_bundle(bundle, self.registry())


def _contents(path: Path) -> dict[str, bytes]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(file): file.read_bytes() for file in files if file.is_file()}
