"""A T5 that was trained for a few steps, in each verb that uses a model."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from tests.journey import flags, llm, sentences, start_llm

from create_llm.kernel.plugins import default_plugins

REGISTRY = default_plugins().registry
SMALL = {
    "model.layers": 1,
    "model.heads": 2,
    "model.dim": 16,
    "tokenizer.vocab_size": 400,
    "training.batch_size": 2,
    "training.gradient_accumulation_steps": 1,
    "generation.max_new_tokens": 4,
}
OF_NO_FAMILY = "takes models of the families qwen3, llama, gpt2 from here, and not 't5'"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("t5")
    llm(root, "new", "p", "--template", "t5", "--yes")
    (root / "p" / "data" / "raw" / "a.txt").write_text(sentences(200), encoding="utf-8")
    llm(root / "p", "train", "--max-seq-length", 32, "--max-steps", 4, *flags(SMALL))
    return root / "p"


def needs(kind: str, name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(name not in REGISTRY.names(kind), reason=f"{name} is not installed")


def test_generate_writes_several_and_past_what_it_reads_at_once(project: Path) -> None:
    words = ("generate", "--prompt", "Ada", "--prompt", "Bo sees the moon", "--seed", 1, "--json")
    results = json.loads(llm(project, *words, "--max-new-tokens", 60).stdout)["results"]
    assert [result["prompt"] for result in results] == ["Ada", "Bo sees the moon"]
    assert all(result["tokens"] for result in results)
    again = json.loads(llm(project, *words, "--max-new-tokens", 60).stdout)["results"]
    assert [result["text"] for result in again] == [result["text"] for result in results]
    told = llm(project, "generate", "--prompt", "Ada " * 60, code=2).stderr
    assert "the model reads 30 at once" in told


def test_evaluate_scores_what_it_predicts_and_no_bits_per_byte(project: Path) -> None:
    scored = json.loads(llm(project, "evaluate", "--json").stdout)
    assert scored["loss"] > 0
    assert scored["bits_per_byte"] is None
    told = llm(project, "evaluate", "--stride", 500, code=2).stderr
    assert "the stride must be from 1 to 34 for this model" in told


def test_chat_answers_and_says_that_it_learnt_no_conversations(project: Path) -> None:
    (project / "lines.txt").write_text("Hello\nWho?\n", encoding="utf-8")
    with (project / "lines.txt").open() as pipe:
        done = llm(project, "chat", "--json", stdin=pipe)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["prompt"] for answer in answers] == ["Hello", "Who?"]
    assert "no chat template" in done.stderr


def test_compare_puts_two_side_by_side(project: Path) -> None:
    words = ("compare", "v1", project / "models" / "v1", "--prompt", "Ada", "--json")
    told = json.loads(llm(project, *words).stdout)
    assert [model["bits_per_byte"] for model in told["models"]] == [None, None]
    assert all(model["loss"] > 0 for model in told["models"])


@needs("commands", "serve")
def test_serve_completes_texts_and_conversations(project: Path) -> None:
    with start_llm(project, "serve", "--port", 0, "--json") as server:
        try:
            url = json.loads(server.stdout.readline())["url"]
            two = posted(f"{url}/completions", {"prompt": ["Ada", "Bo sees"]})
            turn = {"role": "user", "content": "Ada"}
            talk = posted(f"{url}/chat/completions", {"messages": [turn]})
        finally:
            server.terminate()
            server.communicate(timeout=60)
    assert len(two["choices"]) == 2
    assert two["usage"]["completion_tokens"] > 0
    assert talk["choices"][0]["message"]["role"] == "assistant"


def posted(url: str, request: dict[str, object]) -> dict[str, dict[str, int] | list[object]]:
    body = json.dumps({"model": "v1", "max_tokens": 5, "seed": 1, **request}).encode()
    asked = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


@needs("exporters", "hf")
def test_export_writes_what_transformers_knows(project: Path) -> None:
    assert "T5ForConditionalGeneration" in llm(project, "export", "v1", "--to", "hf").stderr
    folder = project / "exports" / "v1-hf"
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"] == "t5"
    assert (folder / "model.safetensors").stat().st_size > 4 * 22_000


@needs("exporters", "gguf")
@pytest.mark.parametrize("target", ["gguf", "ollama", "lmstudio"])
def test_llama_cpp_s_forms_are_refused(project: Path, target: str) -> None:
    told = llm(project, "export", "v1", "--to", target, code=2).stderr
    assert OF_NO_FAMILY in told
    assert "try: export it for transformers: --to hf" in told


@needs("engines", "llamacpp")
@pytest.mark.parametrize("verb", [("generate", "--prompt", "Ada"), ("chat",), ("serve",)])
def test_the_engine_llamacpp_refuses_it(project: Path, verb: tuple[str, ...]) -> None:
    told = llm(project, *verb, "--engine", "llamacpp", code=2).stderr
    assert OF_NO_FAMILY in told
    assert "try: run it in torch: --engine torch" in told
