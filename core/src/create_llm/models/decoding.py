"""Tokens one after the other, for several texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from create_llm.errors import ConfigError
from create_llm.models.architecture import Cache, Decoder
from create_llm.models.choosing import choose
from create_llm.models.engine import Notice
from create_llm.models.sampling import Sampling

if TYPE_CHECKING:
    from create_llm.models.loaded import LoadedModel


@dataclass(slots=True, eq=False)
class _Row:
    """A text that is being written.

    Attributes:
        ids: the prompt's and those written since.
        remaining: tokens that may be written yet.
        cache: what the model keeps of it, in row `place`.
        length: tokens of this row in there.
        room: how many may get there.
        logits: [vocabulary], of what follows; none until the model has read the last token.
        begin: of the ids that the model reads; what is before them was forgotten.
    """

    ids: list[int]
    sampling: Sampling
    generator: torch.Generator
    remaining: int
    cache: Cache
    place: int
    length: int
    room: int
    logits: Tensor | None
    begin: int = 0


class Decoding:
    """Texts that a model writes at the same time, one token of each at a step.

    Each is what it would be if it were alone, but for the rounding of sums: it has a random
    generator of its own and sees no other. Texts come and go between steps.
    """

    def __init__(self, model: LoadedModel, notice: Notice) -> None:
        """
        Raises:
            ConfigError: the model does not write.
        """
        self._model, self._notice = model, notice
        self._decoder = decoder_of(model)
        self._rows: dict[int, _Row] = {}
        self._together: list[_Row] = []
        self._shared: Cache | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @torch.inference_mode()
    def add(self, key: int, ids: Sequence[int], sampling: Sampling) -> None:
        """Read the beginning of a text: 1 to `model.context` ids."""
        generator = torch.Generator()
        generator.manual_seed(sampling.seed) if sampling.seed is not None else generator.seed()
        most = sampling.max_new_tokens
        cache, room, logits = self._begin(ids, most)
        begun = list(ids)
        self._rows[key] = _Row(
            begun, sampling, generator, most, cache, 0, cache.length, room, logits
        )

    def drop(self, key: int) -> None:
        """A text is over."""
        del self._rows[key]

    @torch.inference_mode()
    def step(self) -> list[tuple[int, int | None]]:
        """The next token of each text; None, and the text is dropped, where there can be none."""
        ended = self._read()
        for key in ended:
            self.drop(key)
        chosen = [(key, self._choose(row)) for key, row in self._rows.items()]
        return [*chosen, *((key, None) for key in ended)]

    def _choose(self, row: _Row) -> int:
        assert row.logits is not None, "each row was read"
        token = choose(row.logits.float().cpu(), row.sampling, row.generator, row.ids[row.begin :])
        row.ids.append(token)
        row.remaining -= 1
        row.logits = None
        return token

    def _begin(self, ids: Sequence[int], most: int) -> tuple[Cache, int, Tensor]:
        """A cache, its room and the logits after a text of which `most` tokens are to come."""
        made = self._model.objective.prompt(ids)
        # The last token is written and not read.
        longest = max(tensor.shape[1] for tensor in made.values())
        room = min(longest + most - 1, self._model.context)
        inputs = {name: tensor.to(self._model.device) for name, tensor in made.items()}
        cache, logits = self._decoder.begin(self._model.module, inputs, room)
        return cache, room, logits[0]

    def _read(self) -> list[int]:
        """Let the model read what was chosen last; the keys of texts that cannot go on."""
        behind = {key: row for key, row in self._rows.items() if row.logits is None}
        full = {key: row for key, row in behind.items() if row.length >= row.room}
        going = [row for key, row in behind.items() if key not in full]
        for cache, rows in self._batches(going) if going else ():
            last = torch.tensor([[row.ids[-1]] for row in rows], device=self._model.device)
            logits = self._decoder.decode(self._model.module, last, cache)
            for place, row in enumerate(rows):
                row.logits, row.length = logits[place], row.length + 1
        if "causal" not in self._decoder.capabilities:
            return list(full)  # it writes apart from what it reads: no beginning to forget
        for row in full.values():
            self._slide(row)
        return []

    def _slide(self, row: _Row) -> None:
        """Go on from the second half of what the model can read.

        Half, so that this costs one reading for each half of the context.
        """
        context = self._model.context
        if not row.begin:
            self._notice(f"past {context} tokens the model forgets the beginning of the text")
        row.begin = len(row.ids) - max(context // 2, 1)
        row.cache, row.room, row.logits = self._begin(row.ids[row.begin :], row.remaining)
        row.place, row.length = 0, row.cache.length
        self._together = []

    def _batches(self, rows: list[_Row]) -> list[tuple[Cache, list[_Row]]]:
        """The rows by what they are decoded with: one cache, where the architecture can."""
        if len(rows) == 1 and rows[0].cache is not self._shared:
            return [(rows[0].cache, rows)]
        if self._shared is None or rows != self._together:
            shared = self._decoder.gather([(row.cache, row.place) for row in rows])
            if shared is None:
                return [(row.cache, [row]) for row in rows]
            self._shared, self._together = shared, rows
            for place, row in enumerate(rows):
                row.cache, row.place = shared, place
        return [(self._shared, rows)]


def decoder_of(model: LoadedModel) -> Decoder:
    """The architecture, if it writes.

    Raises:
        ConfigError: it only reads.
    """
    if isinstance(model.architecture, Decoder):
        return model.architecture
    raise ConfigError(
        f"a model of the kind {type(model.architecture).__name__} reads text and does not write it",
        fixes=(
            "score a text with it: llm evaluate",
            "to generate, train an architecture that can: llm config explain model.name",
        ),
    )
