"""The loop: resuming, stopping, equality across devices and microbatches, and what it refuses."""

import json
import shutil

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

from instruct_jax.artifacts import checkpoint
from instruct_jax.core.mesh import AXES, make_mesh
from instruct_jax.data.source import DatasetSource
from instruct_jax.errors import InputError
from instruct_jax.model.loading import DecoderSource, load_model
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.objectives.supervised import CrossEntropy
from instruct_jax.train import optimizer
from instruct_jax.train.loop import train

SPEC = DecoderSpec(embed=16, layers=2, heads=4, kv_heads=2, head_dim=4, mlp=32)
TIMINGS = ("tokens_per_second", "supervised_tokens_per_second", "step_seconds", "eta_seconds")


def one_device():
    return jax.make_mesh((1,) * len(AXES), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=jax.devices()[:1])


def run(workdir, dataset, steps=6, mesh=None, rows=8, optimise=optimizer.adamw, source=None, model=None, **settings):
    schedule = optimizer.warmup_cosine(1e-2, 20, warmup=2)
    train(
        workdir,
        model or DecoderSource(SPEC),
        source or DatasetSource(dataset, rows),
        CrossEntropy(z_loss=1e-4),
        optimise(schedule),
        schedule,
        mesh or one_device(),
        steps,
        **settings,
    )
    return metrics(workdir)


def metrics(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMINGS} for row in rows]


def assert_same_course(found, wanted):
    """Step by step the same losses, norms and batches, to rounding; and no drift on average."""
    assert [row["batch_crc"] for row in found] == [row["batch_crc"] for row in wanted]
    for name, tolerance in (("loss", 1e-5), ("grad_norm", 1e-4)):
        values = np.array([[row[name] for row in rows] for rows in (found, wanted)])
        np.testing.assert_allclose(values[0], values[1], rtol=tolerance)
        assert abs((values[0] / values[1] - 1).mean()) < tolerance / 3


def test_six_steps_equal_three_a_stop_and_three_more(tmp_path, make_dataset):
    dataset = make_dataset("resume")
    whole = run(tmp_path / "whole", dataset)
    run(tmp_path / "parts", dataset, steps=3)
    parts = run(tmp_path / "parts", dataset)
    assert [row["step"] for row in whole] == list(range(6))
    assert parts == whole
    assert all(row["recompiles"] == 0 for row in whole)


def test_evaluations_survive_a_stop_and_a_repeated_command(tmp_path, make_dataset):
    dataset = make_dataset("resume")

    def counting(step, model):
        return {"norm": float(np.abs(model().embedding[...]).sum()), "step": step}

    settings = {"evaluators": {"embedding": counting}, "eval_every": 2, "save_every": 2}
    whole = run(tmp_path / "whole", dataset, **settings)
    run(tmp_path / "parts", dataset, steps=4, **settings)
    run(tmp_path / "parts", dataset, **settings)
    assert [row["step"] for row in whole if "embedding/norm" in row] == [0, 2, 4, 6]
    assert metrics(tmp_path / "parts") == whole
    run(tmp_path / "parts", dataset, **settings)
    assert metrics(tmp_path / "parts") == whole


def test_a_run_beyond_the_steps_asked_for_says_so(tmp_path, make_dataset):
    dataset = make_dataset("resume")
    run(tmp_path, dataset, steps=2)
    with pytest.raises(InputError, match="is at step 2 already, beyond 1"):
        run(tmp_path, dataset, steps=1)


def test_a_corrected_start_may_use_the_folder_of_a_refused_one(tmp_path, make_dataset):
    dataset = make_dataset("resume")
    with pytest.raises(InputError, match="there is no checkpoint at"):
        run(tmp_path / "run", dataset, steps=1, init_from=tmp_path / "nowhere")
    assert len(run(tmp_path / "run", dataset, steps=1)) == 1


def test_a_resumed_run_no_longer_needs_what_it_started_from(tmp_path, make_dataset):
    dataset = make_dataset("resume")
    run(tmp_path / "base", dataset, steps=1)
    run(tmp_path / "tuned", dataset, steps=1, init_from=tmp_path / "base")
    shutil.rmtree(tmp_path / "base")
    assert len(run(tmp_path / "tuned", dataset, steps=2, init_from=tmp_path / "base")) == 2


def test_another_optimiser_is_refused(tmp_path, make_dataset):
    dataset = make_dataset("resume")
    run(tmp_path, dataset, steps=1)
    with pytest.raises(InputError, match="holds another run: optimiser is"):
        run(tmp_path, dataset, steps=2, optimise=optimizer.adafactor)


def test_a_broken_state_is_named(tmp_path, make_dataset):
    dataset = make_dataset("resume")
    run(tmp_path, dataset, steps=1)
    for file in (tmp_path / "checkpoints" / "1").rglob("*"):
        if file.is_file() and file.stat().st_size > 500:
            file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"checkpoints/1.* cannot be read"):
        run(tmp_path, dataset, steps=2)


def test_rows_that_devices_cannot_share_are_refused(tmp_path, make_dataset):
    with pytest.raises(InputError, match="6 rows cannot be shared by data x fsdp x expert = 8 devices"):
        run(tmp_path, make_dataset("resume"), steps=1, rows=6, mesh=make_mesh())


def test_rows_logged_beyond_the_saved_state_are_replaced_on_resume(tmp_path, make_dataset):
    dataset = make_dataset("resume")
    whole = run(tmp_path / "run", dataset)
    with open(tmp_path / "run" / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 7, "loss": 9.9}\n{"step": 8, "lo')
    assert run(tmp_path / "run", dataset, steps=6) == whole


def test_loss_falls(tmp_path, make_dataset):
    rows = run(tmp_path / "run", make_dataset("falls", documents=12), steps=20)
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.5


@pytest.fixture(scope="module")
def one_device_rows(tmp_path_factory, make_dataset):
    """The log of three steps on one device, in one microbatch: what every other layout must repeat."""
    return run(tmp_path_factory.mktemp("one"), make_dataset("layouts"), steps=3)


@pytest.mark.parametrize(
    "sizes", [{"data": 8}, {"data": 1, "fsdp": 8}, {"data": 4, "tensor": 2}, {"data": 2, "fsdp": 2, "tensor": 2}]
)
def test_one_device_equals_eight(tmp_path, make_dataset, one_device_rows, sizes):
    eight = run(tmp_path, make_dataset("layouts"), steps=3, mesh=make_mesh(**sizes))
    assert_same_course(eight, one_device_rows)


def test_one_device_equals_eight_under_adafactor(tmp_path, make_dataset):
    dataset = make_dataset("layouts")
    one = run(tmp_path / "one", dataset, steps=3, optimise=optimizer.adafactor)
    eight = run(tmp_path / "eight", dataset, steps=3, mesh=make_mesh(data=2, fsdp=2, tensor=2), optimise=optimizer.adafactor)
    assert_same_course(eight, one)


@pytest.mark.parametrize("microbatches", [2, 4, 8])
def test_microbatches_equal_one_batch(tmp_path, make_dataset, one_device_rows, microbatches):
    assert_same_course(run(tmp_path, make_dataset("layouts"), steps=3, microbatches=microbatches), one_device_rows)


def test_a_checkpoint_of_one_mesh_resumes_on_another(tmp_path, make_dataset):
    dataset = make_dataset("remesh")
    whole = run(tmp_path / "whole", dataset)
    run(tmp_path / "moved", dataset, steps=3, mesh=make_mesh(data=2, fsdp=2, tensor=2))
    moved = run(tmp_path / "moved", dataset)
    assert [row["batch_crc"] for row in moved] == [row["batch_crc"] for row in whole]
    np.testing.assert_allclose([row["loss"] for row in moved], [row["loss"] for row in whole], rtol=1e-5)


def test_init_from_starts_with_those_parameters_at_step_zero(tmp_path, make_dataset):
    dataset = make_dataset("init")
    run(tmp_path / "base", dataset, steps=4)
    run(tmp_path / "tuned", dataset, steps=0, init_from=tmp_path / "base")
    base, tuned = load_model(tmp_path / "base"), load_model(tmp_path / "tuned")
    assert (base.step, tuned.step) == (4, 0)
    assert jax.tree.all(jax.tree.map(np.array_equal, *(jax.tree.leaves(one.model) for one in (base, tuned))))


def test_frozen_parameters_do_not_move(tmp_path, make_dataset):
    dataset = make_dataset("freeze")
    run(tmp_path / "base", dataset, steps=1)
    model = DecoderSource(SPEC, freeze=("embedding", "layers/attention"))
    run(tmp_path / "tuned", dataset, steps=3, init_from=tmp_path / "base", model=model)
    base, tuned = (load_model(tmp_path / name).model for name in ("base", "tuned"))
    assert np.array_equal(base.embedding[...], tuned.embedding[...])
    assert np.array_equal(base.layers.attention.query.kernel[...], tuned.layers.attention.query.kernel[...])
    assert not np.array_equal(base.layers.mlp.up.kernel[...], tuned.layers.mlp.up.kernel[...])


class Poisoned(DatasetSource):
    """A source whose third batch carries an infinite weight."""

    def __call__(self, step, model=None):
        batch = super().__call__(step, model)
        if step == 2:
            batch.weights[0, 1:] = np.inf
        return batch


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_rows(tmp_path, make_dataset, capfd):
    dataset = make_dataset("poison")
    with pytest.raises(InputError, match=r"step 2: loss .* not finite.*the state of step 2 is kept"):
        run(tmp_path / "run", dataset, source=Poisoned(dataset, 8), save_every=1)
    assert checkpoint.saved_steps(tmp_path / "run")[-1] == 2
    assert "random template only example" in capfd.readouterr().err
    clean = run(tmp_path / "clean", dataset, steps=2)
    kept, wanted = (load_model(tmp_path / name).model for name in ("run", "clean"))
    assert len(clean) == 2
    assert np.array_equal(kept.embedding[...], wanted.embedding[...])


class Unsupervised(DatasetSource):
    """A source whose second batch has no supervised token."""

    def __call__(self, step, model=None):
        batch = super().__call__(step, model)
        if step == 1:
            batch.weights[:] = 0
        return batch


def test_a_batch_without_supervised_tokens_is_skipped_and_counted(tmp_path, make_dataset):
    dataset = make_dataset("unsupervised")
    run(tmp_path / "skipping", dataset, steps=2, source=Unsupervised(dataset, 8))
    run(tmp_path / "short", dataset, steps=1)
    rows = metrics(tmp_path / "skipping")
    assert [row["skipped"] for row in rows] == [0, 1]
    left, right = (load_model(tmp_path / name).model for name in ("skipping", "short"))
    assert np.array_equal(left.layers.mlp.up.kernel[...], right.layers.mlp.up.kernel[...])


def test_another_run_s_folder_is_refused(tmp_path, make_dataset):
    run(tmp_path / "run", make_dataset("first"), steps=1)
    with pytest.raises(InputError, match="holds another run: data/identity is"):
        run(tmp_path / "run", make_dataset("second"), steps=1)


def test_init_from_another_architecture_is_refused_by_name(tmp_path, make_dataset):
    dataset = make_dataset("first")
    run(tmp_path / "base", dataset, steps=1)
    other = DecoderSource(DecoderSpec(embed=16, layers=3, heads=4, kv_heads=2, head_dim=4, mlp=32))
    with pytest.raises(InputError, match="another model: spec/layers is 2 there and 3 here"):
        run(tmp_path / "tuned", dataset, model=other, init_from=tmp_path / "base")
