"""What the core brings: its verbs and an engine, registered as any plugin registers its parts."""

from __future__ import annotations

import keyword

from create_llm.hookspecs import Register, hookimpl

# In the order of a first project; `llm --help` keeps it.
VERBS = (
    ("new", "Make a project folder to train a model in."),
    ("data", "Look at the data and turn it into token shards."),
    ("tokenizer", "Train or inspect a tokenizer."),
    ("train", "Train a model; does whatever is missing first."),
    ("evaluate", "Score a model on text: loss, perplexity, bits per byte."),
    ("generate", "Continue a prompt with a trained model."),
    ("chat", "Talk to a trained model in the terminal."),
    ("compare", "Put models side by side: scores and samples."),
    ("runs", "List and show the runs of a project."),
    ("synth", "Write synthetic text into data/raw."),
    ("import", "Make a model of somebody else's yours: from Hugging Face, or from a folder."),
    ("export", "Write a model for other programs, such as llama.cpp and Ollama."),
    ("deploy", "Publish a model, after showing what that would do."),
    ("plugins", "Find, install, write and test plugins."),
    ("config", "Show, explain and convert the configuration."),
    ("doctor", "Check the installation and say what is wrong."),
)


@hookimpl
def register_engines(register: Register) -> None:
    register(
        "torch",
        "create_llm.models.torch_engine:TorchEngine",
        summary="The model itself, in torch: runs every architecture, on a CPU or a GPU.",
    )


@hookimpl
def register_commands(register: Register) -> None:
    for verb, summary in VERBS:
        module = f"{verb}_" if keyword.iskeyword(verb) else verb
        register(verb, f"create_llm.cli.{module}:command", summary=summary)
