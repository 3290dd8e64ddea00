"""NVIDIA's own client reads a driver library that is made for the test: no GPU is needed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import pytest

compiler = shutil.which("cc")
pytestmark = [
    pytest.mark.skipif(compiler is None, reason="there is no C compiler to make a driver with"),
    pytest.mark.skipif(os.name == "nt", reason="there the driver is found in another way"),
    pytest.mark.skipif(
        importlib.util.find_spec("pynvml") is None, reason="nvidia-ml-py is not installed"
    ),
]

# Two cards; the second is one that knows neither its load nor its temperature. GONE: of the first.
DRIVER = """
#define UNSUPPORTED 3
#define LOST 15
#ifndef GONE
#define GONE 0
#endif
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned int gpu, memory; } Use;
static int cards[2] = {0, 1};
int nvmlInitWithFlags(unsigned int flags) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **card) {
  *card = &cards[index]; return 0;
}
int nvmlDeviceGetName(int *card, char *name, unsigned int length) {
  name[0] = 'A' + *card; name[1] = 0; return 0;
}
int nvmlDeviceGetMemoryInfo(int *card, Memory *memory) {
  memory->total = 80000000000ull; memory->used = 1000000000ull * (30 + *card);
  return GONE && *card == 0 ? LOST : 0;
}
int nvmlDeviceGetUtilizationRates(int *card, Use *use) {
  use->gpu = 97; return *card ? UNSUPPORTED : 0;
}
int nvmlDeviceGetTemperature(int *card, int sensor, unsigned int *degrees) {
  *degrees = 71; return *card ? UNSUPPORTED : 0;
}
"""

READ = """
import json
from create_llm_dashboard.system import System
system = System()
system.look(None)
print(json.dumps(system.as_json()[0]["gpus"]))
"""

FIRST = {
    "name": "A",
    "used": 0.97,
    "memory_bytes": 30_000_000_000,
    "memory_total": 80_000_000_000,
    "temperature": 71.0,
}
SECOND = {
    **FIRST,
    "name": "B",
    "used": None,
    "memory_bytes": 31_000_000_000,
    "temperature": None,
}


def read(folder, *options):
    """What the page would show of the machine's GPUs."""
    (folder / "driver.c").write_text(DRIVER)
    library = folder / "libnvidia-ml.so.1"
    command = [compiler, "-shared", "-fPIC", *options, "-o", library, folder / "driver.c"]
    subprocess.run(command, check=True)
    env = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    shown = subprocess.run([sys.executable, "-c", READ], env=env, check=True, capture_output=True)
    return json.loads(shown.stdout)


def test_each_card_is_read_and_what_it_does_not_know_is_left_out(tmp_path):
    assert read(tmp_path) == [FIRST, SECOND]


def test_a_card_that_is_lost_hides_no_other(tmp_path):
    assert read(tmp_path, "-DGONE=1") == [SECOND]
