"""What keys must be together, and the values of keys that follow others."""

from __future__ import annotations

from create_llm.config.draft import Draft
from create_llm.config.resolved import Selected
from create_llm.config.schema import DataConfig, ModelConfig, TrainingConfig
from create_llm.config.values import KeyPath, Layer, Source, source_of

MODEL_LENGTH = ("model", "max_length")

Followed = dict[KeyPath, Source]
"""Keys that were left unset, with the key they follow."""


def check_lengths(draft: Draft, data: DataConfig, model: Selected | None) -> None:
    """Note sequences that the model cannot read, and strides that would skip text."""
    longest = option(model, "max_length")
    length = data.max_length or longest
    if model and not longest:
        draft.problem(
            f"architecture '{model.part.name}' of {model.part.distribution} has no key max_length, "
            "which says how many tokens it reads at once; every architecture has one",
            draft.place(("model", "name")),
            "add it to its config class: max_length: int = Field(default=256, description=…)",
            f"see what else it lacks: llm plugins test {model.part.name}",
        )
    if data.max_length and longest and data.max_length > longest:
        draft.problem(
            f"data.max_length is {data.max_length}, more than the model can read: "
            f"model.max_length is {longest} ({source_of(draft.entries, MODEL_LENGTH)})",
            draft.place(("data", "max_length")),
            f"shorten the sequences: data.max_length = {longest}",
            f"or enlarge the model: model.max_length = {data.max_length}",
        )
    if data.stride and length and data.stride > length:
        draft.problem(
            f"data.stride is {data.stride}, more than data.max_length, which is {length}: "
            "the text in between would never be seen",
            draft.place(("data", "stride")),
            f"set data.stride to at most {length}",
            "or leave it out: sequences then follow one another without overlap",
        )


def check_vocabulary(draft: Draft, model: ModelConfig, tokenizer: Selected | None) -> None:
    """Note a model that has no row for some of its tokenizer's tokens."""
    tokens = option(tokenizer, "vocab_size")
    if model.vocab_size and tokens and model.vocab_size < tokens:
        draft.problem(
            f"model.vocab_size is {model.vocab_size}, fewer than the {tokens} tokens of "
            "tokenizer.vocab_size",
            draft.place(("model", "vocab_size")),
            "leave model.vocab_size out: the model then has as many as the tokenizer",
            f"or set model.vocab_size to at least {tokens}",
        )


def check_precision(draft: Draft, training: TrainingConfig) -> None:
    """Note two keys that contradict each other."""
    if training.precision in ("bf16", "fp16") and not training.mixed_precision:
        draft.problem(
            f'training.precision is "{training.precision}", but training.mixed_precision is false',
            draft.place(("training", "precision")),
            'for full precision: training.precision = "fp32"',
            "for 16 bits: leave training.mixed_precision out",
        )


def filled_in(
    data: DataConfig, training: TrainingConfig, model: Selected
) -> tuple[DataConfig, TrainingConfig, Followed]:
    """The two sections with the values of keys that were left to follow another one."""
    longest = option(model, "max_length")
    length = data.max_length or longest
    samples = training.sample_interval or training.eval_interval
    followed: dict[KeyPath, tuple[object, object, str]] = {
        ("data", "max_length"): (data.max_length, longest, "model.max_length"),
        ("data", "stride"): (data.stride, length, "data.max_length"),
        ("training", "sample_interval"): (
            training.sample_interval,
            samples,
            "training.eval_interval",
        ),
    }
    sources = {
        path: Source(f"as {leader}", Layer.DEFAULT)
        for path, (given, value, leader) in followed.items()
        if given is None and value is not None
    }
    data = data.model_copy(update={"max_length": length, "stride": data.stride or length})
    return data, training.model_copy(update={"sample_interval": samples}), sources


def option(selected: Selected | None, name: str) -> int | None:
    """A whole-number option of a part, if it has one of this name."""
    value = getattr(selected.options, name, None) if selected else None
    return value if isinstance(value, int) else None
