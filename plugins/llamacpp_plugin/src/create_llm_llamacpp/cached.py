"""The model in llama.cpp's form, kept in a folder of the bundle.

It is made once, in torch, and proved: where llama.cpp writes other tokens than the module does, it
is not used. What came of it is kept beside the file, so that the next opening needs no torch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.errors import DataError
from create_llm.kernel.registry import Registry
from create_llm.models.bundle import ModelBundle
from create_llm.models.engine import CannotRun, Notice
from create_llm.storage.durable import Storage, verify
from create_llm.storage.manifest import hash_file
from create_llm_llamacpp.families import family_of

if TYPE_CHECKING:
    from create_llm.models.loaded import LoadedModel
    from create_llm_llamacpp.gguf_file import Precision

FOLDER = Path("cache", "llamacpp")
MODEL = "model.gguf"
FACTS = "proof.json"
FORMAT = 1


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
    family_of(bundle.hf_config())
    folder = bundle.path / FOLDER
    facts = _kept(folder, bundle)
    if facts is None:
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


def _make(folder: Path, bundle: ModelBundle, registry: Registry) -> Facts:
    from create_llm.models.loaded import LoadedModel

    loaded = LoadedModel.from_bundle(bundle, registry)
    Storage().make_folder(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        path = Path(temporary) / MODEL
        facts = _tried(path, bundle, loaded)
        with Storage().commit(folder) as writer:
            if facts.refused is None:
                writer.link(MODEL, path, hash_file(path))
            writer.write_json(FACTS, facts.model_dump())
    return facts


def _tried(path: Path, bundle: ModelBundle, loaded: LoadedModel) -> Facts:
    """Write the file in the smallest precision in which llama.cpp writes what the module does."""
    from create_llm_llamacpp.gguf_file import write_gguf
    from create_llm_llamacpp.model import LlamaModel
    from create_llm_llamacpp.proof import writes_the_same
    from create_llm_llamacpp.writer import LlamaError

    facts = Facts(
        weights=bundle.weights_sha256(),
        library=_library(),
        context=loaded.context,
        longest_prompt=loaded.longest_prompt,
        stop_tokens=tuple(sorted(loaded.stop_tokens)),
    )
    if not _reads_what_it_writes(loaded):
        return _refused(facts, "the model's prompts are more than the tokens of a text")
    precisions: Sequence[Precision] = ("f16", "f32")
    try:
        for precision in precisions:
            path.unlink(missing_ok=True)
            write_gguf(bundle, path, precision)
            known = facts.model_copy(update={"precision": precision})
            model = LlamaModel(path, known, loaded.tokenizer, loaded.template)
            if writes_the_same(model, loaded):
                return known
    except (CannotRun, LlamaError) as error:
        return _refused(facts, error.what)
    return _refused(facts, "with this model it writes other tokens than torch")


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
