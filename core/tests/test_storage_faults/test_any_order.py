"""The checkpoint store against a model of it: any order of what can happen to one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from storage_faulty_disk import LIMIT, FaultyDisk, Killed, hidden, open_store, save, valid

from create_llm.errors import DataError
from create_llm.storage.durable import verify


class StoreMachine(RuleBasedStateMachine):
    """Save, kill, rotate, mark, damage and reopen, in any order, against a model."""

    @initialize()
    def start(self):
        self.root = Path(tempfile.mkdtemp())
        self.step, self.good, self.best, self.unsure = 0, set(), None, set()
        self.reopen()

    def reopen(self):
        self.disk = FaultyDisk()
        self.store = open_store(self.root / "run", self.disk)
        if self.store.folder.is_dir():
            assert hidden(self.store.folder) == []

    def attempt(self, action, kill):
        """Whether it got through; else the process was killed at its `kill`-th operation."""
        self.disk.bad, self.disk.fault = [len(self.disk.log) + kill], Killed
        try:
            action()
        except Killed:
            self.reopen()
            return False
        self.disk.bad = []
        return True

    kill_at = st.one_of(st.just(10_000), st.integers(0, 40))

    @rule(kill=kill_at)
    def save(self, kill):
        self.step += 1
        if self.attempt(lambda: save(self.store, self.step), kill):
            self.good.add(self.step)
        else:
            self.good |= {self.step} & set(valid(self.store))

    @rule(kill=kill_at, data=st.data())
    def save_again(self, kill, data):
        if self.good:
            step = data.draw(st.sampled_from(sorted(self.good)))
            self.attempt(lambda: save(self.store, step), kill)

    @rule(kill=kill_at, data=st.data())
    def mark(self, kill, data):
        if not self.good:
            return
        step = data.draw(st.sampled_from(sorted(self.good)))
        if self.attempt(lambda: self.store.mark("best", step, {}), kill):
            self.best = step
        else:
            now = self.store.marked("best").get("step")
            assert now in (self.best, step)
            self.best = now

    @rule(kill=kill_at)
    def rotate(self, kill):
        keep = set(sorted(self.good)[-LIMIT:])
        try:
            through = self.attempt(self.store.rotate, kill)
        except DataError:
            keep, through = self.good, False
        left = set(valid(self.store))
        assert keep <= left <= self.good
        if through and len(self.store.steps()) > LIMIT and len(self.good) >= LIMIT:
            assert left == keep
        self.good = left

    @rule(data=st.data())
    def damage(self, data):
        if self.good:
            step = data.draw(st.sampled_from(sorted(self.good)))
            (self.store.path(step) / "state.json").unlink()
            self.good.remove(step)

    @rule()
    def open_again(self):
        self.reopen()

    @invariant()
    def nothing_is_lost(self):
        if not hasattr(self, "store"):
            return
        assert set(valid(self.store)) == self.good
        assert self.store.newest_valid(lambda error: None) == max(self.good, default=None)
        assert self.store.marked("best").get("step") == self.best
        if self.best is not None:
            verify(self.store.folder / "best")

    def teardown(self):
        if hasattr(self, "root"):
            shutil.rmtree(self.root)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
