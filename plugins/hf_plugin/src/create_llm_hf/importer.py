"""Models in Hugging Face's form as ours: a folder, or a repository of the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any

from create_llm.errors import ConfigError, DataError
from create_llm.kernel.registry import Registry
from create_llm.models.engine import Notice
from create_llm.models.importing import Imported
from create_llm.models.sampling import Sampling
from create_llm_hf.checkpoint import (
    CONFIG,
    has_pickles,
    read_json,
    read_tensors,
    refuse_links_out,
    weight_files,
)
from create_llm_hf.tasks import classes, refuse_other_task
from create_llm_hf.tokenizer_files import tokenizer_files, tokenizer_part

if TYPE_CHECKING:
    from torch import Tensor

    from create_llm.models.architecture import Architecture

OWN = {"gpt2": "gpt", "llama": "gpt", "qwen3": "gpt"}
"""model_type → the architecture of ours that computes the same, and faster."""
OWN_OTHERS = {
    "BertForMaskedLM": "bert",
    "BertForPreTraining": "bert",
    "T5ForConditionalGeneration": "t5",
}
"""Classes that do not continue texts → the architecture of ours that computes the same. None of
them is left to transformers, whose models all continue texts here."""
ANY = "transformers"
_KEPT = ("chat_template.jinja", "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE")
FETCHED = (
    "*.json",
    "*.safetensors",
    "*.jinja",
    "*.model",
    "merges.txt",
    "vocab.txt",
    *(name for name in _KEPT if "." not in name or name.endswith((".md", ".txt"))),
)
_SAMPLING: Mapping[str, type | UnionType] = {
    "do_sample": bool,
    "temperature": int | float,
    "top_k": int,
    "top_p": int | float,
    "min_p": int | float,
    "repetition_penalty": int | float,
}
"""Keys of generation_config.json that are kept, and what they may be."""
_LARGE = 2**31
"""Beyond what other programs count to."""
_FOLDER = ("/", "./", "../", "~")


@dataclass(frozen=True, slots=True)
class _Found:
    """A model's folder, and where it comes from."""

    folder: Path
    origin: str
    provenance: Mapping[str, str] = field(default_factory=dict)


class HuggingFaceImporter:
    """Reads safetensors, tokenizer.json and their configurations; never a pickle, never code."""

    def reads(self, path: Path) -> bool:
        """Pickles too: `read` says why they are not read."""
        return (path / CONFIG).is_file() and (bool(weight_files(path)) or has_pickles(path))

    def read(self, source: str, root: Path, registry: Registry, notice: Notice) -> Imported:
        found = _found(source, root, notice)
        refuse_links_out(found.folder)
        config = read_json(found.folder / CONFIG)
        _refuse_quantised(config, found.origin)
        tensors = read_tensors(found.folder)
        kept = {
            name: (found.folder / name).read_bytes()
            for name in _KEPT
            if (found.folder / name).is_file()
        }
        return Imported(
            origin=found.origin,
            architecture=_architecture(config, tensors, registry, notice),
            tokenizer=tokenizer_part(found.folder),
            config=config,
            tensors=tensors,
            files={**kept, **tokenizer_files(found.folder, config)},
            generation=_generation(found.folder, notice),
            provenance=found.provenance,
        )


def _found(source: str, root: Path, notice: Notice) -> _Found:
    if not source:
        raise ConfigError(
            "ORG/NAME is missing",
            where="hf:",
            fixes=(
                "for example: llm import hf:HuggingFaceTB/SmolLM2-135M",
                "a folder on this machine needs no hf: llm import ../some-folder",
            ),
        )
    if source.startswith(_FOLDER) or Path(source).is_absolute():
        folder = (root / Path(source).expanduser()).resolve()
        if not folder.is_dir():
            raise ConfigError(
                "there is no such folder",
                where=str(folder),
                fixes=("check the path", "a repository of the Hub is written hf:ORG/NAME"),
            )
        return _Found(folder, f"the folder {folder.name}")
    return _fetched(source, notice)


def _fetched(source: str, notice: Notice) -> _Found:
    from create_llm_hf.fetching import fetch_model

    fetched = fetch_model(source, FETCHED, notice)
    provenance = {"repository": fetched.repository, "commit": fetched.commit}
    return _Found(fetched.folder, f"hf:{fetched.repository}", provenance)


def _architecture(
    config: dict[str, Any],
    tensors: Mapping[str, Tensor],
    registry: Registry,
    notice: Notice,
) -> str:
    """Ours where it reads the model, exactly; else the one that runs transformers."""
    for name in classes(config):
        if name in OWN_OTHERS:
            return _read_as(OWN_OTHERS[name], config, tensors, registry)
    refuse_other_task(config)
    own = OWN.get(str(config.get("model_type")))
    if own is None or own not in registry.names("architectures"):
        return ANY
    try:
        return _read_as(own, config, tensors, registry)
    except DataError as error:
        notice(f"{error.what}; it is left to transformers, which is slower")
        return ANY


def _read_as(
    name: str, config: dict[str, Any], tensors: Mapping[str, Tensor], registry: Registry
) -> str:
    """The same name, once the architecture has read the model.

    Raises:
        DataError: it does not read this one.
        PluginError: it is not installed.
    """
    part = registry.get("architectures", name, where="config.json: architectures")
    architecture: Architecture = part.load()()
    architecture.from_hf(config, tensors)
    return name


def _refuse_quantised(config: Mapping[str, Any], origin: str) -> None:
    quantised = config.get("quantization_config")
    if quantised is None:
        return
    method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised
    raise DataError(
        f"its weights are quantised ({method}), and only whole ones can be read here",
        where="config.json: quantization_config",
        fixes=(
            "import the model that it was made from, in bfloat16 or float32",
            f"the card of {origin} names it as base_model",
        ),
    )


def _generation(folder: Path, notice: Notice) -> dict[str, object]:
    """generation_config.json, without what other programs say of themselves and what no sampling
    can do."""
    path = folder / "generation_config.json"
    values = read_json(path) if path.is_file() else {}
    said = {key: values[key] for key in _SAMPLING if values.get(key) is not None}
    usable = {key: value for key, value in said.items() if _is_usable(key, value)}
    if left := [f"{key} = {said[key]!r}"[:60] for key in said if key not in usable]:
        notice(f"generation_config.json cannot be followed, and is left out, in {', '.join(left)}")
    return usable


def _is_usable(key: str, value: object) -> bool:
    kind = _SAMPLING[key]
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    given: dict[str, Any] = {key: value}
    if not isinstance(value, kind) or not abs(given[key]) < _LARGE:
        return False
    try:
        Sampling(**given)
    except ConfigError:
        return False
    return True
