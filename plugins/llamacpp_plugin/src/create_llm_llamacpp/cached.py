"""The model in llama.cpp's form, kept in a folder of the bundle.

It is made once, by the exporter `gguf`, and proved: where llama.cpp writes other tokens than the
module does, it is not used. What came of it is kept beside the file, so that the next opening needs
no torch.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.errors import ConfigError, DataError
from create_llm.kernel.registry import Registry
from create_llm.models.bundle import ModelBundle
from create_llm.models.engine import CannotRun, Notice
from create_llm.storage.durable import Storage, verify
from create_llm.storage.leftovers import temporary_name
from create_llm.storage.manifest import hash_file

if TYPE_CHECKING:
    from create_llm.models.export import Exporter
    from create_llm.models.loaded import LoadedModel

FOLDER = Path("cache", "llamacpp")
MODEL = "model.gguf"
FACTS = "proof.json"
FORMAT = 1
_PRECISIONS = ("f16", "f32")


class Facts(BaseModel):
    """proof.json: what the model is known to do.

    Attributes:
        weights: SHA-256 (hex) of the bundle's, that it was made from.
        library: version of xllamacpp that it was tried with.
        precision: "f16" or "f32", of the matrices; keys and values are kept in the same.
        refused: why llama.cpp is not to run it; None where it writes what the module writes.
        context: of the model, as all below.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    weights: str
    library: str
    precision: str = ""
    refused: str | None = None
    context: int = 0
    longest_prompt: int = 0
    stop_tokens: tuple[int, ...] = ()


def converted(bundle: ModelBundle, registry: Registry, notice: Notice) -> tuple[Path, Facts]:
    """The GGUF file of a bundle and what is known of it; made if it is not there.

    Raises:
        CannotRun: llama.cpp cannot run the model, or there is no place for the file.
    """
    folder = bundle.path / FOLDER
    with contextlib.suppress(OSError):  # a disk that refuses costs space and no more
        Storage().heal(folder.parent)  # a killed one left as much as the model is large
    facts = _kept(folder, bundle)
    if facts is None:
        _check(bundle, registry)
        notice(f"getting {bundle.name} ready for llama.cpp, which is done once")
        try:
            facts = _make(folder, bundle, registry)
        except OSError as error:
            raise CannotRun(f"the model in its form cannot be kept: {error}") from error
    if facts.refused is not None:
        raise CannotRun(facts.refused, where=str(folder / FACTS))
    return folder / MODEL, facts


def _kept(folder: Path, bundle: ModelBundle) -> Facts | None:
    """What is known already, of these weights and this library."""
    if not (folder / FACTS).is_file():
        return None
    try:
        verify(folder)
        facts = Facts.model_validate_json((folder / FACTS).read_bytes())
    except (DataError, ValidationError):
        return None  # a cache that is damaged is made anew
    wanted = (FORMAT, bundle.weights_sha256(), _library())
    return facts if (facts.format, facts.weights, facts.library) == wanted else None


def _check(bundle: ModelBundle, registry: Registry) -> None:
    try:
        _exporter(registry, _PRECISIONS[0]).check(bundle)
    except ConfigError as error:
        fixes = ("run it in torch: --engine torch",)
        raise CannotRun(error.what, where=error.where, fixes=fixes) from error


def _exporter(registry: Registry, precision: str) -> Exporter:
    """What writes a model without its tokenizer: each id is spelt as its number."""
    part = registry.get("exporters", "gguf")
    config = part.config_model()
    assert config is not None
    exporter: Exporter = part.load()(config(precision=precision, vocabulary="ids"))
    return exporter


def _make(folder: Path, bundle: ModelBundle, registry: Registry) -> Facts:
    from create_llm.models.loaded import LoadedModel

    loaded = LoadedModel.from_bundle(bundle, registry)
    storage = Storage()
    storage.make_folder(folder.parent)
    with _trials(folder) as trials:
        path, facts = _tried(trials, bundle, loaded, registry)
        with storage.commit(folder) as writer:
            if facts.refused is None:
                writer.link(MODEL, path, hash_file(path))
            writer.write_json(FACTS, facts.model_dump())
    return facts


@contextlib.contextmanager
def _trials(folder: Path) -> Iterator[Path]:
    """A folder beside it for files that are tried, by a name that `heal` knows."""
    with temporary_name(folder.with_name(f"{folder.name}-trials"), "tmp") as trials:
        trials.mkdir()
        try:
            yield trials
        finally:
            shutil.rmtree(trials, ignore_errors=True)  # what is left is removed by `heal`


def _tried(
    folder: Path, bundle: ModelBundle, loaded: LoadedModel, registry: Registry
) -> tuple[Path, Facts]:
    """A file in the smallest precision in which llama.cpp writes what the module does."""
    from create_llm.models.proof import continued, writes_the_same
    from create_llm_llamacpp.model import LlamaModel
    from create_llm_llamacpp.writer import LlamaError

    facts = Facts(
        weights=bundle.weights_sha256(),
        library=_library(),
        context=loaded.context,
        longest_prompt=loaded.longest_prompt,
        stop_tokens=tuple(sorted(loaded.stop_tokens)),
    )
    if not _reads_what_it_writes(loaded):
        return folder, _refused(facts, "the model's prompts are more than the tokens of a text")
    try:
        for precision in _PRECISIONS:
            path = _written(folder / precision, bundle, _exporter(registry, precision))
            known = facts.model_copy(update={"precision": precision})
            model = LlamaModel(path, known, loaded.tokenizer, loaded.template)
            if writes_the_same(partial(continued, model), loaded, loaded.context):
                return path, known
    except (ConfigError, LlamaError) as error:
        return folder, _refused(facts, error.what)
    return folder, _refused(facts, "with this model it writes other tokens than torch")


def _written(folder: Path, bundle: ModelBundle, exporter: Exporter) -> Path:
    with Storage().commit(folder) as writer:
        exporter.export(bundle, writer)
    (path,) = folder.glob("*.gguf")
    return path


def _refused(facts: Facts, why: str) -> Facts:
    return facts.model_copy(update={"refused": why})


def _reads_what_it_writes(loaded: LoadedModel) -> bool:
    """Whether a prompt is its tokens, and the text goes on behind them."""
    if "causal" not in loaded.architecture.capabilities:
        return False
    ids = [loaded.tokenizer.special.eos]
    made = loaded.objective.prompt(ids)
    return list(made) == ["tokens"] and made["tokens"].tolist() == [ids]


def _library() -> str:
    return metadata.version("xllamacpp")
