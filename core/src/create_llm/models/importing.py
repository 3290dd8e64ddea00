"""Models of other programs as bundles: what an importer gives, and how it is written."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from create_llm import __version__
from create_llm.data.chat.template import load_chat_template
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import ConfigError, DataError
from create_llm.kernel.registry import Part, Registry
from create_llm.models.bundle import FORMAT, INFO, WEIGHTS, ModelBundle
from create_llm.models.engine import Notice
from create_llm.models.versions import next_version
from create_llm.storage.durable import Storage
from create_llm.storage.writers import FolderWriter

if TYPE_CHECKING:
    from torch import Tensor

    from create_llm.models.architecture import Architecture, HFConfig

CARD = "README.md"
_PLAIN, _PROBED = "Once upon a time", 1000
"""Text that a tokenizer has to know something of, or else of its first so many entries."""
_WRITTEN_HERE = frozenset({WEIGHTS, INFO, "config.json", "generation_config.json"})


@dataclass(frozen=True, slots=True)
class Imported:
    """A model that was read.

    Attributes:
        origin: where it comes from, as messages and the card say it: "hf:ORG/NAME".
        architecture, tokenizer: the parts that run it.
        config, tensors: its config.json and weights, as the architecture's `from_hf` reads them.
        files: what the tokenizer loads, and what is kept beside it: a chat template, README.md,
            LICENSE.
        generation: sampling defaults, by the keys of generation_config.json.
        provenance: what else is known: the repository, its commit.
    """

    origin: str
    architecture: str
    tokenizer: str
    config: HFConfig
    tensors: Mapping[str, Tensor]
    files: Mapping[str, bytes]
    generation: Mapping[str, object] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


class Importer(Protocol):
    """Built as `importer()`."""

    def reads(self, path: Path) -> bool:
        """Whether a file or folder on this machine has its form; a glance is enough."""
        ...

    def read(self, source: str, root: Path, registry: Registry, notice: Notice) -> Imported:
        """The model called `source`: a path, seen from `root`, or a name at a service.

        Raises:
            ConfigError: there is no such model, or `source` is empty.
            DataError: it is damaged, or of a kind that cannot be read.
            NetworkError, CredentialsError: it cannot be fetched.
        """
        ...


def find_importer(written: str, root: Path, registry: Registry) -> tuple[Part, str]:
    """The importer of NAME:SOURCE, or the one that reads a file or folder, and the source.

    Raises:
        ConfigError: no importer, or several; or nothing of that name.
    """
    path = root / written
    if path.exists():
        path = path.resolve()
        return _reading(path, registry), str(path)
    name, colon, source = written.partition(":")
    # An importer without a source says itself what is missing.
    if colon and (source or name in registry.names("importers")):
        return registry.get("importers", name, where=written), source
    names = registry.names("importers")
    raise ConfigError(
        f"there is no file or folder '{written}'",
        where=str(root),
        fixes=tuple(f"name what reads it: {name}:{written}" for name in names[:2]),
    )


def _reading(path: Path, registry: Registry) -> Part:
    parts = list(registry.parts("importers"))
    found = [part for part in parts if part.load()().reads(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"several importers read it: {', '.join(part.name for part in found)}",
            where=str(path),
            fixes=tuple(f"name one: llm import {part.name}:{path}" for part in found),
        )
    names = ", ".join(part.name for part in parts) or "none"
    raise ConfigError(
        f"no importer knows its form (installed: {names})",
        where=str(path),
        fixes=(
            "check that it is the folder of the model itself, with all of its files",
            *(f"{part.name} reads: {part.summary}" for part in parts),
            "see what else there is: llm plugins list",
        ),
    )


def import_as_version(
    imported: Imported, models: Path, registry: Registry, named: Collection[str] = ()
) -> ModelBundle:
    """Write the next version of a project's model.

    Args:
        named: as `next_version` takes it.

    Raises:
        DataError: as `import_into`.
    """
    while True:
        try:
            return import_into(imported, models / next_version(models, named), registry)
        except FileExistsError:  # a run has just taken this number
            continue


def import_into(imported: Imported, folder: Path, registry: Registry) -> ModelBundle:
    """Write the bundle; all of it or nothing.

    Raises:
        DataError: the tokenizer does not fit the model, the chat template or the weights cannot
            be used, or the model does not run.
        PluginError: a part that runs it is not installed.
        FileExistsError: there is such a folder.
    """
    from create_llm.models.architecture import count_parameters
    from create_llm.models.trial import try_out

    part = registry.get("architectures", imported.architecture, where=imported.origin)
    architecture: Architecture = part.load()()
    config, vocab_size, state = architecture.from_hf(imported.config, imported.tensors)
    hf_config, tensors = architecture.to_hf(config, vocab_size, state)
    with Storage().commit(folder, replace=False) as writer:
        for name, data in imported.files.items():
            if name not in _WRITTEN_HERE:
                writer.write(name, [data])
        tokenizer = _tokenizer(imported, writer.folder, vocab_size, registry)
        _refuse_without_objective(architecture, part, tokenizer, imported.origin, registry)
        load_chat_template(writer.folder)  # one that cannot be used is told now
        special = _special(tokenizer)
        _write_weights(writer, tensors, imported.origin)
        try_out(architecture, config, vocab_size, state, imported.origin)
        writer.write_json("config.json", {**hf_config, **special})
        writer.write_json("generation_config.json", {**imported.generation, **special})
        parameters = count_parameters(architecture, config, vocab_size)
        info = _info(imported, part, architecture, registry, parameters)
        info["recipe"]["model"] |= config.model_dump(mode="json")
        writer.write_json(INFO, info)
        if CARD not in imported.files:
            writer.write(CARD, [_card(folder.name, imported, parameters).encode()])
    return ModelBundle.open(folder)


def _tokenizer(imported: Imported, folder: Path, vocab_size: int, registry: Registry) -> Tokenizer:
    part = registry.get("tokenizers", imported.tokenizer, where=imported.origin)
    tokenizer: Tokenizer = part.load().load(folder)
    if tokenizer.vocab_size > vocab_size:
        raise DataError(
            f"the tokenizer has {tokenizer.vocab_size:,} tokens and the model rows for "
            f"{vocab_size:,}",
            where=imported.origin,
            fixes=("find the tokenizer that belongs to these weights",),
        )
    # Of its own script: one without letters of ours is sound.
    own = tokenizer.decode(range(min(tokenizer.vocab_size, _PROBED)))
    if not any(tokenizer.encode_batch([_PLAIN, own])):
        raise DataError(
            f"the tokenizer knows no text: it makes no token of '{_PLAIN}'",
            where=imported.origin,
            fixes=(
                "find the tokenizer that belongs to these weights",
                "or fetch the model again, with all of its files",
            ),
        )
    return tokenizer


def _refuse_without_objective(
    architecture: Architecture, part: Part, tokenizer: Tokenizer, origin: str, registry: Registry
) -> None:
    """
    Raises:
        DataError: the tokenizer lacks what the model's objective needs, such as a mask token.
    """
    from create_llm.models.chosen import default_objective

    try:
        default_objective(type(architecture), registry, part.name).build(tokenizer)
    except (ConfigError, DataError) as error:
        raise DataError(
            f"this model cannot be used: {error.what}",
            where=origin,
            fixes=(
                "find the tokenizer that belongs to these weights, with all of its files",
                "or name that token in its tokenizer_config.json, and import the folder",
            ),
        ) from error


def _write_weights(writer: FolderWriter, tensors: Mapping[str, Tensor], origin: str) -> None:
    from create_llm.storage.tensors import NotFiniteError, tensor_chunks

    try:
        writer.write(WEIGHTS, tensor_chunks(tensors))
    except NotFiniteError as error:
        raise DataError(
            f"these weights are not usable: {error}",
            where=origin,
            fixes=("fetch the model again", "or take another revision of it"),
        ) from error


def _special(tokenizer: Tokenizer) -> dict[str, int | None]:
    special = tokenizer.special
    return {
        "eos_token_id": special.eos,
        "bos_token_id": special.bos,
        "pad_token_id": special.pad,
    }


def _info(
    imported: Imported,
    part: Part,
    architecture: Architecture,
    registry: Registry,
    parameters: int,
) -> dict[str, Any]:
    """create_llm.json. What only a run knows is empty: nothing was measured here."""
    where = f"the default of architecture '{part.name}'"
    objective = registry.get("objectives", architecture.default_objective, where=where)
    tokenizer = registry.get("tokenizers", imported.tokenizer, where=imported.origin)
    return {
        "format": FORMAT,
        "run": None,
        "architecture": part.name,
        "tokenizer": tokenizer.name,
        "objective": {"name": objective.name},
        "packages": {
            "architectures": part.distribution,
            "tokenizers": tokenizer.distribution,
            "objectives": objective.distribution,
        },
        "parameters": parameters,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "imported": {"from": imported.origin, **imported.provenance},
        "metrics": {},
        "data": {},
        "recipe": {"model": {"name": part.name}, "tokenizer": {"name": tokenizer.name}, "data": {}},
        "versions": {
            "create_llm": __version__,
            "torch": version("torch"),
            part.distribution: version(part.distribution),
        },
    }


def _card(title: str, imported: Imported, parameters: int) -> str:
    return (
        f"# {title}\n\n"
        f"A language model of {parameters:,} parameters, imported from {imported.origin} with "
        f"create-llm {__version__}.\n\n"
        "It was trained by others, and nothing was measured here. What it may be used for, its "
        "own card and license say.\n"
    )
