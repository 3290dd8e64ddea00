"""Which sources `llm data` reads: the project's, or those of paths on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from create_llm.cli.app import App
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.config import Config
    from create_llm.data.corpus import Corpus
    from create_llm.project.folder import Project

_PATH_KEY = "data.train_path"


@dataclass(frozen=True)
class Opened:
    """What is to be read, and the project around it, if there is one."""

    project: Project | None
    config: Config
    corpus: Corpus


def open_corpus(app: App, paths: tuple[str, ...]) -> Opened:
    """The project's corpus, or `paths` as its source would read them.

    Without a project they are read as a new one would.

    Raises:
        ConfigError: neither a project nor a path; or a source that takes no path.
    """
    from create_llm.data.corpus import Corpus
    from create_llm.data.pipeline import data_source
    from create_llm.project.folder import Project

    project = _project(app, needed=not paths)
    base = project or Project(app.root)
    configs = [_config(app, base, path) for path in paths or (None,)]
    data = configs[0].data
    sources = tuple(data_source(base, config) for config in configs)
    corpus = Corpus(sources, data.val_split, data.deduplicate)
    return Opened(project, configs[0], corpus)


def open_with_path(app: App, path: str) -> tuple[Project, Config]:
    """The project, and its configuration with `path` as what is trained on."""
    from create_llm.project.folder import find_project

    project = find_project(app.root)
    return project, _config(app, project, path)


def _config(app: App, project: Project, path: str | None) -> Config:
    from create_llm.config import load_config

    flags = {} if path is None else {_PATH_KEY: (_seen_from(project.root, app.root, path), "PATH")}
    return load_config(project.root, app.plugins, flags=flags, overrides=app.overrides)


def _project(app: App, *, needed: bool) -> Project | None:
    from create_llm.project.folder import find_project

    try:
        return find_project(app.root)
    except ConfigError as error:
        if not needed:
            return None
        what = f"{error.what}, and no file or folder is named"
        fixes = ("name one: llm data check book.txt", *error.fixes)
        raise ConfigError(what, where=error.where, fixes=fixes) from None


def _seen_from(root: Path, start: Path, path: str) -> str:
    """A path typed in `start` as the configuration in `root` writes it; addresses stay."""
    if "://" in path:
        return path
    absolute = start / path
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)
