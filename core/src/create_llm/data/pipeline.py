"""What must exist before a model can be trained, made when it is missing: tokenizer and shards.

Both steps compare what is on disk with what the configuration and the text ask for, and do
nothing when it is the same. A tokenizer.json that somebody put there themselves is never
replaced: it has no recipe.json beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.data import training_texts as sampling
from create_llm.data.chat.template import FILE as CHAT_TEMPLATE_FILE
from create_llm.data.chat.template import ChatTemplate, chat_template, load_chat_template
from create_llm.data.preparation.ingredients import data_key, tokenizer_files, tokenizer_sha256
from create_llm.data.preparation.prepare import (
    Progress,
    prepare,
)
from create_llm.data.preparation.prepared import PreparedData
from create_llm.data.preparation.workers import default_workers
from create_llm.data.source import DataSource
from create_llm.data.split import utf8_size
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import ConfigError, DataError
from create_llm.interrupts import in_background
from create_llm.kernel.registry import Part
from create_llm.project.folder import Project
from create_llm.storage.durable import Storage
from create_llm.storage.locks import try_lock, wait_for_lock

if TYPE_CHECKING:
    from create_llm.config import Config

TOKENIZER_FILE = "tokenizer.json"
RECIPE_FILE = "recipe.json"
_PROGRESS_BYTES = 1_000_000


class Recipe(BaseModel):
    """tokenizer/recipe.json: what the tokenizer was made from.

    Attributes:
        val_split: None where validation has a source of its own and nothing is split.
        sample_bytes: about how much of the text was learnt from; None: all of it.
        files: SHA-256 (hex) of each file that was saved; empty until all of them are.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    tokenizer: str
    options: dict[str, object]
    control_tokens: tuple[str, ...] = ()
    chat_template: str | None = None
    source: str
    val_split: float | None
    deduplicate: bool = False
    sample_bytes: int | None = None
    files: dict[str, str] = {}


def ensure_tokenizer(
    project: Project,
    config: Config,
    control_tokens: Sequence[str] = (),
    *,
    progress: Progress | None = None,
) -> Tokenizer:
    """The project's tokenizer; trained on the training side of its text if there is none yet,
    or if the configuration or the text have changed.

    Args:
        control_tokens: what the objective needs beside the tokenizer's own.

    Raises:
        DataError: too little text, or a tokenizer that is damaged.
    """
    with _one_at_a_time(project, progress):
        if has_own_tokenizer(project):
            return load_tokenizer(config.tokenizer.part, project.tokenizer)
        source = data_source(project, config)
        recipe = _recipe(project, config, source, control_tokens)
        stored = _read_recipe(project.tokenizer)
        if stored is None or not _is_made(stored, recipe, project.tokenizer):
            return _train(project, config, source, recipe, progress)
        _check_files(project.tokenizer, stored)
        return load_tokenizer(config.tokenizer.part, project.tokenizer)


def train_tokenizer(
    project: Project,
    config: Config,
    control_tokens: Sequence[str] = (),
    *,
    progress: Progress | None = None,
) -> Tokenizer:
    """Train the project's tokenizer, whether or not there is one already.

    Raises:
        ConfigError: the one that is there was not trained here.
        DataError: too little text.
    """
    if has_own_tokenizer(project):
        path = project.tokenizer / TOKENIZER_FILE
        raise ConfigError(
            "the project has a tokenizer of your own, which training would replace",
            where=str(path),
            fixes=(f"move it away first: mv {path} {path.with_name('my-tokenizer.json')}",),
        )
    with _one_at_a_time(project, progress):
        source = data_source(project, config)
        recipe = _recipe(project, config, source, control_tokens)
        return _train(project, config, source, recipe, progress)


def ensure_data(
    project: Project, config: Config, tokenizer: Tokenizer, *, progress: Progress | None = None
) -> PreparedData:
    """The token shards of the project's text, written if they are not there and intact.

    Raises:
        DataError: too little text, or text that cannot be read.
    """
    source = data_source(project, config)
    with _one_at_a_time(project, progress):
        return prepare(
            project.processed,
            source,
            tokenizer,
            val_split=config.data.val_split,
            val_source=validation_source(source),
            deduplicate=config.data.deduplicate,
            template=conversation_template(project, config),
            workers=config.data.workers or default_workers(),
            progress=progress,
        )


def changes_of_text(
    project: Project,
    config: Config,
    control_tokens: Sequence[str],
    *,
    tokenizer_hash: str,
    key: str,
) -> list[str]:
    """How the project's tokenizer and text differ from those of a run, found without any work.

    Only what is certain: a tokenizer that would be trained anew may well become the same again,
    so that whoever goes on compares once more when it is there.

    Args:
        tokenizer_hash: `tokenizer_sha256` of the run's tokenizer.
        key: `PreparedData.key` of the run's tokens.

    Raises:
        DataError: the tokenizer or the text cannot be read.
    """
    source, stored = data_source(project, config), _read_recipe(project.tokenizer)
    if stored is None and not has_own_tokenizer(project):
        return []
    if stored is not None and not _is_complete(stored, project.tokenizer):
        return []
    tokenizer = load_tokenizer(config.tokenizer.part, project.tokenizer)
    if tokenizer_sha256(tokenizer) == tokenizer_hash:
        settings = config.data
        separate = validation_source(source)
        template = conversation_template(project, config)
        now = data_key(
            source, tokenizer, settings.val_split, separate, settings.deduplicate, template
        )
        return [] if now == key else ["data: the text has changed since it began"]
    stays = stored is None or _is_made(
        stored, _recipe(project, config, source, control_tokens), project.tokenizer
    )
    return ["tokenizer: another one than it began with"] if stays else []


def load_tokenizer(part: Part, folder: Path) -> Tokenizer:
    """Read a tokenizer that was saved into `folder`.

    Raises:
        DataError: there is none, or it is damaged.
    """
    tokenizer: Tokenizer = part.load().load(folder)
    return tokenizer


def has_own_tokenizer(project: Project) -> bool:
    """Whether the tokenizer was put there by hand."""
    file, recipe = project.tokenizer / TOKENIZER_FILE, project.tokenizer / RECIPE_FILE
    return file.exists() and not recipe.exists()


def data_source(project: Project, config: Config) -> DataSource:
    """The source that the configuration chose."""
    source: DataSource = config.source.part.load()(config.source.options, project.root)
    return source


def validation_source(source: DataSource) -> DataSource | None:
    """The separate source of validation documents; None: a part of the documents is split off.

    A source offers one by a method `validation() -> DataSource | None`, which it need not have.
    """
    validation = getattr(source, "validation", None)
    separate: DataSource | None = validation() if validation is not None else None
    return separate


def skipped_files(source: DataSource) -> list[str]:
    """What a source passed over, as it tells in an attribute `skipped`, which it need not have."""
    return list(getattr(source, "skipped", ()))


def conversation_template(project: Project, config: Config) -> ChatTemplate | None:
    """How conversations are written out; None: as a plain script.

    Raises:
        ConfigError: there is no such template.
        DataError: what is there is no template.
    """
    if config.data.chat_template is not None:
        return chat_template(config.data.chat_template, project.root)
    return load_chat_template(project.tokenizer) if has_own_tokenizer(project) else None


def _recipe(
    project: Project, config: Config, source: DataSource, control_tokens: Sequence[str]
) -> Recipe:
    part, template = config.tokenizer.part, conversation_template(project, config)
    needed = (*control_tokens, *(template.control_tokens if template else ()))
    return Recipe(
        tokenizer=f"{part.distribution}/{part.name}",
        options=config.tokenizer.as_dict(),
        control_tokens=tuple(dict.fromkeys(needed)),
        chat_template=template.source if template else None,
        source=source.fingerprint(),
        val_split=None if validation_source(source) else config.data.val_split,
        deduplicate=config.data.deduplicate,
        sample_bytes=sampling.SAMPLE_BYTES if sampling.is_sampled(source) else None,
    )


def _train(
    project: Project,
    config: Config,
    source: DataSource,
    recipe: Recipe,
    progress: Progress | None,
) -> Tokenizer:
    texts = sampling.training_texts(
        source,
        val_split=config.data.val_split,
        val_source=validation_source(source),
        deduplicate=config.data.deduplicate,
    )
    stage, total = "training the tokenizer", source.total_bytes()
    if recipe.sample_bytes is not None and total is not None:
        stage += f" on a sample: {recipe.sample_bytes / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        total = recipe.sample_bytes
    counted = _with_progress(texts, progress, stage, total)
    kind, options = config.tokenizer.part.load(), config.tokenizer.options
    # Minutes of compiled code in which Python would hear no signal.
    tokenizer: Tokenizer = in_background(
        lambda: kind.train(counted, options, recipe.control_tokens)
    )
    _save(tokenizer, project.tokenizer, recipe)
    return tokenizer


def _with_progress(
    texts: Iterable[str], progress: Progress | None, stage: str, total: int | None
) -> Iterator[str]:
    done = told = 0
    for text in texts:
        yield text
        done += utf8_size(text)
        if progress is not None and done - told >= _PROGRESS_BYTES:
            progress(stage, done, total)
            told = done
    if progress is not None:
        progress(stage, done, done)


def _save(tokenizer: Tokenizer, folder: Path, recipe: Recipe) -> None:
    """Put the files in place, each at once; the recipe is complete when all of them are."""
    folder.mkdir(parents=True, exist_ok=True)
    before = _read_recipe(folder)
    files = tokenizer_files(tokenizer)
    if recipe.chat_template is not None:
        files[CHAT_TEMPLATE_FILE] = recipe.chat_template.encode()
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    storage = Storage()
    _write_recipe(storage, folder, recipe)
    for name in before.files if before else ():
        if name not in files:
            (folder / name).unlink(missing_ok=True)
    for name, data in files.items():
        storage.replace_file(folder / name, data)
    _write_recipe(storage, folder, recipe.model_copy(update={"files": hashes}))


def _write_recipe(storage: Storage, folder: Path, recipe: Recipe) -> None:
    storage.replace_file(folder / RECIPE_FILE, recipe.model_dump_json(indent=2).encode())


def _read_recipe(folder: Path) -> Recipe | None:
    """The recipe, or None where there is none that can be read: then training is due."""
    try:
        return Recipe.model_validate_json((folder / RECIPE_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _is_made(stored: Recipe, wanted: Recipe, folder: Path) -> bool:
    return _is_complete(stored, folder) and stored.model_copy(update={"files": {}}) == wanted


def _is_complete(stored: Recipe, folder: Path) -> bool:
    return bool(stored.files) and all((folder / name).is_file() for name in stored.files)


def _check_files(folder: Path, recipe: Recipe) -> None:
    """Raise DataError if a file is not what was saved."""
    for name, sha256 in recipe.files.items():
        path = folder / name
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise DataError(
                f"the tokenizer is damaged: {name} is not what was trained",
                where=str(path),
                fixes=(
                    "train it again: llm tokenizer train",
                    f"if you put a file of your own there, remove {folder / RECIPE_FILE}",
                ),
            )


@contextlib.contextmanager
def _one_at_a_time(project: Project, progress: Progress | None) -> Iterator[None]:
    """Let other processes that prepare this project wait here; they then find the work done."""
    project.processed.mkdir(parents=True, exist_ok=True)
    with (project.processed / ".lock").open("ab") as file:
        if not try_lock(file):
            if progress is not None:
                progress("waiting for another process to prepare the data", 0, None)
            wait_for_lock(file)
        yield
