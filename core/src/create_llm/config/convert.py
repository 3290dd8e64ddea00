"""From an llm.config.js to an llm.toml: the same settings, under the names of one schema.

Nothing about single keys is known here. The schema and the installed parts are asked what they
make of the file's values, by resolving them as if they had been given as flags; what they refuse
is left out, with their own words, until the rest is a configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from create_llm.config.attached import PLUGINS_KEY
from create_llm.config.hardware import detect
from create_llm.config.javascript import read_static
from create_llm.config.javascript_tokens import Place, printable
from create_llm.config.layers import TEMPLATE_KEY, canonical
from create_llm.config.load import load_config
from create_llm.config.problems import ConfigProblems, shown, unusable
from create_llm.config.resolved import Config
from create_llm.config.schema import PART_TABLES, SECTIONS
from create_llm.config.values import KeyPath, Layer, Source, Value, dotted, leaves, nest
from create_llm.errors import CreateLLMError, PluginError, did_you_mean
from create_llm.kernel.catalogue import catalogue, install_command
from create_llm.kernel.plugins import Plugins
from create_llm.project.config_text import config_text
from create_llm.project.recipe import description

_HEADER = """\
Converted from {name}. A key that is not here has its default.
What a key does, what it costs and what to try: llm config explain training.learning_rate"""
_HIDDEN = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that make a text look like another one, by turning the writing direction."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A setting that llm.toml does not have: its key as the old file writes it, and why."""

    key: str
    place: Place
    reason: str
    fixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversion:
    """The text of an llm.toml that loads, the keys in it, and what is not in it."""

    text: str
    written: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def convert(path: Path, plugins: Plugins) -> Conversion:
    """The settings of a JavaScript or JSON file as an llm.toml that `load_config` accepts.

    Raises:
        ConfigError: the file is not what `read_static` reads, or no configuration can be made of
            its settings.
        PluginError: it names an architecture, tokenizer, source or template of a package that is
            not installed, or that failed: its options cannot be checked.
        StorageError: the file cannot be read.
    """
    work = _Work(path, plugins)
    work.check_sections()
    work.check_parts()
    config = work.fitting()
    config = work.with_plugins(config)
    return work.result(config)


@dataclass(frozen=True, slots=True)
class _Setting:
    """A value on its way: its key in the old file, and where it stands there."""

    key: KeyPath
    data: object
    place: Place


class _Work:
    """The settings that are left, by their keys in llm.toml, and those that were left out."""

    def __init__(self, path: Path, plugins: Plugins) -> None:
        data = read_static(path)
        self._path, self._plugins, self._hardware = path, plugins, detect()
        self._settings: dict[KeyPath, _Setting] = {}
        self._left_out = [LeftOut(_key(s.path), s.place, f"it {s.reason}") for s in data.skipped]
        self._places = data.places
        for key, value in leaves(data.table):
            self._take(_Setting(key, _as_toml(value), data.places[key]))
        self._named_plugins = self._settings.pop(PLUGINS_KEY, None)

    def _take(self, setting: _Setting) -> None:
        name = canonical(setting.key)
        other = self._settings.get(name)
        if setting.data is None or setting.data == {}:
            return  # null is llm.toml's "not set"
        reason = _unfit(setting)
        if other is not None and reason is None:
            reason = f"is another name of {_key(other.key)}, set in line {other.place.line}"
        if reason is None:
            self._settings[name] = setting
        else:
            self._leave_out(setting, f"it {reason}")

    # ── what the configuration has ────────────────────────────────────────────────────────────

    def check_sections(self) -> None:
        """Leave out what belongs to no section, once for each unknown one."""
        for name in dict.fromkeys(path[0] for path in self._settings):
            inside = {p: s for p, s in self._settings.items() if p[0] == name}
            values = [setting for path, setting in inside.items() if len(path) == 1]
            if name in SECTIONS or name in PART_TABLES:
                for setting in values:
                    self._drop((name,), f"it is a section, got {shown(setting.data)}")
                continue
            first = next(iter(inside.values()))
            what = "it stands outside any section" if values else f"there is no section [{name}]"
            near = did_you_mean(name, (*SECTIONS, *PART_TABLES))
            self._leave_out(replace(first, key=first.key[:1]), what, near)
            for path in inside:
                del self._settings[path]

    def check_parts(self) -> None:
        """Leave out what names a part that nobody has.

        Raises:
            PluginError: a part that owns a section is in a package that is not installed.
        """
        for name, section in SECTIONS.items():
            if section.kind is None:
                continue
            for path, part in self._names_in(name):
                try:
                    where = self._label_of(self._settings[path])
                    self._plugins.registry.get(section.kind, part, where=where)
                except CreateLLMError as error:
                    if section.selector and isinstance(error, PluginError):
                        raise
                    self._drop(path, error.what, error.fixes)

    def _names_in(self, name: str) -> Iterator[tuple[KeyPath, str]]:
        """Each key of a section that names a part of the section's kind, with the name."""
        section = SECTIONS[name]
        for path, setting in list(self._settings.items()):
            if path[0] != name or len(path) != 2:
                continue
            is_switch = section.selector is None and path[1] not in section.model.model_fields
            if path[1] == section.selector and isinstance(setting.data, str):
                yield path, setting.data
            elif is_switch and setting.data is True:
                yield path, path[1]

    def fitting(self) -> Config:
        """Leave out what the schema and the parts refuse, and return what the rest resolves to.

        Raises:
            ConfigError: something is missing that no template supplies.
            PluginError: a part's package is not installed, or failed.
        """
        while True:
            try:
                return self._loaded(self._settings)
            except ConfigProblems as error:
                problems = error.problems
            known = len(self._settings)
            labels = {self._label_of(setting): path for path, setting in self._settings.items()}
            found = [(labels.get(problem.where or ""), problem) for problem in problems]
            for path, problem in found:
                self._solve(path, problem)
            if len(self._settings) == known:
                self._solve_together(found)

    def _loaded(self, settings: dict[KeyPath, _Setting]) -> Config:
        flags = {dotted(path): (s.data, self._label_of(s)) for path, s in settings.items()}
        # The file stands for the project's folder: below it lies neither an llm.toml nor a .env.
        return load_config(
            self._path, self._plugins, flags=flags, environ={}, hardware=self._hardware
        )

    def _solve(self, path: KeyPath | None, problem: CreateLLMError) -> None:
        """Leave out a value that is refused for itself."""
        if isinstance(problem, PluginError):
            raise problem
        if path in self._settings and not _is_about_table(problem, path[:-1]):
            self._drop(path, problem.what, problem.fixes)

    def _solve_together(self, found: list[tuple[KeyPath | None, CreateLLMError]]) -> None:
        """Leave out the least that ends the first disagreement between keys of one table.

        What the file says in full weighs more than the template that it mentions.
        """
        path, problem = next(((p, e) for p, e in found if p is not None), found[0])
        if path is None:
            raise problem
        table = path[:-1]
        selector = SECTIONS[table[0]].selector if table[0] in SECTIONS else None
        keys = [p for p in self._settings if p[: len(table)] == table and p[-1] != selector]
        among = [p for p in (TEMPLATE_KEY, *keys) if p in self._settings]
        candidates = [c for size in (1, 2) for c in combinations(among, size)]
        without = next((c for c in candidates if self._agrees(table, c)), tuple(keys))
        if not without:
            raise problem
        _, _, reason = problem.what.partition(": ")
        for path in without:
            self._drop(
                path,
                f"it does not go together with what else is set: {reason or problem.what}",
                (f"change it in {self._path.name} and convert again, or set it in llm.toml",),
            )

    def _agrees(self, table: KeyPath, without: tuple[KeyPath, ...]) -> bool:
        try:
            self._loaded({p: s for p, s in self._settings.items() if p not in without})
        except ConfigProblems as error:
            return not any(_is_about_table(problem, table) for problem in error.problems)
        return True

    # ── plugins ───────────────────────────────────────────────────────────────────────────────

    def with_plugins(self, config: Config) -> Config:
        """The configuration with the plugins that the file names, beside the template's own.

        An empty list changes nothing: in the old file, progress in the terminal needed no plugin.
        """
        listed = self._named_plugins
        if listed is None:
            return config
        names = listed.data
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            self._leave_out(listed, f"it must be a list of names, got {shown(names)}")
            return config
        known = [name for i, old in enumerate(names) for name in self._plugin(listed, i, old)]
        if not known:
            return config
        together = list(dict.fromkeys([*config.plugins, *known]))
        self._settings = {PLUGINS_KEY: replace(listed, data=together), **self._settings}
        return self._loaded(self._settings)

    def _plugin(self, listed: _Setting, index: int, name: str) -> Iterator[str]:
        """Our name of a plugin: of that name, or with a part of that name."""
        loaded = [record for record in self._plugins.records if record.status == "loaded"]
        own = [r for r in loaded if name in (r.plugin.name, r.plugin.distribution)]
        parts = [r for r in loaded if _has(r.provides.items(), name)]
        for record in [*own, *parts][:1]:
            yield record.plugin.name
            return
        fixes: tuple[str, ...] = ("see what there is: llm plugins list",)
        reason = f"there is no plugin called '{name}'"
        for distribution, kinds in catalogue().items():
            if distribution == f"create-llm-{name}" or _has(kinds.items(), name):
                reason = f"'{name}' needs a package that is not installed: {distribution}"
                fixes = (install_command(distribution), "then add it to plugins in llm.toml")
        place = self._places[(*listed.key, str(index))]
        self._leave_out(replace(listed, place=place), reason, fixes)

    # ── the outcome ───────────────────────────────────────────────────────────────────────────

    def result(self, config: Config) -> Conversion:
        order = {name: place for place, name in enumerate(("plugins", *SECTIONS, *PART_TABLES))}
        paths = sorted(self._settings, key=lambda path: order[path[0]])
        source = Source(self._path.name, Layer.FILE)
        entries = {path: Value(self._settings[path].data, source) for path in paths}
        left_out = sorted(self._left_out, key=lambda left: (left.place.line, left.place.column))
        header = _HEADER.format(name=printable(self._path.name))
        if left_out:
            lines = (f"  {left.key} (line {left.place.line}): {left.reason}" for left in left_out)
            header = "\n".join([header, "Not carried over:", *lines])
        text = config_text(nest(entries, 0), lambda path: description(config, path), header)
        return Conversion(text, tuple(map(_key, paths)), tuple(left_out))

    def _drop(self, path: KeyPath, reason: str, fixes: Iterable[str] = ()) -> None:
        self._leave_out(self._settings.pop(path), reason, fixes)

    def _leave_out(self, setting: _Setting, reason: str, fixes: Iterable[str] = ()) -> None:
        key = _key(setting.key)
        said = printable(reason.replace("\n", " ")).removeprefix(f"{key} ")
        self._left_out.append(LeftOut(key, setting.place, said, tuple(map(printable, fixes))))

    def _label_of(self, setting: _Setting) -> str:
        return f"{self._path.name}:{setting.place.line}:{setting.place.column}"


def _key(path: KeyPath) -> str:
    return printable(dotted(path)) or "(the file)"


def _has(provides: Iterable[tuple[str, list[str]]], name: str) -> bool:
    """Whether a part has the name; commands are verbs, and no setting ever meant one."""
    return any(kind != "commands" and name in names for kind, names in provides)


def _is_about_table(problem: CreateLLMError, table: KeyPath) -> bool:
    """Whether a problem is one of several keys: the sentence then begins with their table."""
    return problem.what.startswith(f"{dotted(table)} ")


def _as_toml(value: object) -> object:
    """Whole numbers as such: JavaScript has one kind of number, and 1e5 steps are 100000."""
    if isinstance(value, list):
        return [_as_toml(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _unfit(setting: _Setting) -> str | None:
    """Why llm.toml cannot hold a setting at all; completes "it …"."""
    if any("." in name for name in setting.key):
        return "has a name with a dot in it, which no key has"
    if any(item is None or isinstance(item, dict) for item in _items(setting.data)):
        return "is a list that holds null or an object"
    return unusable(dict.fromkeys(setting.key, setting.data)) or _hides(setting)


def _items(value: object) -> Iterator[object]:
    if not isinstance(value, list):
        yield value
        return
    for item in value:
        yield from _items(item)


def _hides(setting: _Setting) -> str | None:
    texts = (item for item in (*setting.key, *_items(setting.data)) if isinstance(item, str))
    found = _HIDDEN.intersection("".join(texts))
    return f"holds the hidden sign {printable(min(found))}" if found else None
