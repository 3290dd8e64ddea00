"""The model that a run begins with in place of random weights: `llm train --init V`.

Its shape and its tokenizer are V's, whatever llm.toml says of these two; the project's tokenizer
stays as it is. Nothing here imports torch before weights are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from create_llm.config import Config
from create_llm.config.problems import ConfigProblems
from create_llm.config.values import Entries, Layer, Source, Value, dotted, leaves
from create_llm.data.chat.template import FILE as CHAT_TEMPLATE_FILE
from create_llm.data.tokenizer_files import TOKENIZER_FILE
from create_llm.errors import ConfigError, CreateLLMError, DataError
from create_llm.kernel.registry import Registry
from create_llm.models.bundle import INFO, WEIGHTS, ModelBundle
from create_llm.models.versions import find_bundle
from create_llm.project.folder import Project
from create_llm.runs.origin import Origin, origin_of
from create_llm.runs.run import RunFolder, runs_of
from create_llm.storage.durable import Storage, verify
from create_llm.training.given_shape import CONFIG, damaged, hf_config, sections_of

if TYPE_CHECKING:
    from torch import nn

    from create_llm.models.architecture import Architecture

FOLDER = "init"
"""Of a run's folder: the tokenizer that it was given, so that going on needs no V."""

_SECTIONS = ("model", "tokenizer")
_TOLD, _SAID = 6, 200


@dataclass(frozen=True, slots=True)
class InitialModel:
    """The model that a run begins with.

    Attributes:
        name: the version, or the folder.
        weights_sha256: over its weight files, in name order.
        tokenizer: the folder that holds its tokenizer.
        sections: [model] and [tokenizer], as llm.toml would nest them.
        bundle: None where it is gone, and a run goes on that began with it.
        gone: why there is no bundle.
    """

    name: str
    weights_sha256: str
    tokenizer: Path
    sections: Mapping[str, Mapping[str, object]]
    bundle: ModelBundle | None
    gone: CreateLLMError | None = None

    @property
    def origin(self) -> Origin:
        return Origin(self.name, self.weights_sha256)

    def as_dict(self) -> dict[str, object]:
        """As run.json and the new model's create_llm.json keep it."""
        return asdict(self.origin)

    @property
    def source(self) -> Source:
        """Of the keys of the configuration that it settles."""
        return Source(f"init {self.name}", Layer.FLAG)

    def entries(self) -> Entries:
        """The keys of the configuration that it settles."""
        return {path: Value(value, self.source) for path, value in leaves(self.sections)}

    def refuse_if_gone(self, why: str) -> None:
        """
        Args:
            why: what makes it needed, in words.

        Raises:
            CreateLLMError: it is not there.
        """
        if self.gone is not None:
            raise type(self.gone)(
                f"{why}, and so it begins with {self.name} again: {self.gone.what}",
                where=self.gone.where,
                fixes=self.gone.fixes,
            )

    def check(self) -> None:
        """
        Raises:
            CreateLLMError: it is gone, it is another model by now, or a file of it differs from
                what was written.
        """
        bundle = self._there()
        if not bundle.path.is_dir():
            raise _another(self, "is not there any more", bundle)
        verify(bundle.path)
        if (now := bundle.weights_sha256()) != self.weights_sha256:
            raise _another(self, f"is another model now: {Origin(self.name, now)}", bundle)

    def fill(self, module: nn.Module, architecture: Architecture) -> None:
        """Copy its weights into a module.

        It is checked once more, which costs about a second for a gigabyte: a tokenizer and a text
        may have taken hours since, and a run that goes back to its beginning comes here days later.

        Raises:
            CreateLLMError: it is gone, another one, damaged, or of another shape.
        """
        from create_llm.models.weights import load_weights
        from create_llm.storage.tensors import load_tensors

        self.check()
        bundle = self._there()
        tensors, config = load_tensors(bundle.path / WEIGHTS), hf_config(bundle)
        try:
            _, _, state = architecture.from_hf(config, tensors)
        except (CreateLLMError, MemoryError):
            raise
        except Exception as error:  # whatever keys and names that are not there lead to
            said = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise damaged(bundle, CONFIG, said[:_SAID]) from error
        load_weights(module, state, str(bundle.path))

    def keep_tokenizer(self, run: RunFolder, files: Mapping[str, bytes]) -> None:
        """Put the tokenizer's files into the run's folder, with the chat template, if it has one.

        Args:
            files: what the tokenizer saves.
        """
        template = self.tokenizer / CHAT_TEMPLATE_FILE
        with Storage().commit(run.path / FOLDER) as writer:
            for name, data in files.items():
                writer.write(name, [data])
            if template.is_file():
                writer.write(CHAT_TEMPLATE_FILE, [template.read_bytes()])

    def _there(self) -> ModelBundle:
        if self.bundle is None:
            assert self.gone is not None  # one of the two is known
            raise self.gone
        return self.bundle


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a run is to be made of.

    Attributes:
        project: with V's tokenizer for its own, where there is a V.
        taken: what the configuration says otherwise than V, in words.
    """

    project: Project
    config: Config
    initial: InitialModel | None = None
    taken: str | None = None


@dataclass(frozen=True, slots=True)
class _WithTokenizer(Project):
    """A project whose tokenizer lies elsewhere: as one that a person put there, it stays."""

    folder: Path

    @property
    def tokenizer(self) -> Path:
        return self.folder


def begin_with(
    project: Project, registry: Registry, load: Callable[[Entries], Config], resume: str = "auto"
) -> Beginning:
    """The configuration, with V's model and tokenizer in it where training.init names a V.

    Args:
        load: reads the configuration, with entries that are stronger than all others.
        resume: as `Surroundings.resume`.

    Raises:
        ConfigError: there is no such model, or the command line asks for another shape.
        DataError: it is no bundle, or a damaged one.
        PluginError: a part that it needs is not installed.
    """
    config = load({})
    if config.training.init is None:
        return Beginning(project, config)
    initial = _find(project, config, config.training.init, registry, resume)
    given = initial.entries()
    return Beginning(
        _WithTokenizer(project.root, initial.tokenizer),
        _load_with(initial, load, given),
        initial,
        _taken(config, given, initial.name),
    )


def initial_identity(initial: InitialModel | None) -> dict[str, object]:
    """What it adds to a run's identity: other weights to begin with make another run."""
    return {} if initial is None else {"init": initial.weights_sha256}


def _find(
    project: Project, config: Config, name: str, registry: Registry, resume: str
) -> InitialModel:
    try:
        return _of_bundle(_bundle(project, name), project, registry)
    except CreateLLMError as error:
        kept = _kept(project, config, name, resume, error)
        if kept is None:
            raise
        return kept


def _bundle(project: Project, name: str) -> ModelBundle:
    """The bundle that training.init names.

    Raises:
        ConfigError: there is none.
        DataError: it is damaged.
    """
    if not name.strip():
        raise ConfigError(
            "training.init is empty, which names no model",
            fixes=("name one: --init v1", "or begin with random weights: leave --init out"),
        )
    folder = project.root / name
    is_version = (project.models / name).is_dir()
    return find_bundle(str(folder) if folder.is_dir() and not is_version else name, project.models)


def origin_now(project: Project, config: Mapping[str, Any], then: Origin) -> Origin:
    """What a run with the settings of another would begin with now.

    Args:
        then: what that one began with.

    Raises:
        ConfigError: nothing of that name.
        DataError: it is damaged.
    """
    name = config.get("training", {}).get("init") or then.model
    return _origin(_bundle(project, name), project)


def _origin(bundle: ModelBundle, project: Project) -> Origin:
    path = bundle.path.resolve()
    name = bundle.name if path.parent == project.models.resolve() else str(path)
    return Origin(name, bundle.weights_sha256())


def _of_bundle(bundle: ModelBundle, project: Project, registry: Registry) -> InitialModel:
    sections, origin = sections_of(bundle, registry), _origin(bundle, project)
    path = bundle.path.resolve()
    return InitialModel(origin.model, origin.weights_sha256, path, sections, bundle)


def _load_with(initial: InitialModel, load: Callable[[Entries], Config], given: Entries) -> Config:
    """
    Raises:
        DataError: what V says of itself is nothing that its parts take.
    """
    try:
        return load(given)
    except ConfigProblems as error:
        label = str(initial.source)
        own = [problem for problem in error.problems if problem.where == label]
        if not own or initial.bundle is None:
            raise
        raise damaged(initial.bundle, INFO, own[0].what) from error


def _kept(
    project: Project, config: Config, name: str, resume: str, gone: CreateLLMError
) -> InitialModel | None:
    """What the unfinished run that is to go on kept of the V that it began with."""
    run = _unfinished(project, config, resume)
    manifest: dict[str, Any] = run.manifest() if run else {}
    began, settings = origin_of(manifest.get("init")), manifest.get("config", {})
    if run is None or began is None or settings.get("training", {}).get("init") != name:
        return None
    folder = run.path / FOLDER
    if not (folder / TOKENIZER_FILE).is_file():
        return None
    sections = {section: settings[section] for section in _SECTIONS}
    return InitialModel(began.model, began.weights_sha256, folder, sections, None, gone)


def _unfinished(project: Project, config: Config, resume: str) -> RunFolder | None:
    if resume == "auto":
        resume = config.checkpoints.resume_from_checkpoint or "auto"
    runs = list(runs_of(project.root / config.logging.log_dir, project.checkpoints))
    meant = runs[-1:] if resume == "auto" else [run for run in runs if run.name == resume]
    return next((run for run in meant if run.status() != "completed"), None)


def _another(initial: InitialModel, what: str, bundle: ModelBundle) -> DataError:
    return DataError(
        f"{initial.name}, which this run begins with, {what}",
        where=str(bundle.path),
        fixes=(
            f"put back what it was when the run began: {initial.origin}",
            "or start a new run: llm train --resume never",
        ),
    )


def _taken(config: Config, given: Entries, name: str) -> str | None:
    """
    Raises:
        ConfigError: the command line itself asks for what V is not.
    """
    asked: list[str] = []
    told: list[str] = []
    for path, value in given.items():
        setting = config.settings.get(dotted(path))
        if setting is None or setting.value == value.data or not setting.source.written:
            continue
        words = f"{dotted(path)} = {value.data}, not {setting.value} ({setting.source})"
        (asked if setting.source.layer >= Layer.SET else told).append(words)
    if asked:
        raise ConfigError(
            f"a run that begins with {name} has its shape and its tokenizer: {'; '.join(asked)}",
            where=str(config.settings["training.init"].source),
            fixes=(
                "leave that out",
                "or begin with random weights: leave --init out",
                "sequences may be shorter than what it can read: --set data.max_length=…",
            ),
        )
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f"of {name}: {'; '.join(told[:_TOLD])}{more}" if told else None
