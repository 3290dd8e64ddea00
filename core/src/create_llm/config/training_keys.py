"""The keys of [training]: how the model learns."""

from __future__ import annotations

from typing import Literal

from create_llm.config.intervals import Interval
from create_llm.config.keys import SectionModel, key

Optimizer = Literal["adamw", "adam", "sgd", "muon"]
ScheduleName = Literal["cosine", "wsd"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Compile = Literal["auto", "on", "off"]
Device = Literal["auto", "cpu", "cuda", "mps"]


class TrainingConfig(SectionModel):
    """How the model learns: how much at once, how fast, and for how long."""

    batch_size: int = key(
        32,
        "How many sequences go through the model at once (the micro-batch). One step learns from "
        "the effective batch: batch_size times gradient_accumulation_steps.",
        cost="Memory: twice the batch needs about twice the memory for activations. A larger "
        "batch keeps a GPU busier, so each token takes less time, until the GPU is full; a CPU "
        "gains little beyond a few thousand tokens at once.",
        advice="If memory runs out, halve it and double gradient_accumulation_steps: the model "
        "learns the same (exactly so without dropout). If you double the effective batch, a "
        "learning rate about 1.4 times as high (the square root of 2) usually fits.",
        identity=True,
        ge=1,
        le=1_000_000,
    )
    gradient_accumulation_steps: int = key(
        1,
        "How many micro-batches are added up before the weights change once.",
        cost="Time: a step takes this many times as long. Memory stays that of one micro-batch.",
        advice="Raise it when the effective batch you want does not fit into memory.",
        identity=True,
        ge=1,
        le=1_000_000,
    )
    learning_rate: float = key(
        3e-4,
        "How far the weights move at each step, at the height of the schedule.",
        cost="No time and no memory. Too high and the loss jumps or stops being a number; too "
        "low and the run ends long before the model has learned what it could.",
        advice="Smaller models stand more: 1e-3 at 10 million parameters. GPT-3 took 6e-4 at 125 "
        "million and 2e-4 at 1.3 billion (Brown et al. 2020). Divide by 3 if the loss jumps.",
        identity=True,
        gt=0,
        le=100,
    )
    min_learning_rate_ratio: float = key(
        0.1,
        "Where the schedule ends, as a share of learning_rate.",
        cost="Nothing.",
        advice="0.1 is the common choice (Hoffmann et al. 2022); 0 settles the last steps more.",
        identity=True,
        ge=0,
        le=1,
    )
    warmup_steps: int = key(
        1000,
        "Steps in which the learning rate rises from zero to its height.",
        cost="These steps teach less than the others.",
        advice="1 to 5 % of all steps. Raise it if the loss jumps early in the run.",
        identity=True,
        ge=0,
    )
    schedule: ScheduleName = key(
        "cosine",
        "How the learning rate falls after the warm-up: along a cosine over all steps, or wsd "
        "(warm-up, stable, decay): it stays at its height and falls in a straight line at the end.",
        cost="Nothing.",
        advice="cosine when the length of the run is settled. wsd when it is not: all steps up to "
        "the fall are the same for a longer run (Hu et al. 2024).",
        identity=True,
    )
    decay_ratio: float = key(
        0.2,
        'With schedule = "wsd": the share of all steps in which the learning rate falls. A cosine '
        "does not use it.",
        cost="Nothing. The loss drops fastest in these steps; too few of them and it stays high.",
        advice="0.1 to 0.2; more in runs of a few hundred steps.",
        identity=True,
        gt=0,
        le=1,
    )
    max_steps: int = key(
        100_000,
        "The total steps (updates of the weights) of the run; the schedule spans them. If epochs "
        "is set too, whichever comes first ends the run.",
        cost="Time, in proportion.",
        advice="Try 200 steps first: if the loss does not fall there, more steps will not help.",
        ge=1,
    )
    epochs: int | None = key(
        None,
        "How often the model goes through all of the text. Unset: until max_steps.",
        cost="Time, in proportion. Too many and the model learns the text by heart: the "
        "validation loss rises while the training loss still falls.",
        advice="Up to 4 passes teach almost as much as new text would (Muennighoff et al. 2023); "
        "a few megabytes of text can take 10 to 20.",
        ge=1,
    )
    max_seconds: float | None = key(
        None,
        "How long `llm train` may take until its last step, from its start. A new run measures its "
        "steps and takes as many as fit, with the schedule over them; max_steps still holds.",
        cost="A few steps are taken for the measurement, and then undone.",
        advice="Leave a tenth for the final score and the saving. A resumed run keeps the number "
        "of steps that was decided at its start.",
        gt=0,
    )
    eval_interval: Interval = key(
        1000,
        'Steps between two scores on the validation part, or epochs: "1ep".',
        cost="Each score reads all of the validation part once; the training waits meanwhile.",
        advice="10 to 50 scores in a run show when to stop.",
        validate_default=True,
    )
    save_interval: Interval = key(
        5000,
        'Steps between two checkpoints, or epochs: "5ep".',
        cost="Memory for a copy of weights and optimizer state (about 12 bytes a parameter with "
        "AdamW), which is then written while the training goes on; a crash costs at most this "
        "many steps.",
        advice="What you are willing to lose: ten minutes' worth of steps is a good start.",
        validate_default=True,
    )
    sample_interval: Interval | None = key(
        None,
        'Steps between two samples of what the model writes, or epochs: "1ep". Unset: as often as '
        "eval_interval.",
        cost="A sample takes about as long as it takes to generate generation.max_new_tokens.",
        advice="Leave it unset; samples next to scores are easy to compare.",
    )
    optimizer: Optimizer = key(
        "adamw",
        "The rule that turns gradients into new weights: adamw, adam, sgd, or muon (Jordan et al. "
        "2024), which makes the update of each matrix orthogonal and leaves embeddings, head and "
        "norms to adamw.",
        cost="Memory for weights, gradients and the optimizer's own averages: 16 bytes a "
        "parameter with adamw and adam, at most 12 with sgd, 12 with muon (16 for embeddings and "
        "head). Muon adds five rounds of small matrix products to each step.",
        advice="muon often needs fewer steps for the same loss: compare both on your text, with "
        "the same learning_rate, which muon scales to mean what it means to adamw. Language "
        "models hardly learn with sgd.",
        identity=True,
    )
    weight_decay: float = key(
        0.01,
        "How strongly weights are pulled towards zero, which keeps the model from memorising.",
        cost="No time. Too much and the model stops learning detail.",
        advice="0.01 to 0.1; more when there is little text, less when one epoch is all there is.",
        identity=True,
        ge=0,
        le=10,
    )
    beta1: float = key(
        0.9,
        "How much of the average of past gradients is kept at each step (Adam's beta 1).",
        cost="Nothing.",
        advice="Leave it: 0.9 is used for nearly every model.",
        identity=True,
        ge=0,
        lt=1,
    )
    beta2: float = key(
        0.95,
        "How much of the average of past squared gradients is kept (Adam's beta 2).",
        cost="Nothing.",
        advice="0.95 recovers sooner from a bad batch; 0.99 is steadier with very small batches.",
        identity=True,
        ge=0,
        lt=1,
    )
    gradient_clip: float = key(
        1.0,
        "The greatest length of the whole gradient; a longer one is shortened. 0 switches it off.",
        cost="One pass over the gradients in each step, about a hundredth of its time.",
        advice="Keep 1.0. If grad_norm in the log is nearly always above it, lower the learning "
        "rate instead.",
        identity=True,
        ge=0,
    )
    mixed_precision: bool = key(
        True,
        "Whether multiplications run in 16 bits where the hardware does so natively; weights stay "
        "in 32 bits.",
        cost="16 bits keep two to four digits of a number. They take up to half the memory for "
        "activations, and GPUs made since 2018 compute them several times as fast.",
        advice="Keep it on; switch it off to rule out rounding when a loss behaves oddly.",
        identity=True,
    )
    precision: Precision = key(
        "auto",
        "The arithmetic: fp32 (32 bits), bf16 (mixed, 16 bits with the range of 32), fp16 (mixed, "
        "16 bits with a small range, so that the loss is scaled up: for NVIDIA GPUs made before "
        "2020), or auto: what the hardware is made for if mixed_precision is on, else fp32.",
        cost="fp32 takes up to twice the memory for activations, and longer where 16 bits are "
        "native. With fp16 a step is now and then skipped, when the scale turns out too large.",
        advice="Keep auto; write fp32 to compare runs on different machines.",
        identity=True,
    )
    compile: Compile = key(
        "auto",
        "Whether torch.compile translates the model into code of its own: on, off, or auto: if a "
        "short trial at the start shows that it pays within this run.",
        cost="Half a minute to a few minutes at the start, the first time; the result is kept. "
        "Steps then take less time: a little on a CPU, a third or more on a GPU.",
        advice="Keep auto; write off to look for the cause of an error inside the model.",
    )
    gradient_checkpointing: bool = key(
        False,
        "Whether activations inside a layer are computed again when they are needed instead of "
        "being kept (Chen et al. 2016).",
        cost="A step takes about a third longer. Of the memory for activations, only about one "
        "tensor a layer is left.",
        advice="Switch it on when a batch of 1 does not fit into memory; until then a smaller "
        "batch_size with more gradient_accumulation_steps is faster.",
    )
    seed: int = key(
        42,
        "Where all randomness starts: first weights, order of the text, dropout, samples.",
        cost="Nothing.",
        advice="Run two seeds before you believe a small difference between two settings.",
        identity=True,
        ge=0,
        lt=2**63,
    )
    init: str | None = key(
        None,
        "The model that a new run begins with in place of random weights: a version, a run or a "
        "bundle's folder. The run takes over its shape ([model]) and its tokenizer; the project's "
        "tokenizer stays as it is.",
        cost="Nothing: the weights are read once, at the start.",
        advice="llm train --like v1 --init v1 trains v1 further. For other text than it has seen, "
        "take a third to a tenth of the learning rate it was trained with, and a short warm-up.",
    )
    device: Device = key(
        "auto",
        "Where the model is trained: cpu, cuda (NVIDIA), mps (Apple), or auto: the fastest there "
        "is.",
        cost="A CPU trains models of about 10 million parameters in reasonable time; a GPU is "
        "often ten to a hundred times as fast.",
        advice="Keep auto; write cpu to leave the GPU to something else.",
    )
