"""The harness itself on local tasks; its figures against transformers on the same bundle."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

pytestmark = pytest.mark.slow

TASKS = Path(__file__).with_name("tasks")
MAIN = "from create_llm.cli import main; main()"
CONTEXT = 24

Run = Callable[..., subprocess.CompletedProcess[str]]


def rows(task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (TASKS / f"{task}.jsonl").read_text("utf-8").splitlines()]


class Peer:
    """The bundle as transformers reads it, and the harness's definitions written out."""

    def __init__(self, bundle: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(bundle)
        self.model = AutoModelForCausalLM.from_pretrained(bundle).eval()

    def ids(self, text: str) -> list[int]:
        encoded: list[int] = self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=True
        )["input_ids"]
        return encoded

    @torch.inference_mode()
    def logprob(self, context: list[int], rest: list[int]) -> float:
        """Window by window, where the rest has more tokens than the model reads."""
        total, whole = 0.0, [*context, *rest]
        for start in range(len(context), len(whole), CONTEXT):
            end = min(start + CONTEXT, len(whole))
            inputs = whole[max(end - 1 - CONTEXT, 0) : end - 1]
            table = self.model(torch.tensor([inputs])).logits[0].double().log_softmax(-1)
            total += sum(float(table[n, whole[end + n]]) for n in range(start - end, 0))
        return total

    def behind(self, context: str, rest: str) -> float:
        return self.logprob(self.ids(context), self.ids(context + rest)[len(self.ids(context)) :])

    def of_text(self, text: str) -> float:
        return self.logprob([self.tokenizer.eos_token_id], self.ids(text))

    @torch.inference_mode()
    def written(self, context: str, stop: str) -> str:
        """Greedy, a token at a time, reading the last half anew when the context is full."""
        ids, window = [], self.ids(context)[-(CONTEXT - 1) :]
        for _ in range(30):
            token = int(self.model(torch.tensor([window])).logits[0, -1].argmax())
            ids.append(token)
            text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
            if stop in text or token == self.tokenizer.eos_token_id:
                return text.partition(stop)[0]
            window = [*window, token]
            if len(window) > CONTEXT - 1:
                window = window[-(CONTEXT // 2) :]
        return text


@pytest.fixture(scope="module")
def peer(bundle: Path) -> Peer:
    return Peer(bundle)


@pytest.fixture(scope="module")
def run(harness: Path, offline: dict[str, str]) -> Run:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [harness, *arguments],
            cwd=TASKS,
            env=offline,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


def choice(scores: list[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)


def test_from_the_harness_side(run: Run, bundle: Path, peer: Peer, tmp_path: Path) -> None:
    """Each likelihood and each text that the harness's own command line received."""
    done = run(
        *("-m", "create_llm_lm_eval", "--model", "create_llm", "--model_args", f"path={bundle}"),
        *("--include_path", ".", "--tasks", "eats,stories,goes_on", "--batch_size", "2"),
        *("--log_samples", "--output_path", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    samples = {
        file.name.split("_2")[0].removeprefix("samples_"): [
            json.loads(line) for line in file.read_text("utf-8").splitlines()
        ]
        for file in tmp_path.rglob("samples_*.jsonl")
    }
    for sample in samples["eats"]:
        doc = sample["doc"]
        there = [peer.behind(f"the {doc['animal']} eats", f" {food}") for food in doc["foods"]]
        here = [float(resp[0][0]) for resp in sample["resps"]]
        assert here == pytest.approx(there, abs=1e-3)
        assert sample["acc"] == (choice(there) == doc["food"])
    for sample in samples["stories"]:
        text = sample["doc"]["text"]
        assert float(sample["resps"][0][0]) == pytest.approx(peer.of_text(text), abs=2e-3)
    assert len(samples["goes_on"]) == 3
    for sample in samples["goes_on"]:
        assert sample["resps"][0][0] == peer.written(sample["doc"]["text"], ".")


def test_from_our_side(run: Run, bundle: Path, peer: Peer) -> None:
    """`llm lm-eval`: one JSON object, the figures, and a report that stays."""
    project = bundle.parents[1]
    tasks = f"eats,{TASKS / 'stories.yaml'}"
    done = run(
        *("-c", MAIN, "-C", str(project), "lm-eval", "--tasks", tasks),
        *("--include-path", str(TASKS), "--json"),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    right = [
        choice([peer.behind(f"the {row['animal']} eats", f" {food}") for food in row["foods"]])
        == row["food"]
        for row in rows("eats")
    ]
    assert told["results"]["eats"]["acc,none"] == sum(right) / len(right)
    texts = [row["text"] for row in rows("stories")]
    bits = -sum(map(peer.of_text, texts)) / math.log(2)
    size = sum(len(text.encode()) for text in texts)
    assert told["results"]["stories"]["bits_per_byte,none"] == pytest.approx(bits / size, rel=1e-4)
    kept = json.loads(Path(told["report"]).read_text("utf-8"))
    assert kept["results"]["eats"] == told["results"]["eats"]
    assert kept["config"]["model_path"] == str(bundle)
    lines = (project / "logs" / "evaluations.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[-1])["report"] == told["report"]


def test_mistakes_in_plain_words(run: Run, bundle: Path) -> None:
    done = run("-c", MAIN, "lm-eval", str(bundle), "--tasks", "eat", "--include-path", ".")
    assert done.returncode == 2
    assert "the harness has no task 'eat'" in done.stderr
    assert "did you mean 'eats'?" in done.stderr
    done = run(
        *("-m", "create_llm_lm_eval", "--model", "create_llm", "--model_args", f"path={bundle}"),
        *("--include_path", ".", "--tasks", "eats", "--apply_chat_template"),
    )
    assert done.returncode == 2
    assert "chat templates are not applied" in done.stderr
    assert "Traceback" not in done.stderr
