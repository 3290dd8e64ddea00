"""The contracts of callbacks and objectives against planted faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from create_llm.errors import DataError
from create_llm.models.objective import IGNORED, Batch, LossOutput, Objective
from create_llm.testing import CallbackContract, ObjectiveContract
from create_llm.training.callbacks import Callback, Signal


class Notes(Callback):
    """A sound callback: keeps a file of losses in the run's folder."""

    def __init__(self, config):
        self.path = None

    def on_train_start(self, event):
        self.path = Path(event.folder) / "notes.txt"

    def on_step_end(self, event):
        with self.path.open("a") as file:
            file.write(f"{event.loss:.3f}\n")
        return Signal.CHECKPOINT if event.loss < 1 else None


class Next(Objective):
    """A sound objective: the next token."""

    shared = 1

    def window(self, context):
        return context + 1

    def batch(self, samples, seeds):
        longest = max(len(sample.tokens) for sample in samples) - 1
        inputs = torch.zeros((len(samples), longest), dtype=torch.int64)
        labels = torch.full((len(samples), longest), IGNORED)
        for row, sample in enumerate(samples):
            length = len(sample.tokens) - 1
            inputs[row, :length] = torch.tensor(sample.tokens[:-1])
            counted = torch.ones(length, dtype=torch.bool)
            if sample.counted is not None:
                counted = torch.tensor(sample.counted[1:])
            following = torch.tensor(sample.tokens[1:])
            labels[row, :length] = torch.where(counted, following, IGNORED)
        return Batch({"tokens": inputs}, labels, int((labels != IGNORED).sum()))

    def loss(self, output, batch):
        logits = output.logits().flatten(0, 1).float()
        labels = batch.labels.flatten()
        return LossOutput(F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum"))


def test_a_sound_callback_passes(failures):
    assert failures(CallbackContract, Notes) == set()


def test_stumbling_over_nan_is_caught(failures):
    class Stumbles(Notes):
        def on_step_end(self, event):
            int(event.loss)

    assert failures(CallbackContract, Stumbles) == {"survives_numbers_that_are_not_finite"}


def test_stumbling_over_what_is_absent_is_caught(failures):
    class Stumbles(Notes):
        def on_epoch_end(self, event):
            _ = f"{event.val_loss:.2f}"

    found = failures(CallbackContract, Stumbles)
    # Whatever sends all events through it sees it.
    assert "survives_every_event" in found
    assert "survives_numbers_that_are_not_finite" not in found


def test_needing_a_first_step_is_caught(failures):
    class Needs(Notes):
        def on_train_start(self, event):
            super().on_train_start(event)
            self.path.touch()
            self.path.write_text("")

        def on_train_end(self, event):
            self.path.read_text().splitlines()[-1]

    assert "survives_a_run_that_ends_at_once" in failures(CallbackContract, Needs)


def test_formatting_a_failed_run_is_caught(failures):
    class Formats(Notes):
        def on_train_end(self, event):
            _ = f"{event.train_loss:.3f}"

    assert failures(CallbackContract, Formats) == {"survives_a_run_that_ends_at_once"}


def test_needing_a_fresh_folder_is_caught(failures):
    class Fresh(Notes):
        def on_train_start(self, event):
            super().on_train_start(event)
            if event.step:  # a resumed session
                (self.path.parent / "notes.txt").open("x").close()

    assert failures(CallbackContract, Fresh) == {"survives_a_resume"}


def test_giving_up_with_a_peer_is_caught(failures):
    class Solidary(Notes):
        def on_warning(self, event):
            if event.message.endswith("was dropped"):
                raise RuntimeError("me too")

    assert failures(CallbackContract, Solidary) == {"survives_a_failing_peer"}


def test_a_misspelt_handler_is_caught(failures):
    class Misspelt(Notes):
        def on_steps_end(self, event):
            pass

    assert failures(CallbackContract, Misspelt) == {"is_a_callback"}


def test_answering_with_a_word_is_caught(failures):
    class Answers(Notes):
        def on_checkpoint(self, event):
            return "stop"

    assert failures(CallbackContract, Answers) == {"survives_every_event"}


def test_changing_an_event_is_caught(failures):
    class Changes(Notes):
        def on_train_start(self, event):
            super().on_train_start(event)
            event.config["training"]["seed"] = 2

    assert failures(CallbackContract, Changes) == {"leaves_events_as_they_are"}


def test_printing_is_caught(failures):
    class Prints(Notes):
        def on_checkpoint(self, event):
            print("saved")

    assert failures(CallbackContract, Prints) == {"keeps_stdout_clean"}


def test_seeding_the_generators_is_caught(failures):
    class Seeds(Notes):
        def on_train_start(self, event):
            super().on_train_start(event)
            torch.manual_seed(1)

    assert failures(CallbackContract, Seeds) == {"leaves_the_process_as_it_is"}


def test_a_sound_objective_passes(failures):
    assert failures(ObjectiveContract, Next) == set()


def test_a_mean_for_a_sum_is_caught(failures):
    class Mean(Next):
        def loss(self, output, batch):
            return LossOutput(super().loss(output, batch).total / batch.count)

    assert failures(ObjectiveContract, Mean) == {
        "loss_is_accumulation_invariant",
        "batches_are_accumulation_invariant",
    }


def test_a_count_on_the_device_is_caught(failures):
    class Device(Next):
        def batch(self, samples, seeds):
            batch = super().batch(samples, seeds)
            return replace(batch, count=(batch.labels != IGNORED).sum())

    assert failures(ObjectiveContract, Device) == {"count_is_known_before_the_forward"}


def test_counting_the_padding_is_caught(failures):
    class Padding(Next):
        def batch(self, samples, seeds):
            batch = super().batch(samples, seeds)
            return replace(batch, count=batch.labels.numel())

    assert failures(ObjectiveContract, Padding) == {
        "count_is_known_before_the_forward",
        "batches_are_accumulation_invariant",
    }


def shifted(batch, by):
    labels = torch.full_like(batch.labels, IGNORED)
    if by > 0:
        labels[:, :-by] = batch.labels[:, by:]
    else:
        labels[:, -by:] = batch.labels[:, :by]
    return Batch(batch.inputs, labels, int((labels != IGNORED).sum()))


def test_a_second_shift_is_caught(failures):
    class Twice(Next):
        def batch(self, samples, seeds):
            return shifted(super().batch(samples, seeds), 1)

    assert failures(ObjectiveContract, Twice) == {"labels_are_shifted_once"}


def test_no_shift_is_caught(failures):
    class Copies(Next):
        def batch(self, samples, seeds):
            batch = super().batch(samples, seeds)
            labels = torch.where(batch.labels == IGNORED, IGNORED, batch.inputs["tokens"])
            return replace(batch, labels=labels)

    assert failures(ObjectiveContract, Copies) == {
        "labels_are_shifted_once",
        "only_what_counts_is_predicted",
    }


def test_training_on_what_does_not_count_is_caught(failures):
    class Everything(Next):
        def batch(self, samples, seeds):
            return super().batch([replace(sample, counted=None) for sample in samples], seeds)

    assert failures(ObjectiveContract, Everything) == {
        "labels_are_shifted_once",
        "only_what_counts_is_predicted",
    }


def test_cutting_to_the_shortest_is_caught(failures):
    class Cuts(Next):
        def batch(self, samples, seeds):
            shortest = min(len(sample.tokens) for sample in samples)
            cut = [
                replace(
                    sample,
                    tokens=sample.tokens[:shortest],
                    counted=None if sample.counted is None else sample.counted[:shortest],
                )
                for sample in samples
            ]
            return super().batch(cut, seeds)

    assert failures(ObjectiveContract, Cuts) == {"batches_are_accumulation_invariant"}


def test_a_sum_in_half_precision_is_caught(failures):
    class Half(Next):
        def loss(self, output, batch):
            loss = super().loss(output, batch)
            return replace(loss, total=loss.total.to(output.hidden.dtype))

    assert failures(ObjectiveContract, Half) == {"loss_is_a_scalar_in_fp32"}


def test_the_global_generator_is_caught(failures):
    class Global(Next):
        def batch(self, samples, seeds):
            batch = super().batch(samples, seeds)
            dropped = torch.rand(batch.labels.shape) < 0.3
            labels = torch.where(dropped, IGNORED, batch.labels)
            return Batch(batch.inputs, labels, int((labels != IGNORED).sum()))

    assert failures(ObjectiveContract, Global) == {
        "batch_draws_from_seeds_alone",
        "batches_are_accumulation_invariant",
    }


class Draws(Next):
    """Leaves tokens out at random, each sample from its own seed."""

    def batch(self, samples, seeds):
        batch = super().batch(samples, seeds)
        width = batch.labels.shape[1]
        drawn = [np.random.default_rng(seed).random(width) for seed in seeds]
        labels = torch.where(torch.from_numpy(np.stack(drawn)) < 0.3, IGNORED, batch.labels)
        return Batch(batch.inputs, labels, int((labels != IGNORED).sum()))


def test_an_objective_that_draws_from_its_seeds_passes(failures):
    assert failures(ObjectiveContract, Draws) == set()


def test_one_seed_for_the_whole_batch_is_caught(failures):
    class First(Draws):
        def batch(self, samples, seeds):
            return super().batch(samples, [seeds[0] + row for row in range(len(samples))][::-1])

    assert failures(ObjectiveContract, First) == {"batches_are_accumulation_invariant"}


def test_inputs_longer_than_the_context_are_caught(failures):
    class Long(Next):
        def window(self, context):
            return context + 2

    assert failures(ObjectiveContract, Long) == {"batches_fit_the_model"}


def test_a_control_token_taken_for_granted_is_caught(failures):
    class Assumes(Next):
        control_tokens = ("<mask>",)

        def __init__(self, config, tokenizer):
            self.mask = tokenizer.special.named.get("<mask>", 4)

    class Checks(Assumes):
        def __init__(self, config, tokenizer):
            super().__init__(config, tokenizer)
            if "<mask>" not in tokenizer.special.named:
                raise DataError("no <mask>", fixes=("train the tokenizer again",))

    assert failures(ObjectiveContract, Assumes) == {"names_the_control_tokens_that_it_needs"}
    assert failures(ObjectiveContract, Checks) == set()


def test_a_decoder_that_sees_its_labels_is_caught(failures):
    class Peeks(Next):
        def batch(self, samples, seeds):
            batch = super().batch(samples, seeds)
            seen = torch.where(batch.labels == IGNORED, 0, batch.labels)
            return replace(batch, inputs={**batch.inputs, "decoder_tokens": seen})

    assert failures(ObjectiveContract, Peeks) == {"labels_are_shifted_once"}


def test_a_prompt_without_a_batch_is_caught(failures):
    class Flat(Next):
        def prompt(self, tokens):
            return {"tokens": torch.tensor(tokens)}

    assert failures(ObjectiveContract, Flat) == {"is_an_objective"}


def test_gradients_from_padding_are_caught(failures):
    class Pulls(Next):
        def loss(self, output, batch):
            loss = super().loss(output, batch)
            idle = batch.labels == IGNORED
            return replace(loss, total=loss.total + 1e-3 * output.hidden[idle].float().sum())

    assert "gradients_come_from_counted_places_alone" in failures(ObjectiveContract, Pulls)


def test_writing_into_the_shards_is_caught(failures):
    class Writes(Next):
        def batch(self, samples, seeds):
            np.asarray(samples[0].tokens)[0] = 0
            return super().batch(samples, seeds)

    assert "batch_is_of_integers_row_by_row" in failures(ObjectiveContract, Writes)


class Guess(Objective):
    """A sound objective that guesses in place: every third token, another third each time."""

    def batch(self, samples, seeds):
        longest = max(len(sample.tokens) for sample in samples)
        inputs = torch.zeros((len(samples), longest), dtype=torch.int64)
        labels = torch.full((len(samples), longest), IGNORED)
        for row, (sample, seed) in enumerate(zip(samples, seeds, strict=True)):
            length = len(sample.tokens)
            tokens = torch.tensor(sample.tokens)
            chosen = self.chosen(length, seed)
            if sample.counted is not None:
                chosen = chosen & torch.tensor(sample.counted)
            inputs[row, :length] = self.hidden(tokens, chosen)
            labels[row, :length] = torch.where(chosen, tokens, IGNORED)
        return Batch({"tokens": inputs}, labels, int((labels != IGNORED).sum()))

    def chosen(self, length, seed):
        return torch.arange(length) % 3 == np.random.default_rng(seed).integers(3)

    def hidden(self, tokens, chosen):
        return torch.where(chosen, 4, tokens)

    loss = Next.loss


def test_an_objective_that_guesses_in_place_passes(failures):
    assert failures(ObjectiveContract, Guess) == set()


def test_leaving_the_answer_in_sight_is_caught(failures):
    class Shows(Guess):
        def hidden(self, tokens, chosen):
            return torch.where(chosen & (torch.arange(len(tokens)) % 2 == 5), 4, tokens)

    assert failures(ObjectiveContract, Shows) == {"what_is_to_be_guessed_is_hidden"}


def test_hiding_the_same_each_time_is_caught(failures):
    class Same(Guess):
        def chosen(self, length, seed):
            return torch.arange(length) % 3 == 1

    assert failures(ObjectiveContract, Same) == {"what_is_to_be_guessed_is_hidden"}


def test_guessing_what_does_not_count_is_caught(failures):
    class All(Guess):
        def batch(self, samples, seeds):
            return super().batch([replace(sample, counted=None) for sample in samples], seeds)

    assert failures(ObjectiveContract, All) == {"only_what_counts_is_predicted"}
