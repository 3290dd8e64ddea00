"""What benchmarks/throughput.py counts; how fast anything is, no test says."""

import importlib
import os
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SILENT = "import sys; sys.exit('no such option')"
REPORT = """\
import os, sys
from workload import Run
assert sys.argv[1:5] == ["--warmup", "1", "--steps", "2"]
print("a line before it")
Run([2.0, 4.0], 7, "fp32", os.environ.get("MALLOC_ARENA_MAX", "unset")).report()
"""


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS))
    return importlib.import_module


@pytest.mark.parametrize("form", ["gpt2", "qwen3"])
def test_the_operations_counted_are_those_that_the_architecture_counts(module, form):
    from create_llm.models.architecture import count_parameters
    from create_llm_gpt.architecture import GPT
    from create_llm_gpt.config import GPTConfig

    child = module("create_llm_train")
    shape = child.SHAPES[form]
    settings = child.settings(form, shape)
    keys = {"form", "layers", "heads", "dim", "ffn_dim", "max_length", "dropout"}
    config = GPTConfig(**{key: settings[f"model.{key}"] for key in keys})

    counted = GPT().flops(config, shape.vocabulary, shape.context)
    assert shape.flops_per_token == pytest.approx(counted, rel=0.02)
    assert child.parameters(form, shape) == count_parameters(GPT(), config, shape.vocabulary)


def test_both_forms_do_about_the_same_work(module):
    workload = module("workload")
    assert workload.QWEN3.flops_per_token == pytest.approx(workload.GPT2.flops_per_token, rel=0.02)
    # 6 x (4 layers x 12 x 256² + 10,000 x 256) + 6 x 4 x 256 x 512
    assert workload.GPT2.flops_per_token == 37_380_096


def test_every_setting_of_our_own_contender_is_a_key(module, tmp_path, llm):
    child = module("create_llm_train")
    (tmp_path / "llm.toml").write_text('[project]\ntemplate = "nano"\n')
    settings = child.settings("gpt2", child.GPT2)
    flags = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    shown = llm("config", "show", *flags, "--json", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr


def test_the_plain_loop_computes_what_the_fused_kernel_does(module):
    import torch

    loop, workload = module("plain_loop"), module("workload")
    shape = workload.Workload(2, 2, 16, 64, vocabulary=50, context=12, batch=3)
    torch.manual_seed(0)
    model = loop.Model(shape, "matmul")
    assert all(parameter.abs().sum() > 0 for parameter in model.parameters() if parameter.ndim > 1)
    inputs, labels = loop.draw(torch.randint(50, (100,)), shape)
    assert torch.equal(inputs[:, 1:], labels[:, :-1])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)  # scores that differ enough for a wrong mask to show
    loss = model(inputs, labels)
    for block in model.blocks:
        block.attention = "sdpa"
    assert model(inputs, labels).item() == pytest.approx(loss.item(), rel=1e-5)
    assert model.tokens.weight.shape == (50, 16)


def test_the_clock_counts_from_end_to_end_after_the_warm_up(module, monkeypatch):
    workload = module("workload")
    ends = iter([1.0, 11.0, 13.0, 16.0])
    monkeypatch.setattr(workload.time, "perf_counter", lambda: next(ends))
    clock = workload.StepClock(warmup=2)
    for _ in range(4):
        clock.step_ended()
    assert clock.seconds == [2.0, 3.0]


def test_a_contender_runs_apart_and_with_the_allocator_at_its_default(
    module, tmp_path, monkeypatch
):
    contenders = module("contenders")
    (tmp_path / "child.py").write_text(REPORT)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    child = str(tmp_path / "child.py")

    finished = contenders.run_contender(contenders.Contender("x", child), 1, 2)
    assert finished.run.note == "unset"
    assert finished.peak_rss_bytes > 1_000_000
    tuned = contenders.Contender("x", child, environment={"MALLOC_ARENA_MAX": "3"})
    assert contenders.run_contender(tuned, 1, 2).run.note == "3"
    assert os.environ["MALLOC_ARENA_MAX"] == "1"


def test_figures_follow_from_the_median_step(module):
    throughput, contenders, workload = (
        module("throughput"),
        module("contenders"),
        module("workload"),
    )
    rounds = [[1.0, 2.0, 2.0], [2.0, 9.0, 2.0]]
    results = throughput.Results(contenders.Contender("create-llm", "child.py"))
    for seconds in rounds:
        run = workload.Run(seconds, 7, "bf16")
        results.finished.append(contenders.Finished(run, 5_000_000))

    line = throughput.as_line(results, peak=400.0)
    assert line["tokens_per_second"] == 4096.0
    assert line["gflops"] == pytest.approx(4096 * 37_380_096 / 1e9, abs=0.1)
    assert line["share_of_peak"] == pytest.approx(4096 * 37_380_096 / 400e9, abs=1e-4)
    assert line["by_round"] == [4096.0, 4096.0]
    assert (line["steps"], line["peak_rss_mb"]) == (6, 5)
    slower = {**line, "name": "slower", "tokens_per_second": 2048.0}
    assert "2.00 ×" in throughput.table([line, slower], 400.0).splitlines()[2]


def test_a_contender_that_fails_says_why_and_has_no_figures(module, tmp_path):
    throughput, contenders = module("throughput"), module("contenders")
    (tmp_path / "child.py").write_text(SILENT)
    results = throughput.Results(contenders.Contender("x", str(tmp_path / "child.py")))
    throughput._run_round(results, 1, 2)
    assert throughput.as_line(results, peak=400.0) == {
        "name": "x",
        "error": "no such option",
        "about": "",
    }


def test_bursts_with_a_callback_are_compared_with_their_neighbours(module):
    callbacks, turns = module("callbacks"), module("callback_turns")
    order = turns._order(40)[:-1]
    assert sum(order) == 20
    assert all(sum(pair) == 1 for pair in zip(order[::2], order[1::2], strict=True))
    # A machine that gets slower and slower, and a callback that costs a tenth.
    bursts = [(turn, (1.0 + turn / 10) * 2 ** (i // 2), 0.0) for i, turn in enumerate(order)]
    assert callbacks.ratios_of(bursts, clock=1) == pytest.approx([1.1] * 20)
    assert callbacks.bounds([float(i) for i in range(100)]) == (40, 59)
    assert callbacks.bounds([1.0, 2.0, 3.0]) == (1.0, 3.0)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["none", "tensorboard"])
def test_a_training_with_a_callback_in_turns_is_measured(module, tmp_path, case):
    callbacks, child = module("callbacks"), module("create_llm_train")
    told = callbacks.run(child.make_project(tmp_path), case, pairs=2)
    assert [turn for turn, _, _ in told["bursts"]].count(True) == 2
    figures = callbacks.figures(told)
    assert figures["pairs"] == 2
    assert figures["low"] <= figures["ratio"] <= figures["high"]
    (written,) = [*(tmp_path / "project" / "logs").glob("*/tensorboard")] or [None]
    assert (written is None) is (case == "none")
