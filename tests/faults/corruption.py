"""Damage to every file that the project keeps: it is noticed before anything is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from create_llm.api import load
from create_llm.config import Config, load_config
from create_llm.data.pipeline import ensure_data, ensure_tokenizer
from create_llm.data.preparation.ingredients import tokenizer_sha256
from create_llm.data.preparation.prepared import PreparedData, open_prepared
from create_llm.errors import DataError
from create_llm.kernel.plugins import default_plugins
from create_llm.project.folder import Project
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage, verify
from tests.faults.bench import Bench
from tests.faults.damage import Damage, damaged, damages
from tests.faults.figures import Figures
from tests.faults.project import LIMIT, TRAIN, runs, sha256

UNNOTICED = "unnoticed"
NOTICED = ("refused", "fell back", "written again", "not needed")
"""The last: the result is the same without what the file says."""
RECORDS = ("manifest.json", "recipe.json")


@dataclass(frozen=True, slots=True)
class Target:
    """One file, and what uses it.

    Attributes:
        what: of which the file is a part.
        use: uses the damaged file; answers how it fared, one of `NOTICED` if all is well.
        other: the same file from elsewhere, to swap it with.
        share: of the damages to a file, how many are tried.
    """

    what: str
    path: Path
    use: Callable[[Path], str]
    other: Path | None = None
    share: float = 1.0


@dataclass(slots=True)
class Finished:
    """A project with a complete run, opened."""

    project: Project
    config: Config = field(init=False)
    tokenizer: str = field(init=False)
    tokens: dict[str, str] = field(init=False)
    best: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        self.config = load_config(self.project.root, default_plugins())
        tokenizer = ensure_tokenizer(self.project, self.config)
        self.tokenizer = tokenizer_sha256(tokenizer)
        self.tokens = _token_hashes(ensure_data(self.project, self.config, tokenizer))
        self.best = CheckpointStore(self.run, LIMIT, Storage()).marked("best")

    @property
    def run(self) -> Path:
        return runs(self.project.root)[-1]

    def targets(self) -> Iterator[Target]:
        """Every file of checkpoints, bundle, token shards and tokenizer."""
        yield from self._checkpoints()
        yield from self._bundle()
        yield from self._shards()
        yield from self._tokenizer()

    def _checkpoints(self) -> Iterator[Target]:
        older, newest = sorted(self.run.glob("step-*"))[-2:]
        for path in _files(newest):
            yield Target("checkpoint", path, self._use_checkpoint, older / path.name)
        for name in ("best", "final"):
            for path in _files(self.run / name):
                yield Target(name, path, _use_folder, older / path.name, share=0.3)
        yield Target("the mark of best", self.run / "best/mark.json", self._use_mark, share=0.3)

    def _bundle(self) -> Iterator[Target]:
        older = sorted(self.run.glob("step-*"))[-2]
        for path in _files(self.project.models / "v1"):
            yield Target("bundle", path, _use_bundle, older / path.name)

    def _shards(self) -> Iterator[Target]:
        (folder,) = self.project.processed.glob("shards-*")
        for side, opposite in (("train", "val"), ("val", "train")):
            for path in _files(folder / side):
                other = folder / opposite / path.name
                yield Target("token shards", path, self._use_shards, other)
                yield Target("preparation", path, self._use_prepared, other, share=0.05)
        for path in (self.project.processed / "manifest.json", folder / "manifest.json"):
            yield Target("preparation", path, self._use_prepared, share=0.2)

    def _tokenizer(self) -> Iterator[Target]:
        for path in _files(self.project.tokenizer):
            yield Target("tokenizer", path, self._use_tokenizer, share=0.5)

    def _use_checkpoint(self, path: Path) -> str:
        told: list[DataError] = []
        store = CheckpointStore(self.run, LIMIT, Storage())
        newest, steps = store.newest_valid(told.append), store.steps()
        if newest == steps[-1]:
            return UNNOTICED
        return "fell back" if newest == steps[-2] and _names(told[0], path) else "not named"

    def _use_mark(self, path: Path) -> str:
        try:
            found = CheckpointStore(self.run, LIMIT, Storage()).marked("best")
        except DataError as error:
            return _refused(error, path)
        return "not needed" if found == self.best else f"read as {found}"

    def _use_shards(self, path: Path) -> str:
        try:
            data = open_prepared(self.project.processed)
            data.train.verify()
            data.val.verify()
        except DataError as error:
            return _refused(error, path)
        return UNNOTICED

    def _use_prepared(self, path: Path) -> str:
        del path
        tokenizer = ensure_tokenizer(self.project, self.config)
        data = ensure_data(self.project, self.config, tokenizer)
        if _token_hashes(data) != self.tokens:
            return UNNOTICED
        return "not needed" if data.cached else "written again"

    def _use_tokenizer(self, path: Path) -> str:
        try:
            tokenizer = ensure_tokenizer(self.project, self.config)
        except DataError as error:
            return _refused(error, path)
        return "written again" if tokenizer_sha256(tokenizer) == self.tokenizer else UNNOTICED


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _token_hashes(data: PreparedData) -> dict[str, str]:
    sides = {"train": data.train, "val": data.val}
    return {
        f"{name}/{folder.path.parent.name}/{file}": sha256(folder.path / file)
        for name, side in sides.items()
        for folder in side.folders
        for file in folder.manifest.files
    }


def _names(error: DataError, path: Path) -> bool:
    """Whether the error names the file.

    One that holds the hashes of others cannot be told from them when a hash in it is damaged:
    then the folder is named.
    """
    text = f"{error.what} {error.where}"
    return path.name in text or (path.name in RECORDS and str(path.parent) in text)


def _refused(error: DataError, path: Path) -> str:
    return "refused" if _names(error, path) else "not named"


def _use_folder(path: Path) -> str:
    try:
        verify(path.parent)
    except DataError as error:
        return _refused(error, path)
    return UNNOTICED


def _use_bundle(path: Path) -> str:
    try:
        load(path.parent)
    except DataError as error:
        return _refused(error, path)
    return UNNOTICED


def finished(bench: Bench) -> Finished:
    """A project of its own with a complete run."""
    project = bench.project()
    ending = bench.servers[0].run(project, TRAIN)
    if ending.code:
        raise AssertionError(f"an undisturbed run ended with {ending.code}:\n{ending.output}")
    return Finished(Project(project))


def corruption(bench: Bench, each: int) -> Figures:
    """About `each` ways to damage each file; all must be noticed."""
    figures, rng = Figures("damaged files"), bench.rng("corruption")
    opened = finished(bench)
    kinds: Counter[str] = Counter()
    for target in opened.targets():
        number = max(1, round(each * target.share))
        for damage in damages(target.path.stat().st_size, number, rng):
            fared = _try(target, damage)
            if fared is not None:
                figures.judge(_trial(opened, target, damage), _wrong(fared))
                figures.counts[fared if fared in NOTICED else UNNOTICED] += 1
                kinds[f"of them {damage.kind}"] += 1
    figures.numbers = dict(sorted(kinds.items()))
    return figures.closed()


def _try(target: Target, damage: Damage) -> str | None:
    """How the damage fared; None where it changes nothing."""
    with damaged(target.path, damage, target.other) as changes:
        if not changes:
            return None
        try:
            return target.use(target.path)
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def _wrong(fared: str) -> list[str]:
    return [] if fared in NOTICED else [fared]


def _trial(opened: Finished, target: Target, damage: Damage) -> str:
    where = target.path.relative_to(opened.project.root)
    return f"{target.what}: {where} {damage}"
