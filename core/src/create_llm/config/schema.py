"""The sections of llm.toml and the core's own keys in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from create_llm.config.keys import SectionModel, key
from create_llm.config.training_keys import TrainingConfig as TrainingConfig


class ProjectConfig(SectionModel):
    """What the project was started from."""

    template: str | None = key(
        None,
        "The template whose values hold wherever you set nothing yourself.",
        cost="Nothing by itself; a larger template means a larger model, hence more memory, more "
        "hours and more text to learn from.",
        advice="Start with the smallest and move up once its validation loss stops falling.",
    )
    preset: str | None = key(
        None,
        "The recipe whose values hold where llm.toml sets nothing: an installed preset, or a file "
        "in training/presets, by its name.",
        cost="Nothing by itself; what its values cost is said with each key.",
        advice="`llm train --preset NAME` tries one for a single run; it is then stronger than "
        "llm.toml.",
        min_length=1,
    )


class ModelConfig(SectionModel):
    """Which model is trained; all other keys belong to the architecture that `name` chooses."""

    name: str = key(
        description="The architecture: the kind of network that is trained.",
        cost="Architectures differ in what they can do (some only read, some also write) and in "
        "speed; this one's own keys decide how large it is.",
        advice="See which ones are installed with `llm plugins list`.",
        identity=True,
    )
    vocab_size: int | None = key(
        None,
        "How many different tokens the model knows. Unset: as many as the tokenizer has.",
        cost="Each token adds one row of the model's width to its embedding: 32,000 tokens of "
        "width 512 are 16 million parameters.",
        advice="Leave it unset; a number above the tokenizer's only reserves unused rows.",
        identity=True,
        ge=2,
        le=10_000_000,
    )


class TokenizerConfig(SectionModel):
    """How text becomes tokens; all other keys belong to the tokenizer that `name` chooses."""

    name: str = key(
        description="The algorithm that learns which pieces of text become one token.",
        cost="Training a tokenizer takes seconds to minutes, once. Another tokenizer means new "
        "token shards and a new model.",
        advice="Compare two tokenizers by bits per byte; perplexity is not comparable across them.",
        identity=True,
    )


class MixConfig(SectionModel):
    """One source of a mixture; other keys belong to the source, and stand over those of [data]."""

    weight: float = key(
        1.0,
        "How much of what is trained on is of this source, in proportion to the weights of the "
        "others.",
        cost="A weight above a source's share of the text reads it several times while the others "
        "are read once; `llm train --plan` says how often.",
        advice="Repeat good text up to about four times; more teaches little (Muennighoff et al. "
        "2023).",
        identity=True,
        gt=0,
    )
    source: str | None = key(
        None,
        "Where the text of this one comes from. Unset: as data.source.",
        cost="With another source than that of [data], nothing of [data]'s own keys is taken over.",
        advice="An address as train_path chooses its source by itself.",
        identity=True,
    )


class DataConfig(SectionModel):
    """Which text the model learns from; other keys belong to the source that `source` chooses."""

    source: str = key(
        description="Where the text comes from.",
        cost="Reading the text and writing token shards takes time once; runs then reuse them.",
        advice="See which sources are installed with `llm plugins list`.",
        identity=True,
    )
    val_split: float = key(
        0.1,
        "The share of the documents that is kept back: the model is scored on it, never trained.",
        cost="What is kept back is not learned from; a tiny share makes the score noisy.",
        advice="0.1 for a few megabytes of text; 0.01 is enough from about a gigabyte on.",
        identity=True,
        gt=0,
        lt=1,
    )
    deduplicate: bool = key(
        False,
        "Whether of documents that are equal, letter for letter, only the first is kept.",
        cost="The text is read once more, and about 100 bytes of memory for each document: 100 MB "
        "for a million.",
        advice="Set it for text from the web. `llm data check` says how much is repeated.",
        identity=True,
    )
    workers: int | None = key(
        None,
        "How many processes turn text into tokens at the same time. Unset: as many as the machine "
        "has cores, 16 at most.",
        cost="About 100 MB of memory each. Their number changes no token; a source that cannot be "
        "divided (one large file) is prepared by one.",
        advice="Leave it unset; 1 when memory is short.",
        ge=1,
        le=256,
    )
    max_length: int | None = key(
        None,
        "The length of a training sequence, in tokens. Unset: the longest that the model reads.",
        cost="Memory grows at least in proportion; the work of attention grows with its square.",
        advice="Shorten it when memory runs out: half the length fits about twice the batch, but "
        "the model then learns nothing about connections longer than that.",
        identity=True,
        ge=1,
    )
    stride: int | None = key(
        None,
        "How many tokens the next training sequence begins after this one. Unset: max_length, so "
        "that sequences do not overlap.",
        cost="At half of max_length every token is seen twice an epoch, and an epoch takes twice "
        "as long.",
        advice="Leave it unset, unless the text is so short that an epoch has only a few steps.",
        identity=True,
        ge=1,
    )
    chat_template: str | None = key(
        None,
        "How conversations are written out: chatml, llama, zephyr, alpaca, plain, or a Jinja file "
        "of the project. Unset: as the project's own tokenizer says, otherwise plain.",
        cost="The tokens that a template brings have a place in the vocabulary.",
        advice="chatml for a model to chat with; plain needs no tokens of its own.",
        identity=True,
    )
    packing: Literal["joined", "isolated"] = key(
        "joined",
        "Whether a training sequence is one text, or each document in it is read as if it stood "
        "alone.",
        cost="isolated: a few percent of the time. A document that a sequence ends in goes on in "
        "the next one without what came before.",
        advice="isolated for many short documents that have nothing to do with each other, such as "
        "conversations; joined for books.",
        identity=True,
    )
    shuffle: bool = key(
        True,
        "Whether the training sequences come in a random order, another one in each epoch.",
        cost="Nothing worth measuring: the order is computed, not stored.",
        advice="Keep it on. Off, the model forgets the beginning of the text while it reads the "
        "end.",
        identity=True,
    )
    mix: dict[str, dict[str, object]] = key(
        description="Several sources, mixed: a table for each, [data.mix.NAME], with its `weight`, "
        "its `source` where that is another one than data.source, and any key of that source, such "
        "as train_path. Unset: the one source of [data].",
        cost="A change of weights makes another run, and prepares nothing anew.",
        advice='[data.mix.books] with weight = 3 and train_path = "data/raw/books", beside '
        "[data.mix.web].",
        identity=True,
        default_factory=dict,
    )


class ObjectiveConfig(SectionModel):
    """What the model is trained to do; other keys belong to the objective that `name` chooses."""

    name: str | None = key(
        None,
        "What the model learns to predict. Unset: what its architecture is made for.",
        cost="A model can only be used for what it was trained to do.",
        advice="Leave it unset, or sft for conversations: their answers alone count either way.",
        identity=True,
    )


class CheckpointConfig(SectionModel):
    """What is kept of a run while it trains."""

    save_total_limit: int = key(
        3,
        "How many checkpoints of a run stay on disk; older ones are deleted, never the best.",
        cost="A checkpoint holds weights and optimizer state: about 12 bytes a parameter with "
        "AdamW, so 120 MB for 10 million parameters.",
        advice="3 is enough to go on after a crash; keep more to compare stages of the training.",
        ge=2,
    )
    save_on_interrupt: bool = key(
        True,
        "Whether Ctrl-C and a shutdown save a checkpoint before the program ends.",
        cost="The program takes as long to end as one checkpoint takes to write.",
        advice="Keep it on: off, everything since the last checkpoint is lost.",
    )
    min_free_gb: float = key(
        0,
        "How much of the disk must be free before a run starts, in GB. 0: only what its "
        "checkpoints and its model are computed to need.",
        cost="A run with less is refused before any work is done.",
        advice="Raise it where other programs fill the same disk while you train.",
        ge=0,
    )
    resume_from_checkpoint: str | None = key(
        None,
        "The checkpoint to continue from. Unset: the newest valid one of a matching run.",
        cost="A checkpoint of a run with another model, data or optimizer is refused.",
        advice="Leave it unset; `llm train --resume` decides for one command.",
    )


class LoggingConfig(SectionModel):
    """What is written about a run. `NAME = true` or `false` also switches the callback NAME."""

    log_interval: int = key(
        100,
        "Steps between two reports of the loss.",
        cost="Each report makes the device wait for the loss. Every 10 steps it is hardly "
        "noticeable; every step it can slow a GPU down.",
        advice="10 for short runs, so that the curve has points; 100 for long ones.",
        ge=1,
    )
    log_dir: str = key(
        "logs",
        "The folder for logs, relative to the project.",
        cost="A few megabytes for a long run.",
        advice="Leave it, unless the project lies on a slow or shared disk.",
        min_length=1,
    )


class GenerationConfig(SectionModel):
    """How text is sampled, while training and by `llm generate`, unless the command says more."""

    prompt: str = key(
        "",
        "The beginning that samples continue.",
        cost="Nothing.",
        advice="Take the first words of a typical document of yours.",
    )
    max_new_tokens: int = key(
        100,
        "How many tokens are generated at most.",
        cost="Time grows in proportion: each token is one pass through the model.",
        advice="100 tokens are roughly 75 English words with a vocabulary of 32,000, and fewer "
        "with a smaller one.",
        ge=1,
    )
    temperature: float = key(
        1.0,
        "How much chance there is in the choice of each token: 0 always takes the likeliest, 1 "
        "follows the model's probabilities.",
        cost="Nothing. Low values repeat themselves, high ones lose the thread.",
        advice="0.7 to 0.9 for readable stories from a small model.",
        ge=0,
    )
    top_k: int = key(
        50,
        "Only this many of the likeliest tokens are considered; 0 considers all.",
        cost="Nothing worth measuring.",
        advice="20 to 100; smaller is safer and duller.",
        ge=0,
    )
    top_p: float = key(
        0.95,
        "Only the likeliest tokens that together have this probability are considered; 1 "
        "considers all (nucleus sampling, Holtzman et al. 2019).",
        cost="Nothing worth measuring.",
        advice="0.9 to 0.95; set it to 1 to see the effect of top_k alone.",
        gt=0,
        le=1,
    )
    min_p: float = key(
        0.0,
        "Only tokens with at least this share of the likeliest one's probability are considered; "
        "0 considers all (Nguyen et al. 2024).",
        cost="Nothing worth measuring.",
        advice="0.05 to 0.1, with top_p = 1, for a high temperature that keeps the thread.",
        ge=0,
        le=1,
    )
    repetition_penalty: float = key(
        1.0,
        "How much less likely tokens become that the text already has, its prompt included; 1 "
        "changes nothing (Keskar et al. 2019).",
        cost="Nothing worth measuring.",
        advice="1.1 to 1.2 where a small model turns in circles; more makes it avoid every 'the'.",
        gt=0,
    )


@dataclass(frozen=True, slots=True)
class Section:
    """One [section]: the core's keys and, where `kind` is set, keys that belong to parts.

    Attributes:
        selector: the key whose value names the part that owns the other keys; None with a kind:
            the other keys are themselves names of parts.
    """

    model: type[BaseModel]
    kind: str | None = None
    selector: str | None = None

    @property
    def requires_part(self) -> bool:
        return self.selector is not None and self.model.model_fields[self.selector].is_required()


SECTIONS: Mapping[str, Section] = {
    "project": Section(ProjectConfig),
    "model": Section(ModelConfig, "architectures", "name"),
    "tokenizer": Section(TokenizerConfig, "tokenizers", "name"),
    "data": Section(DataConfig, "data_sources", "source"),
    "objective": Section(ObjectiveConfig, "objectives", "name"),
    "training": Section(TrainingConfig),
    "checkpoints": Section(CheckpointConfig),
    "logging": Section(LoggingConfig, "callbacks"),
    "generation": Section(GenerationConfig),
}

MIX = ("data", "mix")
"""Where the sources of a mixture stand: [data.mix.NAME]."""

PART_TABLES: Mapping[str, str] = {
    "callbacks": "callbacks",
    "synth": "synthesizers",
    "export": "exporters",
    "deployment": "deploy_targets",
}
"""Sections that hold a table for each part of a kind: [callbacks.NAME], [deployment.NAME]."""
COMMAND_TABLES = tuple(section for section in PART_TABLES if section != "callbacks")
"""Those whose parts no run uses, only a command."""

ALIASES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("training", "gradient_accumulation"): ("training", "gradient_accumulation_steps"),
    ("model", "type"): ("model", "name"),
    ("tokenizer", "type"): ("tokenizer", "name"),
    ("model", "size"): ("project", "template"),
}
"""Other names of keys, accepted everywhere."""
