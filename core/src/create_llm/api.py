"""The verbs of the command line, for Python.

import create_llm

create_llm.train("my-llm", max_steps=300)
model = create_llm.load("my-llm/models/v1")
print(model.generate("ROMEO:"))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from create_llm.errors import ConfigError, DataError, did_you_mean
from create_llm.kernel.plugins import default_plugins

if TYPE_CHECKING:
    from create_llm.config import Config
    from create_llm.config.values import Entries
    from create_llm.data.check.report import Report
    from create_llm.data.preparation.prepared import PreparedData
    from create_llm.kernel.registry import Registry
    from create_llm.models.bundle import ModelBundle
    from create_llm.models.engine import TextModel
    from create_llm.models.evaluation import Score
    from create_llm.models.generation import Sampling
    from create_llm.models.loaded import LoadedModel
    from create_llm.project.folder import Project


class Model:
    """A loaded model; made by `create_llm.load`.

    The keyword arguments of its methods are the fields of `Sampling` (max_new_tokens,
    temperature, top_k, top_p, min_p, repetition_penalty, stop, seed); what is left out comes from
    the bundle.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        text_model: TextModel,
        in_torch: Callable[[], LoadedModel] | None = None,
        engine: str = "torch",
    ) -> None:
        """
        Args:
            text_model: what writes text, opened by an engine.
            in_torch: brings the module into memory, where that engine has none.
            engine: the name of that engine.
        """
        self.bundle, self.engine = bundle, engine
        self.text_model = text_model
        self._in_torch = in_torch

    def __repr__(self) -> str:
        return (
            f"<create_llm model {self.bundle.path}, {self.bundle.info['parameters']:,} parameters>"
        )

    @cached_property
    def loaded(self) -> LoadedModel:
        """The module with what it takes to run it, as scores need it; loaded when first used,
        where another engine writes the text."""
        from create_llm.models.loaded import LoadedModel

        if isinstance(self.text_model, LoadedModel) or self._in_torch is None:
            assert isinstance(self.text_model, LoadedModel), "nothing brings the module"
            return self.text_model
        return self._in_torch()

    @overload
    def generate(self, prompt: str | None = None, **sampling: Any) -> str: ...

    @overload
    def generate(self, prompt: Sequence[str], **sampling: Any) -> list[str]: ...

    def generate(
        self, prompt: str | Sequence[str] | None = None, **sampling: Any
    ) -> str | list[str]:
        """The continuation of a prompt, or of several, which are written together. Without one the
        model begins a text of its own.

        Raises:
            ConfigError: a prompt is empty or too long, or a sampling option cannot be used.
        """
        if prompt is None or isinstance(prompt, str):
            return "".join(self.stream(prompt, **sampling))
        from create_llm.models.generation import Prompt, TextBatch

        read = [Prompt.of(_filled(text), self.text_model) for text in prompt]
        batch = TextBatch(self.text_model, read, self._sampling(sampling), _ignore)
        for _ in batch:
            continue
        return [result.text for result in batch.results()]

    def stream(self, prompt: str | None = None, **sampling: Any) -> Iterator[str]:
        """The continuation of a prompt, piece by piece.

        Raises:
            ConfigError: as by `generate`.
        """
        from create_llm.models.generation import TextStream

        text = "" if prompt is None else _filled(prompt)
        yield from TextStream(self.text_model, text, self._sampling(sampling), _ignore)

    def chat(self, messages: str | Sequence[Mapping[str, str]], **sampling: Any) -> str:
        """The model's next turn after messages of the form {"role": …, "content": …}; a text alone
        is a message of the user.

        Raises:
            ConfigError: a message is of another form, or a sampling option cannot be used.
        """
        from create_llm.models.conversation import Message, messages_of, reply

        turns = [Message("user", messages)] if isinstance(messages, str) else messages_of(messages)
        return "".join(reply(self.text_model, turns, self._sampling(sampling), _ignore)).strip()

    def _sampling(self, given: dict[str, Any]) -> Sampling:
        return sampling_of(self.bundle, **given)


def load(path: str | Path, device: str = "cpu", engine: str = "auto") -> Model:
    """Open a model and bring it into memory.

    Args:
        path: a bundle folder (models/v1), or a project folder for its active version.
        device: "cpu", "cuda" or "auto".
        engine: what runs it: "torch", another that is installed, or "auto" for the fastest that
            can.

    Raises:
        DataError: no bundle, or a damaged one.
        ConfigError: a project that has no model yet, or an engine that cannot run the model.
    """
    from create_llm.models.bundle import ModelBundle
    from create_llm.models.versions import find_bundle
    from create_llm.project.folder import Project

    project = Project(Path(path))
    if project.config_file.is_file():
        bundle = find_bundle(None, project.models)
    else:
        bundle = ModelBundle.open(Path(path))
    return open_model(bundle, default_plugins().registry, device, engine, _ignore)


def open_model(
    bundle: ModelBundle,
    registry: Registry,
    device: str,
    engine: str,
    notice: Callable[[str], None],
) -> Model:
    """A bundle, opened by an engine.

    Args:
        notice: hears which engine could not run it, and why.

    Raises:
        DataError: a damaged bundle.
        ConfigError: there is no such engine, or it cannot run the bundle.
    """
    from create_llm.models.engine import open_named

    def in_torch() -> LoadedModel:
        from create_llm.models.loaded import LoadedModel

        return LoadedModel.from_bundle(bundle, registry, device)

    chosen, text_model = open_named(engine, bundle, registry, device, notice)
    return Model(bundle, text_model, in_torch, chosen)


def sampling_of(bundle: ModelBundle, **given: Any) -> Sampling:
    """The bundle's sampling defaults, with what is given (and not None) in their place."""
    from create_llm.models.generation import Sampling

    defaults = bundle.sampling_defaults()
    names = ("max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty")
    values = {name: defaults[name] for name in names if name in defaults}
    values.update({name: value for name, value in given.items() if value is not None})
    known = Sampling.__dataclass_fields__
    for name in values:
        if name not in known:
            raise ConfigError(
                f"'{name}' is no sampling option",
                where=name,
                fixes=(*did_you_mean(name, known), f"there are: {', '.join(known)}"),
            )
    return Sampling(**values)


def train(project: str | Path, **overrides: object) -> dict[str, Any]:
    """Train a model in a project folder, doing whatever is missing first.

    Args:
        overrides: keys of the [training] section (max_steps=300), or any other key with two
            underscores for the dot (model__layers=2).

    Returns:
        What logs/<run>/summary.json says; `model` is the bundle's folder.
    """
    from create_llm.training.initial import begin_with
    from create_llm.training.job import Surroundings
    from create_llm.training.launch import train as launch

    folder, load = _opening(project, overrides)
    beginning = begin_with(folder, default_plugins().registry, load)
    around = Surroundings(initial=beginning.initial)
    return launch(beginning.project, beginning.config, default_plugins(), around).summary


def check(project: str | Path, **overrides: object) -> Report:
    """Say what the data of a project is and what is wrong with it; change nothing.

    Of other text than the project's: data__train_path="book.txt". What cannot be prepared is no
    exception but told in `failure`, beside all that was found.

    Raises:
        DataError: there is nothing at all to tell of.
    """
    from create_llm.data.check.checking import check as check_corpus
    from create_llm.data.check.encoder import project_encoder
    from create_llm.data.corpus import Corpus
    from create_llm.data.pipeline import data_source

    folder, config = _open_project(project, overrides)
    source, data = data_source(folder, config), config.data
    corpus = Corpus((source,), data.val_split, data.deduplicate)
    return check_corpus(corpus, encoder=project_encoder(folder, config, _ignore))


def prepare(project: str | Path, **overrides: object) -> PreparedData:
    """Train the tokenizer and write the token shards, where they are missing."""
    from create_llm.data.pipeline import ensure_data, ensure_tokenizer
    from create_llm.models.chosen import objective_of_run

    folder, config = _open_project(project, overrides)
    control_tokens = objective_of_run(config, default_plugins().registry).control_tokens
    return ensure_data(folder, config, ensure_tokenizer(folder, config, control_tokens))


def evaluate(model: str | Path, text: str | Path) -> dict[str, Any]:
    """Score a bundle on a text file.

    Returns:
        `loss` (nats per token), `perplexity`, `bits_per_byte`, `tokens`, `tokens_per_second`.
    """
    loaded = load(model, engine="torch")
    try:
        content = Path(text).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{text} is not UTF-8 text: {error}") from error
    return score_dict(score_texts(loaded, [content]))


def score_texts(model: Model, texts: Sequence[str]) -> Score:
    """Score a loaded model on documents."""
    from create_llm.training.scoring import score_documents

    return score_documents(model.loaded, texts)


def score_dict(score: Score) -> dict[str, Any]:
    """A score under the keys that scripts rely on."""
    names = ("loss", "perplexity", "bits_per_byte", "tokens", "tokens_per_second")
    values = {name: getattr(score, name) for name in names}
    # JSON has no infinity; a perplexity beyond what a float holds says no more than none.
    return {n: v if v is None or math.isfinite(v) else None for n, v in values.items()}


def _open_project(path: str | Path, overrides: dict[str, object]) -> tuple[Project, Config]:
    project, load = _opening(path, overrides)
    return project, load({})


def _opening(
    path: str | Path, overrides: dict[str, object]
) -> tuple[Project, Callable[[Entries], Config]]:
    """The project, and what reads its configuration, as `begin_with` wants it."""
    from create_llm.config import load_config
    from create_llm.project.folder import find_project

    project = find_project(Path(path).resolve())
    flags = {_dotted(name): (value, f"{name}=") for name, value in overrides.items()}

    def load(given: Entries) -> Config:
        return load_config(project.root, default_plugins(), flags=flags, given=given)

    return project, load


def _dotted(name: str) -> str:
    section, underscores, key = name.partition("__")
    return f"{section}.{key}" if underscores else f"training.{name}"


def _filled(prompt: str) -> str:
    """
    Raises:
        ConfigError: there is nothing in it, as in a variable that was never filled.
    """
    if prompt:
        return prompt
    raise ConfigError(
        "the prompt is empty",
        where="prompt",
        fixes=(
            "give the words to go on from",
            "or leave it out: the model then begins a text of its own",
        ),
    )


def _ignore(notice: str) -> None:
    del notice
