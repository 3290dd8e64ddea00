"""The contract of exporters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from create_llm.errors import ConfigError, CreateLLMError, PluginError
from create_llm.models.bundle import ModelBundle
from create_llm.models.export import Exporter, Finding
from create_llm.models.exporting import export
from create_llm.storage.durable import Storage, read_manifest
from create_llm.storage.manifest import MANIFEST
from create_llm.testing.bundles import BundleContract


class ExporterContract(BundleContract):
    """Writes a model for another program.

    Attributes:
        model, tokenizer: as `BundleContract` has them; parts that the form can carry.
    """

    kind = "exporters"

    def test_every_file_is_recorded(self, tmp_path: Path) -> None:
        """What it writes goes through the writer, which makes it durable: write, link or adopt."""
        folder = tmp_path / "out"
        export(self._exporter(), self.bundle(tmp_path), folder)
        found, recorded = set(_contents(folder)), set(read_manifest(folder))
        assert recorded, "it writes nothing"
        assert found == recorded | {MANIFEST}, f"not recorded: {found - recorded}"

    def test_says_what_to_do_next(self, tmp_path: Path) -> None:
        """Lines for a person who has the folder and does not know the program."""
        advice = export(self._exporter(), self.bundle(tmp_path), tmp_path / "out")
        assert advice, "no advice"
        assert all(isinstance(line, str) and "\n" not in line for line in advice)

    def test_twice_gives_the_same_bytes(self, tmp_path: Path) -> None:
        """No time of day, no order of a set: equal exports can be told by their hashes."""
        bundle, folders = self.bundle(tmp_path), (tmp_path / "first", tmp_path / "second")
        for folder in folders:
            export(self._exporter(), bundle, folder)
        first, second = map(read_manifest, folders)
        assert first == second

    def test_leaves_the_bundle_alone(self, tmp_path: Path) -> None:
        """A model that was exported is the model that it was."""
        bundle = self.bundle(tmp_path)
        before = _contents(bundle.path)
        export(self._exporter(), bundle, tmp_path / "out")
        assert _contents(bundle.path) == before

    def test_its_program_reads_the_same_model(self, tmp_path: Path) -> None:
        """`--test` compares, and finds nothing that differs. Skips where the program is not."""
        bundle = self.bundle(tmp_path)
        findings = self._tested(bundle, bundle, tmp_path / "out")
        assert findings, "nothing was compared"
        assert any(finding.same for finding in findings), "nothing is said to be the same"
        for finding in findings:
            assert finding.same is not False, f"{finding.what}: {finding.told}"

    def test_another_model_is_told_apart(self, tmp_path: Path) -> None:
        """Beside a model with other weights `--test` says that the two differ."""
        bundle, other = self.bundle(tmp_path), self.bundle(tmp_path, "v2", seed=1)
        findings = self._tested(bundle, other, tmp_path / "out")
        differs = any(finding.same is False for finding in findings)
        assert differs, "two models, and it says: the same"

    def test_a_form_that_nobody_knows_is_refused_or_kept(self, tmp_path: Path) -> None:
        """Where config.json names a shape it has never heard of, it says so in words and leaves
        no folder, or hands the files on as they are."""
        stranger = _renamed(self.bundle(tmp_path), tmp_path / "v3")
        folder = tmp_path / "out"
        refusal: CreateLLMError | None = None
        try:
            export(self._exporter(), stranger, folder)
        except (ConfigError, PluginError) as error:
            refusal = error
        assert (refusal is None) == folder.exists()
        assert refusal is None or refusal.fixes, "the error says nothing to do"

    def _exporter(self) -> Exporter:
        made: Exporter = self.part().load()(self.config())
        return made

    def _tested(self, bundle: ModelBundle, beside: ModelBundle, folder: Path) -> Sequence[Finding]:
        """What the export of one bundle comes to beside another."""
        export(self._exporter(), bundle, folder)
        try:
            return self._exporter().test(beside, folder)
        except PluginError as error:
            pytest.skip(error.what)


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _renamed(bundle: ModelBundle, folder: Path) -> ModelBundle:
    """The bundle with a config.json of a kind that does not exist."""
    strange = {"model_type": "no-such", "architectures": ["NoSuchForCausalLM"]}
    with Storage().commit(folder) as writer:
        for name, data in _contents(bundle.path).items():
            if name == "config.json":
                data = json.dumps({**bundle.hf_config(), **strange}).encode()
            if name != MANIFEST:
                writer.write(name, [data])
    return ModelBundle.open(folder)
