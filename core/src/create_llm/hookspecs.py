"""The table of contents of create-llm: one hook for each kind of part.

A plugin is a light module that names its parts. Each hook is called once, when the plugin is
discovered at start-up, and receives `register`:

    from create_llm import hookimpl

    @hookimpl
    def register_callbacks(register):
        register("lion", "my_lion.callback:Lion", summary="Log to Lion.")

`target` is a `module:attribute` string, imported when the part is first used, so that a plugin
costs nothing until then. `config` names a pydantic model (`extra="forbid"`, each field described)
that validates the part's own section of llm.toml. `requires` lists other parts it asks the
registry for, as "kind/name". `schemes` are those of the addresses that a data source reads:
("https",) makes it the source of `llm train --corpus-path https://…`.
"""

from __future__ import annotations

from typing import Protocol

import pluggy

hookspec = pluggy.HookspecMarker("create_llm")
hookimpl = pluggy.HookimplMarker("create_llm")


class Register(Protocol):
    """Registers one part of the hook's kind."""

    def __call__(
        self,
        name: str,
        target: str,
        *,
        summary: str,
        config: str | None = None,
        requires: tuple[str, ...] = (),
        schemes: tuple[str, ...] = (),
    ) -> None: ...


@hookspec
def register_tokenizers(register: Register) -> None:
    """Text to ids and back. Target: a `TokenizerType`, see data.tokenizer.

    Used when a corpus is prepared, a bundle is opened and text is generated.
    """


@hookspec
def register_architectures(register: Register) -> None:
    """Models. Target: a subclass of `create_llm.models.architecture.Architecture`.

    Used when a run starts, a bundle is opened, and to count parameters and memory beforehand.
    """


@hookspec
def register_data_sources(register: Register) -> None:
    """Where documents come from. Target: `(config, root) -> DataSource`, see data.source.

    Used when a corpus is prepared; `[data] source = "name"` chooses one.
    """


@hookspec
def register_callbacks(register: Register) -> None:
    """Observers of a run. Target: `(config) -> Callback`, see training.callbacks.

    Used while training, for the plugins that `plugins = [...]` in llm.toml names.
    """


@hookspec
def register_deploy_targets(register: Register) -> None:
    """Where a model can be published. Target: `(config) -> DeployTarget`, see models.deploy.

    Used by `llm deploy --to name`: first `plan`, which makes no network call, then `apply`.
    """


@hookspec
def register_objectives(register: Register) -> None:
    """What a model is trained to do. Target: a subclass of `create_llm.models.objective.Objective`.

    Used at each training and evaluation step, and to make prompts. An architecture names its
    default.
    """


@hookspec
def register_templates(register: Register) -> None:
    """Sizes to start a project from. Target: a `Template`, see project.templates.

    Used by `llm new --template name` and for the template layer of the configuration.
    """


@hookspec
def register_presets(register: Register) -> None:
    """Recipes to train with. Target: a `Preset`, see project.presets.

    Used by `llm train --preset name`, and where llm.toml names one: `[project] preset = "name"`.
    """


@hookspec
def register_exporters(register: Register) -> None:
    """Forms that other programs read. Target: `(config) -> Exporter`, see models.export.

    Used by `llm export MODEL --to name`; with `--test`, the result is loaded in its program.
    """


@hookspec
def register_importers(register: Register) -> None:
    """Readers of other programs' models. Target: an `Importer`, see models.importing.

    Used by `llm import name:SOURCE`, and by `llm import FOLDER` where it knows the folder's form.
    """


@hookspec
def register_engines(register: Register) -> None:
    """What runs a model that writes. Target: an `Engine`, see models.engine.

    Used by `llm generate`, `llm chat` and whatever else writes text: `--engine name`, or by itself
    where it ranks above the others and can run the model.
    """


@hookspec
def register_synthesizers(register: Register) -> None:
    """Makers of synthetic text. Target: `(config) -> Synthesizer`, see data.source.

    Used by `llm synth --provider name`, which writes what they yield into data/raw.
    """


@hookspec
def register_commands(register: Register) -> None:
    """Verbs of the `llm` command. Target: a `click.Command`; `name` is the verb.

    For verbs that no other kind covers. The verbs of the core cannot be replaced.
    """
