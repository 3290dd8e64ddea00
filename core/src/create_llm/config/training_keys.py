"""The keys of [training]: how the model learns."""

from __future__ import annotations

from typing import Literal

from create_llm.config.keys import SectionModel, key

Optimizer = Literal["adamw", "adam", "sgd"]
Precision = Literal["auto", "fp32", "bf16"]
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
        "Where the schedule ends, as a share of learning_rate: it falls along a cosine.",
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
    eval_interval: int = key(
        1000,
        "Steps between two scores on the validation part.",
        cost="Each score reads all of the validation part once; the training waits meanwhile.",
        advice="10 to 50 scores in a run show when to stop.",
        ge=1,
    )
    save_interval: int = key(
        5000,
        "Steps between two checkpoints.",
        cost="Writing one takes seconds (about 12 bytes a parameter with AdamW) and the training "
        "waits; a crash costs at most this many steps.",
        advice="What you are willing to lose: ten minutes' worth of steps is a good start.",
        ge=1,
    )
    sample_interval: int | None = key(
        None,
        "Steps between two samples of what the model writes. Unset: as often as eval_interval.",
        cost="A sample takes about as long as it takes to generate generation.max_new_tokens.",
        advice="Leave it unset; samples next to scores are easy to compare.",
        ge=1,
    )
    optimizer: Optimizer = key(
        "adamw",
        "The rule that turns gradients into new weights: adamw, adam or sgd.",
        cost="Memory for weights, gradients and the optimizer's own averages: 16 bytes a "
        "parameter with adamw and adam, at most 12 with sgd.",
        advice="Keep adamw: language models hardly learn with sgd.",
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
        "Whether multiplications run in 16 bits (bfloat16) where the hardware does so natively; "
        "weights stay in 32 bits.",
        cost="bfloat16 keeps two to three digits of a number. It takes up to half the memory for "
        "activations, and GPUs made since 2020 compute it several times as fast.",
        advice="Keep it on; switch it off to rule out rounding when a loss behaves oddly.",
        identity=True,
    )
    precision: Precision = key(
        "auto",
        "The arithmetic: fp32 (32 bits), bf16 (mixed, 16 bits), or auto: bf16 if mixed_precision "
        "is on and the hardware has it, else fp32.",
        cost="fp32 takes up to twice the memory for activations, and longer where bf16 is native.",
        advice="Keep auto; write fp32 to compare runs on different machines.",
        identity=True,
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
    device: Device = key(
        "auto",
        "Where the model is trained: cpu, cuda (NVIDIA), mps (Apple), or auto: the fastest there "
        "is.",
        cost="A CPU trains models of about 10 million parameters in reasonable time; a GPU is "
        "often ten to a hundred times as fast.",
        advice="Keep auto; write cpu to leave the GPU to something else.",
    )
