"""Services that refuse, break off, fall silent and send elsewhere, met by the commands that ask."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Sequence

from tests.faults.bench import Bench
from tests.faults.figures import Figures
from tests.network_faults import Case, Outcome, a_model, cases, run


def network(bench: Bench, share: int | None = None) -> Figures:
    """Each fault at each call of each command. `share`: so many of them, drawn by the seed.

    One after the other: a trial runs in this process, which has one environment.
    """
    every = cases()
    figures = Figures("faults of services")
    figures.numbers = {"commands × calls × faults": len(every)}
    with a_model() as model:
        for case in _drawn(bench.rng("network"), every, share):
            folder = bench.folder("network")
            outcome = run(case, folder, model)
            figures.judge(str(case), outcome.wrong)
            figures.counts += _counted(outcome)
            shutil.rmtree(folder)
    return figures.closed()


def _drawn(rng: random.Random, every: Sequence[Case], share: int | None) -> Sequence[Case]:
    return every if share is None else rng.sample(every, share)


def _counted(outcome: Outcome) -> Counter[str]:
    counted = Counter({outcome.ended: 1, f"{outcome.case.client.name}: {outcome.ended}": 1})
    counted["followed to another host, without the key"] = int(outcome.elsewhere > 0)
    counted["the key went to another host, or was shown"] = int(outcome.leaked)
    counted["sent again under its hash, where nobody said that it came"] = outcome.twice
    return counted
