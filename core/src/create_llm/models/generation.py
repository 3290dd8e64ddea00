"""Continuing a prompt: sampling, stop conditions, and text that grows as it is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from create_llm.errors import ConfigError
from create_llm.models.architecture import Cache, Decoder
from create_llm.models.loaded import LoadedModel

Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: logits are divided by it; 0 always takes the most likely token.
        top_k: keep the k most likely tokens; 0 keeps all.
        top_p: then keep the fewest tokens whose probabilities reach p (Holtzman et al. 2019,
            arXiv 1904.09751); 1 keeps all.
        stop: the text ends before the first of these strings.
        seed: the same seed gives the same text; None draws one.
    """

    max_new_tokens: int = 100
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 0.95
    stop: tuple[str, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        checks = (
            ("max_new_tokens", self.max_new_tokens >= 1, "1 or more"),
            (
                "temperature",
                self.temperature == 0 or self.temperature >= 1e-3,
                "0, or 0.001 or more",
            ),
            ("top_k", self.top_k >= 0, "0 or more (0 keeps all)"),
            ("top_p", 1e-6 <= self.top_p <= 1, "above 0 and at most 1"),
            ("seed", self.seed is None or 0 <= self.seed < 2**63, "from 0 to 2^63 - 1"),
        )
        for name, fine, allowed in checks:
            if not fine:
                raise ConfigError(f"{name} must be {allowed}, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished text; `finish_reason` is "eos", "stop" or "length"."""

    prompt: str
    text: str
    tokens: int
    tokens_per_second: float
    finish_reason: str


def complete(
    model: LoadedModel,
    prompt: str,
    sampling: Sampling,
    notice: Notice = lambda text: None,
    between: Callable[[], None] = lambda: None,
) -> Completion:
    """The whole continuation of a prompt.

    Args:
        notice: hears what a person should know.
        between: called after each piece; may raise to abandon the text.
    """
    stream = TextStream(model, prompt, sampling, notice)
    for _ in stream:
        between()
    return stream.result()


class TextStream:
    """Iterate to receive the text piece by piece; `result()` afterwards is the whole of it."""

    def __init__(self, model: LoadedModel, prompt: str, sampling: Sampling, notice: Notice) -> None:
        self._model = model
        self._prompt = prompt
        self._sampling = sampling
        self._notice = notice
        self._text = ""
        self._tokens = 0
        self._reason = "length"
        self._seconds = 0.0

    def __iter__(self) -> Iterator[str]:
        started = time.perf_counter()
        ids: list[int] = []
        ends = {self._model.tokenizer.special.eos, *self._model.objective.stop_tokens}
        for token in _next_tokens(self._model, self._prompt, self._sampling, self._notice):
            self._tokens += 1
            if token in ends:
                self._reason = "eos"
                break
            ids.append(token)
            piece = self._grow(self._model.tokenizer.decode(ids))
            if piece:
                yield piece
            if self._reason == "stop":
                break
        self._seconds = time.perf_counter() - started
        rest = "" if self._reason == "stop" else self._model.tokenizer.decode(ids)
        if len(rest) > len(self._text):
            piece, self._text = rest[len(self._text) :], rest
            yield piece

    def result(self) -> Completion:
        speed = self._tokens / self._seconds if self._seconds else 0.0
        return Completion(self._prompt, self._text, self._tokens, speed, self._reason)

    def _grow(self, text: str) -> str:
        """What of the decoded text is new and final, cut before a stop string."""
        found = [at for stop in self._sampling.stop if (at := text.find(stop)) >= 0]
        if found:
            self._reason = "stop"
            text = text[: min(found)]
        else:
            text = text[: len(text) - self._held_back(text)]
        piece, self._text = text[len(self._text) :], max(text, self._text, key=len)
        return piece

    def _held_back(self, text: str) -> int:
        """Characters at the end that a later token may still change or that may begin a stop."""
        # A character cut between two tokens decodes as U+FFFD until its rest arrives.
        unfinished = len(text) - len(text.rstrip("\ufffd"))
        begun = max(
            (
                size
                for stop in self._sampling.stop
                for size in range(1, len(stop))
                if text.endswith(stop[:size])
            ),
            default=0,
        )
        return max(unfinished, begun)


@torch.inference_mode()
def _next_tokens(
    model: LoadedModel, prompt: str, sampling: Sampling, notice: Notice
) -> Iterator[int]:
    """Token ids that follow the prompt, without end; an empty prompt begins a document."""
    decoder, generator = _decoder(model), torch.Generator()
    generator.manual_seed(sampling.seed) if sampling.seed is not None else generator.seed()
    ids = model.tokenizer.encode_batch([prompt])[0] or [model.tokenizer.special.eos]
    if len(ids) >= model.context:
        notice(
            f"the prompt has {len(ids)} tokens and the model reads {model.context}: "
            "only its end is used"
        )
    window, slid = ids[-max(model.context - 1, 1) :], False
    cache, logits = _begin(model, decoder, window)
    for made in range(1, sampling.max_new_tokens + 1):
        token = choose(logits[0].float().cpu(), sampling, generator)
        yield token
        if made == sampling.max_new_tokens:
            return
        window = [*window, token]
        if cache.length + 1 < model.context:
            tokens = torch.tensor([[token]], device=model.device)
            logits = decoder.decode(model.module, tokens, cache)
            continue
        if "causal" not in decoder.capabilities:
            return  # what it writes is apart from what it reads: there is no beginning to forget
        if not slid:
            notice(f"past {model.context} tokens the model forgets the beginning of the text")
        slid = True
        # Half of the context is read again, so that this costs one prefill per half.
        window = window[-max(model.context // 2, 1) :]
        cache, logits = _begin(model, decoder, window)


def _begin(model: LoadedModel, decoder: Decoder, tokens: list[int]) -> tuple[Cache, Tensor]:
    """Read the text so far."""
    inputs = {n: t.to(model.device) for n, t in model.objective.prompt(tokens).items()}
    return decoder.begin(model.module, inputs, model.context)


def _decoder(model: LoadedModel) -> Decoder:
    if isinstance(model.architecture, Decoder):
        return model.architecture
    raise ConfigError(
        f"a model of the kind {type(model.architecture).__name__} reads text and does not write it",
        fixes=(
            "score a text with it: llm evaluate",
            "to generate, train an architecture that can: llm config explain model.name",
        ),
    )


def choose(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """One token id from logits [vocabulary]."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.numel():
        least = logits.topk(sampling.top_k).values[-1]
        logits = logits.masked_fill(logits < least, float("-inf"))
    probabilities = logits.softmax(-1)
    if sampling.top_p < 1:
        probabilities = _nucleus(probabilities, sampling.top_p)
    return int(torch.multinomial(probabilities, 1, generator=generator))


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    ordered, places = probabilities.sort(descending=True)
    # The token that crosses top_p is kept: what stands *before* it must be below.
    ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= top_p, 0.0)
    return torch.zeros_like(probabilities).scatter(-1, places, ordered)
