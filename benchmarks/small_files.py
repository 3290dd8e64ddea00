"""What very many small files cost: `llm data check` and `llm data prepare`, seconds and memory.

    python benchmarks/small_files.py [--files 10000 1000000] [--folder DIR]

Writes files of some hundred bytes, a thousand in each folder, into a temporary folder (a million
take 4 GB of disk, for each occupies a block), and runs the two commands in processes of their own,
with a tokenizer that needs no training. One JSON line for each: seconds, the most memory that the
process held, how often a folder was listed and a file opened. The folder is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIG = """
[project]
template = "nano"
[data]
source = "text"
[tokenizer]
name = "byte"
"""
COMMANDS = {
    "check": ["data", "check", "--json"],
    "prepare": ["data", "prepare", "--json", "--set", "data.workers=1"],
    "prepare, unchanged": ["data", "prepare", "--json", "--set", "data.workers=1"],
}
IN_A_FOLDER = 1_000
# In the measured process: what the interpreter itself says of files and folders, and its peak.
COUNTED = """
import collections, json, os, resource, sys, time
counts = collections.Counter()
def heard(event, arguments):
    if event == "os.scandir" or (event == "open" and sys.argv[1] in str(arguments[0])):
        counts[event] += 1
sys.addaudithook(heard)
from create_llm.cli import main
started = time.perf_counter()
try:
    main(sys.argv[2:])
except SystemExit as ended:
    assert not ended.code, ended.code
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
unit = 1 if sys.platform == "darwin" else 1024
told = {"seconds": round(time.perf_counter() - started, 1), "peak_rss_mb": peak * unit // 10**6}
told |= {"folders_listed": counts["os.scandir"], "files_opened": counts["open"]}
print(json.dumps(told), file=sys.stderr)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, nargs="+", default=[10_000])
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    arguments = parser.parse_args()
    for count in arguments.files:
        with tempfile.TemporaryDirectory(prefix="create-llm-bench-", dir=arguments.folder) as root:
            write_files(Path(root), count)
            for name, command in COMMANDS.items():
                measured = measure(Path(root), command)
                print(json.dumps({"files": count, "command": name, **measured}), flush=True)


def write_files(root: Path, count: int) -> None:
    """Each with a text of its own."""
    (root / "llm.toml").write_text(CONFIG)
    for number in range(count):
        folder = root / "data" / "raw" / f"{number // IN_A_FOLDER:04d}"
        if number % IN_A_FOLDER == 0:
            folder.mkdir(parents=True)
        line = f"File {number} holds these few words and nothing more, {number * 7919 % 9973}.\n"
        (folder / f"{number % IN_A_FOLDER:04d}.txt").write_text(line * 2)


def measure(root: Path, command: list[str]) -> dict[str, float]:
    """Run a command in the project of `root`."""
    raw = str(root / "data" / "raw")
    ended = subprocess.run(
        [sys.executable, "-c", COUNTED, raw, "-C", str(root), *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(ended.stderr.splitlines()[-1])
    return measured


if __name__ == "__main__":
    main()
