"""What must exist before a model can be trained, made when it is missing: tokenizer and shards.

Both steps compare what is on disk with what the configuration and the text ask for, and do
nothing when it is the same. A tokenizer that somebody put there themselves is never replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from create_llm.data import training_texts as sampling
from create_llm.data.chat.template import PLAIN, ChatTemplate, chat_template, load_chat_template
from create_llm.data.corpus import sides_of
from create_llm.data.mixture import Mixture
from create_llm.data.preparation.ingredients import data_key, tokenizer_sha256
from create_llm.data.preparation.prepare import Progress, prepare
from create_llm.data.preparation.prepared import PreparedData
from create_llm.data.preparation.workers import default_workers
from create_llm.data.source import DataSource, fetch_text, files_of, validation_source
from create_llm.data.split import utf8_size
from create_llm.data.tokenizer import Tokenizer
from create_llm.data.tokenizer_files import (
    TOKENIZER_FILE,
    Recipe,
    has_own_tokenizer,
    load_tokenizer,
    read_recipe,
    save_tokenizer,
)
from create_llm.errors import ConfigError
from create_llm.interrupts import in_background
from create_llm.project.folder import Project
from create_llm.storage.locks import try_lock, wait_for_lock

if TYPE_CHECKING:
    from create_llm.config import Config, Selected

_PROGRESS_BYTES = 1_000_000


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
        source = data_source(project, config, progress)
        recipe = _recipe(project, config, source, control_tokens)
        stored = read_recipe(project.tokenizer)
        if stored is None or not stored.is_of(recipe, project.tokenizer):
            why = _why(stored, recipe, project)
            return _train(project, config, source, recipe, progress, why)
        stored.check_files(project.tokenizer)
        return load_tokenizer(config.tokenizer.part, project.tokenizer)


def tokenizer_to_show(
    project: Project,
    config: Config,
    control_tokens: Sequence[str] = (),
    *,
    progress: Progress | None = None,
) -> Tokenizer:
    """As `ensure_tokenizer`, but one of another making that is there stays: what the configuration
    asks for instead is trained for this once, and not kept.

    Raises:
        DataError: too little text, or a tokenizer that is damaged.
    """
    changes = changes_of_tokenizer(project, config, control_tokens)
    if not changes:
        return ensure_tokenizer(project, config, control_tokens, progress=progress)
    source = data_source(project, config, progress)
    recipe = _recipe(project, config, source, control_tokens)
    stage = f"training a tokenizer for this once: {'; '.join(changes)}"
    return _trained(project, config, source, recipe, progress, stage)


def changes_of_tokenizer(
    project: Project, config: Config, control_tokens: Sequence[str]
) -> list[str]:
    """How the tokenizer that the configuration asks for differs from the project's, in words.

    Nothing where there is none, or one of a person's own.

    Raises:
        DataError: the text cannot be read.
    """
    stored = read_recipe(project.tokenizer)
    if stored is None or not stored.is_complete(project.tokenizer):
        return []
    wanted = _recipe(project, config, data_source(project, config), control_tokens)
    return [] if stored.is_of(wanted, project.tokenizer) else stored.changes(wanted)


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
        source = data_source(project, config, progress)
        recipe = _recipe(project, config, source, control_tokens)
        return _train(project, config, source, recipe, progress)


def ensure_data(
    project: Project, config: Config, tokenizer: Tokenizer, *, progress: Progress | None = None
) -> PreparedData:
    """The token shards of the project's text, written if they are not there and intact.

    Raises:
        DataError: too little text, or text that cannot be read.
    """
    source = data_source(project, config, progress)
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
    source, stored = data_source(project, config), read_recipe(project.tokenizer)
    if stored is None and not has_own_tokenizer(project):
        return []
    if stored is not None and not stored.is_complete(project.tokenizer):
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
    stays = stored is None or stored.is_of(
        _recipe(project, config, source, control_tokens), project.tokenizer
    )
    return ["tokenizer: another one than it began with"] if stays else []


def refuse_unknown_text(project: Project, config: Config) -> None:
    """Ask whether there is what is to be read; of a service, where one keeps it. No text is
    fetched, and no torch loaded.

    Raises:
        CreateLLMError: as the source does.
    """
    chosen = [each.source for each in config.mixture] or [config.source]
    for each in chosen:
        next(files_of(_made(project, each, None)), None)


def data_source(project: Project, config: Config, progress: Progress | None = None) -> DataSource:
    """The source that the configuration chose, or the mixture of several.

    Args:
        progress: hears of text that has to be brought here first.
    """
    if config.mixture:
        made = {each.name: _made(project, each.source, progress) for each in config.mixture}
        return Mixture(made)
    return _made(project, config.source, progress)


def _made(project: Project, chosen: Selected, progress: Progress | None) -> DataSource:
    source: DataSource = chosen.part.load()(chosen.options, project.root)
    fetch_text(source, progress)
    return source


def conversation_template(project: Project, config: Config) -> ChatTemplate | None:
    """How conversations are written out; None: as a plain script.

    Raises:
        ConfigError: there is no such template.
        DataError: what is there is no template.
    """
    if config.data.chat_template is not None:
        return chat_template(config.data.chat_template, project.root)
    return load_chat_template(project.tokenizer) if has_own_tokenizer(project) else None


def learnt_template(project: Project, config: Config, data: PreparedData) -> ChatTemplate | None:
    """What a model that is trained on `data` writes conversations out with: the template that was
    chosen, the plain one where it only reads some, None where there are none.

    Raises:
        ConfigError: there is no such template.
        DataError: what is there is no template.
    """
    chosen = conversation_template(project, config)
    return chat_template(PLAIN) if chosen is None and data.conversations else chosen


def _recipe(
    project: Project, config: Config, source: DataSource, control_tokens: Sequence[str]
) -> Recipe:
    part, template = config.tokenizer.part, conversation_template(project, config)
    sides = sides_of(source, validation_source(source))
    is_split = any(side.use == "split" for side in sides)
    needed = (*control_tokens, *(template.control_tokens if template else ()))
    return Recipe(
        tokenizer=f"{part.distribution}/{part.name}",
        options=config.tokenizer.as_dict(),
        control_tokens=tuple(dict.fromkeys(needed)),
        chat_template=template.source if template else None,
        source=source.fingerprint(),
        val_split=config.data.val_split if is_split else None,
        deduplicate=config.data.deduplicate,
        sample_bytes=sampling.SAMPLE_BYTES if sampling.is_sampled(source) else None,
    )


def _train(
    project: Project,
    config: Config,
    source: DataSource,
    recipe: Recipe,
    progress: Progress | None,
    why: str = "",
) -> Tokenizer:
    stage = f"training the tokenizer{why}"
    tokenizer = _trained(project, config, source, recipe, progress, stage)
    save_tokenizer(tokenizer, project.tokenizer, recipe)
    return tokenizer


def _why(stored: Recipe | None, wanted: Recipe, project: Project) -> str:
    """Why a tokenizer is trained that is there already."""
    if stored is None or not stored.files:
        return ""
    if not stored.is_complete(project.tokenizer):
        return " again: files of it are missing"
    return f" again: {'; '.join(stored.changes(wanted))}"


def _trained(
    project: Project,
    config: Config,
    source: DataSource,
    recipe: Recipe,
    progress: Progress | None,
    stage: str,
) -> Tokenizer:
    texts = sampling.training_texts(
        source,
        val_split=config.data.val_split,
        val_source=validation_source(source),
        deduplicate=config.data.deduplicate,
        template=conversation_template(project, config),
        control_tokens=recipe.control_tokens,
    )
    total = source.total_bytes()
    if recipe.sample_bytes is not None and total is not None:
        stage += f" on a sample: {recipe.sample_bytes / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        total = recipe.sample_bytes
    counted = _with_progress(texts, progress, stage, total)
    kind, options = config.tokenizer.part.load(), config.tokenizer.options
    # Minutes of compiled code in which Python would hear no signal.
    tokenizer: Tokenizer = in_background(
        lambda: kind.train(counted, options, recipe.control_tokens)
    )
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
