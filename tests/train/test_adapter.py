"""Training an adapter: what is saved, over which base it is restored, and that its course is one however it is cut."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from instruct_jax.artifacts.checkpoint import save_parameters
from instruct_jax.artifacts.manifest import read_manifest, write_json
from instruct_jax.artifacts.saved_parameters import SavedParameters
from instruct_jax.core import modules, trees
from instruct_jax.core.mesh import AXES, make_mesh
from instruct_jax.data.source import DatasetSource
from instruct_jax.errors import InputError
from instruct_jax.model.loading import DecoderSource, load_model, spec_of
from instruct_jax.model.lora import Lora
from instruct_jax.model.lora_source import LoraSource
from instruct_jax.model.quantised import Quantisation
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.objectives.supervised import CrossEntropy
from instruct_jax.train import optimizer
from instruct_jax.train.loop import train
from instruct_jax.train.state import abstract_state

SPEC = DecoderSpec(embed=16, layers=2, heads=4, kv_heads=2, head_dim=4, mlp=32)
LORA = Lora(rank=2, alpha=4.0, dropout=0.2, beside=("embedding",))
QUIET = Lora(rank=2, alpha=4.0)
DECOMPOSED = Lora(rank=2, weight_decomposed=True)
NOT_OF_THE_COURSE = ("tokens_per_second", "supervised_tokens_per_second", "step_seconds", "eta_seconds", "recompiles")


def one_device():
    return jax.make_mesh((1,) * len(AXES), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=jax.devices()[:1])


def run(workdir, dataset, model, steps=4, mesh=None, **settings):
    schedule = optimizer.warmup_constant(1e-2)
    train(
        workdir,
        model,
        DatasetSource(dataset, 8),
        CrossEntropy(),
        optimizer.adamw(schedule),
        schedule,
        mesh or one_device(),
        steps,
        **settings,
    )
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in NOT_OF_THE_COURSE} for row in rows]


def adapted(lora=LORA, remat="none", **fields):
    return LoraSource(DecoderSource(SPEC, remat=remat), lora, **fields)


def arrays_of(path, **options):
    return {name: np.asarray(array) for name, array in modules.split(load_model(path, **options).model)[1].items()}


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset("adapter")


@pytest.fixture(scope="module")
def base(tmp_path_factory, dataset):
    folder = tmp_path_factory.mktemp("runs") / "base"
    run(folder, dataset, DecoderSource(SPEC), steps=2)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, dataset, base):
    """An adapter trained for four steps in one go, and its metrics."""
    folder = tmp_path_factory.mktemp("runs") / "adapter"
    return folder, run(folder, dataset, adapted(), init_from=base)


@pytest.fixture(scope="module")
def decomposed(tmp_path_factory, dataset, base):
    """A weight-decomposed adapter without noise, trained for three steps in one go, and its metrics."""
    folder = tmp_path_factory.mktemp("runs") / "decomposed"
    return folder, run(folder, dataset, adapted(DECOMPOSED), steps=3, init_from=base)


def test_a_checkpoint_holds_the_adapter_and_what_is_beside_it_and_no_more(whole, base):
    folder, _ = whole
    saved = SavedParameters(folder, 4)
    own = set(saved.own)
    assert own == {path for path in saved.shapes if "/lora_" in path} | {"embedding"}
    assert len(own) == 2 * 7 + 1
    manifest = read_manifest(folder, "checkpoint")
    assert manifest["base"]["identity"] == read_manifest(base, "checkpoint")["identity"]
    assert manifest["base"]["step"] == 2


def test_only_what_is_trained_moves_and_is_restored(whole, base):
    folder, _ = whole
    before, after = arrays_of(base), arrays_of(folder)
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    assert moved == {"embedding"}
    assert all(np.abs(array).max() > 0 for path, array in after.items() if path.endswith("lora_b"))


def test_the_optimiser_holds_moments_of_what_is_trained_alone(dataset):
    source = adapted(QUIET).fit(DatasetSource(dataset, 8).manifest)
    _, shapes = abstract_state(source, optimizer.adamw(optimizer.warmup_constant(1.0)), one_device())
    sizes = 2 * sum(
        2 * (inputs + outputs) * 2  # both layers, rank 2
        for inputs, outputs in ((16, 16), (16, 8), (16, 8), (16, 16), (16, 32), (16, 32), (32, 16))
    )
    assert trees.count([leaf for leaf in jax.tree.leaves(shapes.opt_state) if leaf.ndim]) == sizes


def test_an_adapter_run_stopped_and_resumed_equals_one_that_ran_through(tmp_path, dataset, base, whole):
    run(tmp_path / "parts", dataset, adapted(), steps=2, init_from=base)
    assert run(tmp_path / "parts", dataset, adapted(), init_from=base) == whole[1]
    ours, theirs = arrays_of(tmp_path / "parts"), arrays_of(whole[0])
    assert all(np.array_equal(ours[path], theirs[path]) for path in theirs)


@pytest.mark.slow
def test_one_device_equals_eight_with_dropout(tmp_path, dataset, base, whole):
    spread = run(tmp_path / "spread", dataset, adapted(), mesh=make_mesh(data=2, fsdp=2, tensor=2), init_from=base)
    for name in ("loss", "grad_norm"):
        np.testing.assert_allclose([row[name] for row in spread], [row[name] for row in whole[1]], rtol=1e-4)


@pytest.mark.slow
def test_two_microbatches_equal_one_without_dropout(tmp_path, dataset, base, decomposed):
    cut = run(tmp_path / "cut", dataset, adapted(DECOMPOSED), steps=3, microbatches=2, init_from=base)
    for name in ("loss", "grad_norm"):
        np.testing.assert_allclose([row[name] for row in cut], [row[name] for row in decomposed[1]], rtol=1e-4)


@pytest.mark.slow
def test_microbatches_draw_masks_of_their_own(tmp_path, dataset, base, whole):
    cut = run(tmp_path / "cut", dataset, adapted(), steps=2, microbatches=2, init_from=base)
    assert cut[0]["loss"] == pytest.approx(whole[1][0]["loss"], rel=1e-5)  # lora_b is 0 still
    assert cut[1]["loss"] != pytest.approx(whole[1][1]["loss"], rel=1e-5)


def test_an_adapter_goes_on_from_an_adapter_over_the_same_base(tmp_path, dataset, whole):
    run(tmp_path / "more", dataset, adapted(), steps=1, init_from=whole[0])
    assert read_manifest(tmp_path / "more", "checkpoint")["base"] == read_manifest(whole[0], "checkpoint")["base"]
    before, after = arrays_of(whole[0]), arrays_of(tmp_path / "more")
    for path in before:
        near = np.abs(before[path] - after[path]).max()
        assert near < 0.02, path  # one step of Adam at 1e-2
    with pytest.raises(InputError, match=r"has another adapter: rank is 2 there and 3 here; .*merge"):
        run(tmp_path / "other", dataset, adapted(Lora(rank=3, alpha=4.0, beside=("embedding",))), steps=1, init_from=whole[0])


def test_full_training_from_an_adapter_says_to_merge_it_first(tmp_path, dataset, whole):
    with pytest.raises(InputError, match=r"is an adapter over a base, .* merge it into its base first"):
        run(tmp_path / "full", dataset, DecoderSource(SPEC), steps=1, init_from=whole[0])


def test_an_adapter_without_a_base_is_refused(tmp_path, dataset):
    with pytest.raises(InputError, match="an adapter is trained over a base: set INIT_FROM"):
        run(tmp_path / "none", dataset, adapted(), steps=1)


def test_a_replaced_base_is_refused_by_name(tmp_path, base, whole):
    shutil.copytree(base, tmp_path / "base")
    shutil.copytree(whole[0], tmp_path / "adapter")
    manifest = read_manifest(tmp_path / "adapter", "checkpoint")
    write_json(tmp_path / "adapter" / "manifest.json", manifest | {"base": manifest["base"] | {"folder": "/moved/away/base"}})
    arrays_of(tmp_path / "adapter")  # found beside it
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(InputError, match="needs its base, which is neither at /moved/away/base nor at"):
        load_model(tmp_path / "adapter")
    shutil.copytree(base, tmp_path / "base", ignore=shutil.ignore_patterns("checkpoints"))
    save_parameters(tmp_path / "base", 2, {path: jnp.asarray(array) for path, array in arrays_of(base).items()})
    with pytest.raises(InputError, match="has been replaced: its state of step 2 was written anew"):
        load_model(tmp_path / "adapter")
    shutil.rmtree(tmp_path / "base")
    shutil.copytree(base, tmp_path / "base")
    manifest = read_manifest(tmp_path / "base", "checkpoint")
    write_json(tmp_path / "base" / "manifest.json", manifest | {"identity": "another"})
    with pytest.raises(InputError, match="has been replaced: its identity is"):
        load_model(tmp_path / "adapter")


@pytest.mark.slow
def test_several_adapters_share_one_base(base, whole, decomposed):
    bottom = load_model(base)
    first, second = (load_model(path, sharing=bottom) for path in (whole[0], decomposed[0]))
    shared = [modules.split(one.model)[1]["layers/mlp/up/kernel"] for one in (bottom, first, second)]
    assert shared[0] is shared[1] is shared[2]
    assert modules.split(second.model)[1]["embedding"] is modules.split(bottom.model)[1]["embedding"]
    for path, array in arrays_of(whole[0]).items():
        np.testing.assert_array_equal(modules.split(first.model)[1][path], array)
    with pytest.raises(InputError, match="are not over the same base"):
        load_model(base, sharing=first)


def test_an_adapter_opens_merged_as_an_ordinary_decoder(whole):
    attached, merged = load_model(whole[0]).model, load_model(whole[0], merge=True).model
    assert set(modules.split(merged)[1]) == set(
        modules.abstract(lambda: DecoderSource(spec_of(whole[0])).build(jax.random.key(0)))[1]
    )
    tokens = np.arange(12, dtype=np.int32).reshape(1, 12)
    scores = [one.logits(one(tokens, np.ones_like(tokens), np.arange(12)[None])) for one in (attached, merged)]
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["nf4", "int8"])
def test_a_quantised_base_learns_like_a_dense_one_and_resumes_bit_for_bit(tmp_path, dataset, base, decomposed, form):
    quantised = adapted(DECOMPOSED, remat="dots", base_dtype="bfloat16", quantisation=Quantisation(form, block=16))
    found = run(tmp_path / "quantised", dataset, quantised, steps=2, init_from=base)
    dense = decomposed[1][:2]
    np.testing.assert_allclose([row["loss"] for row in found], [row["loss"] for row in dense], rtol=0.01)
    assert found[0]["loss"] != dense[0]["loss"]
    run(tmp_path / "parts", dataset, quantised, steps=1, init_from=base)
    assert run(tmp_path / "parts", dataset, quantised, steps=2, init_from=base) == found
    arrays = arrays_of(tmp_path / "quantised")
    assert arrays["layers/mlp/up/kernel/codes"].dtype == (np.uint8 if form == "nf4" else np.int8)
    assert not any("codes" in path for path in arrays_of(tmp_path / "quantised", merge=True))


def test_a_bfloat16_checkpoint_is_read_into_fp32_masters(tmp_path, dataset, base):
    # As an import leaves it: the same manifest, parameters of the file's dtype.
    shutil.copytree(base, tmp_path / "narrow", ignore=shutil.ignore_patterns("checkpoints"))
    narrow = {path: jnp.asarray(array, jnp.bfloat16) for path, array in arrays_of(base).items()}
    save_parameters(tmp_path / "narrow", 0, narrow)
    run(tmp_path / "tuned", dataset, DecoderSource(SPEC), steps=1, init_from=tmp_path / "narrow")
    tuned = SavedParameters(tmp_path / "tuned", 1)
    assert {shape.dtype for shape in tuned.shapes.values()} == {jnp.dtype("float32")}
    before, after = narrow["embedding"].astype(jnp.float32), arrays_of(tmp_path / "tuned")["embedding"]
    assert 0 < np.abs(before - after).max() < 0.02
