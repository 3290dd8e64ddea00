"""What runs a bundle: engines, and what they give to those who want text from it.

Nothing here imports torch, so that an engine which does without it stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from create_llm.data.chat.template import ChatTemplate
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import ConfigError, PluginError
from create_llm.kernel.registry import Registry
from create_llm.models.bundle import ModelBundle
from create_llm.models.sampling import Sampling

AUTO = "auto"
"""As `--engine` takes it: the engine of the highest rank that can run the bundle."""

Notice = Callable[[str], None]
"""Hears what a person should know."""


class Writer(Protocol):
    """Tokens one after the other, for several texts at once; texts come and go between steps.

    Each text is what it would be if it were alone, but for the rounding of sums.
    """

    def __len__(self) -> int:
        """Texts that are being written."""
        ...

    def add(self, key: int, ids: Sequence[int], sampling: Sampling) -> None:
        """Begin a text: 1 to `longest_prompt` ids."""
        ...

    def drop(self, key: int) -> None:
        """A text is over."""
        ...

    def step(self) -> list[tuple[int, int | None]]:
        """The next token of each text; None, and the text is dropped, where there can be none."""
        ...


class TextModel(Protocol):
    """A model that an engine has opened."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def template(self) -> ChatTemplate | None:
        """How conversations are written out for it; None where it has learnt none."""
        ...

    @property
    def stop_tokens(self) -> frozenset[int]:
        """Ids that end any text."""
        ...

    @property
    def context(self) -> int:
        """The longest sequence that it can read at once, in tokens."""
        ...

    @property
    def longest_prompt(self) -> int:
        """In tokens: the context, less what is added to a prompt."""
        ...

    @property
    def generates(self) -> bool:
        """Whether it can continue a text."""
        ...

    def writer(self, notice: Notice, at_once: int = 1) -> Writer:
        """Texts to be written by this model, at first none.

        Args:
            at_once: how many to expect at one time. More may be added; they may have to wait for
                each other.

        Raises:
            ConfigError: the model only reads.
        """
        ...


class CannotRun(ConfigError):
    """An engine cannot run this bundle, or not here; another may."""


class Engine(Protocol):
    """Runs bundles. Its module imports nothing heavy: `auto` asks every installed engine.

    Attributes:
        rank: `auto` asks engines of a higher rank first; that of torch, which runs every bundle,
            is 0.
    """

    rank: ClassVar[int]

    def open(
        self, bundle: ModelBundle, registry: Registry, device: str, notice: Notice
    ) -> TextModel:
        """Verify the bundle's files and get the model ready to write.

        Args:
            device: "cpu", "cuda" or "auto".

        Raises:
            CannotRun: not by this engine: an architecture or a device that it does not know, or
                a proof that failed.
            DataError: a file is missing or differs from what was written.
        """
        ...


def open_with(
    name: str, bundle: ModelBundle, registry: Registry, device: str, notice: Notice
) -> TextModel:
    """Open a bundle with the engine called `name`, or with the best one that can run it."""
    return open_named(name, bundle, registry, device, notice)[1]


def open_named(
    name: str, bundle: ModelBundle, registry: Registry, device: str, notice: Notice
) -> tuple[str, TextModel]:
    """The same, with the name of the engine.

    Raises:
        CannotRun: that engine cannot run the bundle.
        ConfigError: there is no such engine, or no such device.
        DataError: the bundle is damaged.
    """
    if name != AUTO:
        return name, _called(name, registry).open(bundle, registry, device, notice)
    engines = _installed(registry, notice)
    *better, last = sorted(engines, key=lambda name: -engines[name].rank)
    for name in better:
        try:
            return name, engines[name].open(bundle, registry, device, notice)
        except CannotRun as error:
            notice(f"not with the engine {name}: {error.what}")
    return last, engines[last].open(bundle, registry, device, notice)


def _installed(registry: Registry, notice: Notice) -> dict[str, Engine]:
    """By name. One that does not load is told of: nobody asked for it."""
    engines = {}
    for name in registry.names("engines"):
        try:
            engines[name] = _called(name, registry)
        except PluginError as error:
            notice(error.what)
    return engines


def _called(name: str, registry: Registry) -> Engine:
    try:
        part = registry.get("engines", name, where="engine")
    except ConfigError as error:
        fixes = (*error.fixes, f"or let the fastest that can be taken: {AUTO}")
        raise ConfigError(error.what, where=error.where, fixes=fixes) from error
    engine: Engine = part.load()()
    return engine
