"""The training loop: a model, a source, an objective and evaluators, from the first step to the last."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jax.experimental import multihost_utils

from instruct_jax.artifacts import checkpoint
from instruct_jax.core import mesh as meshes
from instruct_jax.core import trees
from instruct_jax.core.protocols import BatchSource, Evaluator, ModelSource, Objective
from instruct_jax.errors import InputError
from instruct_jax.train.metric_writer import MetricWriter
from instruct_jax.train.pace import Pace
from instruct_jax.train.run import claim, first_state, run_manifest
from instruct_jax.train.state import TrainState, abstract_state
from instruct_jax.train.step import make_train_step


def train(
    workdir: str | Path,
    model: ModelSource,
    source: BatchSource,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    learning_rate: optax.Schedule,
    mesh: jax.sharding.Mesh,
    steps: int,
    seed: int = 0,
    microbatches: int = 1,
    log_every: int = 1,
    save_every: int = 1_000,
    keep: int = 2,
    eval_every: int | None = None,
    evaluators: Mapping[str, Evaluator] | None = None,
    init_from: str | Path | None = None,
    config: str = "",
) -> None:
    """Train, and leave a checkpoint folder at `workdir`.

    A run found there is resumed, and ends as if it had never stopped; otherwise parameters come from `init_from`, or are
    drawn from `seed`.

    Args:
      workdir: the run's folder.
      model, source, objective, evaluators: the four sockets; see `core.protocols`.
      optimizer: an optax chain; `learning_rate` is its schedule, for the log.
      mesh: the devices.
      steps: how many batches to learn from, in all.
      seed: of fresh parameters, and of the model's noise (dropout).
      microbatches: parts of a batch whose gradients are added before the update; changes memory, not the result.
      log_every, save_every, eval_every: in steps; the last step is always logged, saved and evaluated.
      keep: how many states to keep.
      init_from: a checkpoint whose parameters to start from; an adapter's base.
      config: the operative configuration, for the manifest.

    Raises:
      InputError: the folder holds another run, the parts do not fit, or the loss stopped being finite.
    """
    for name, value in {"microbatches": microbatches, "log_every": log_every, "save_every": save_every, "keep": keep}.items():
        if value < 1:
            raise InputError(f"{name} is {value}; expected at least 1")
    workdir = Path(workdir)
    started = time.perf_counter()
    model = model.fit(source.manifest)
    blueprint, shapes = abstract_state(model, optimizer, mesh)
    manifest = run_manifest(workdir, model, shapes, source, seed, init_from, config)
    claim(workdir, manifest, source.folder)
    checkpoints = checkpoint.Checkpoints(workdir, keep)
    state, origin = first_state(checkpoints, model, optimizer, shapes, seed, init_from, manifest)
    step_function = make_train_step(blueprint, objective, optimizer, microbatches, seed)
    train_step = jax.jit(
        step_function, donate_argnums=0, out_shardings=(jax.tree.map(lambda shape: shape.sharding, shapes), None)
    )
    first = int(state.step)
    if first > steps:
        raise InputError(f"{workdir} is at step {first} already, beyond {steps}; ask for more steps, or choose another WORKDIR")
    writer = MetricWriter(workdir, first, steps)
    print(_headline(mesh, shapes, source, origin, first, steps, time.perf_counter() - started), file=sys.stderr, flush=True)
    pace = Pace(first, steps, learning_rate)

    def live() -> Any:
        return blueprint.merge(state.parameters())

    def save(step: int) -> None:
        parameters, _ = trees.select(state.parameters(), model.saved)
        checkpoints.save(step, parameters, state.optimiser())

    previous: tuple[int, Any] | None = None
    with jax.set_mesh(mesh), _stop_signals() as stopped:
        try:
            for step in range(first, steps):
                # Order matters: measure and save the state that has seen exactly `step` batches.
                if evaluators and _due(step, eval_every):
                    writer.write(step, _evaluate(evaluators, step, live))
                stopping = _on_any_host(bool(stopped))
                if (_due(step, save_every) and step > first) or stopping:
                    _require_finite(previous, source, checkpoints)
                    save(step)
                if stopping:
                    raise SystemExit(_farewell(checkpoints, step, (stopped or [signal.SIGTERM])[0]))
                batch = source(step, live)
                state, metrics = train_step(state, meshes.global_batch(mesh, batch))
                # One step late, so that between logged steps the host prepares a batch while the devices compute.
                _require_finite(previous, source, checkpoints)
                previous = (step, metrics)
                pace.count(batch)
                if _due(step, log_every) or step == steps - 1:
                    writer.write(step, pace.row(step, metrics, batch, train_step._cache_size()))
            _require_finite(previous, source, checkpoints)
            save(steps)
            if evaluators:
                writer.write(steps, _evaluate(evaluators, steps, live))
        finally:
            checkpoints.close()
            writer.close()
    print(f"trained to step {steps}; checkpoint at {workdir}", file=sys.stderr, flush=True)


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def _on_any_host(flag: bool) -> bool:
    """Whether any host's flag is up: all must save and stop at the same step, or they wait for each other for ever."""
    if jax.process_count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def _evaluate(evaluators: Mapping[str, Evaluator] | None, step: int, live: Any) -> dict[str, float]:
    return {f"{name}/{key}": value for name, one in (evaluators or {}).items() for key, value in one(step, live).items()}


def _require_finite(latest: tuple[int, Any] | None, source: BatchSource, checkpoints: checkpoint.Checkpoints) -> None:
    """Stop if the latest step's loss or gradient was not finite; that step has changed no parameter."""
    if latest is None or bool(latest[1]["finite"]):
        return
    step, metrics = latest
    checkpoints.wait()
    kept = checkpoints.latest_step()
    for line in source.describe(step):
        print(line, file=sys.stderr)
    raise InputError(
        f"step {step}: loss {metrics['loss'].value():g}, gradient norm {float(metrics['grad_norm']):g}: not finite; its rows "
        f"are listed above; {'no state was saved yet' if kept is None else f'the state of step {kept} is kept'}; "
        "lower the learning rate, or look at those rows"
    )


def _farewell(checkpoints: checkpoint.Checkpoints, step: int, signum: int) -> int:
    checkpoints.wait()
    print(
        f"{signal.Signals(signum).name}: saved the state of step {step}; run the same command to go on",
        file=sys.stderr,
        flush=True,
    )
    return 128 + signum


@contextlib.contextmanager
def _stop_signals() -> Iterator[Sequence[int]]:
    """Collects SIGTERM and Ctrl-C instead of dying of them; a second one kills as usual."""
    received: list[int] = []

    def receive(signum: int, frame: Any) -> None:
        del frame
        received.append(signum)
        signal.signal(signum, previous[signum])

    previous = {signum: signal.signal(signum, receive) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _headline(
    mesh: jax.sharding.Mesh,
    shapes: TrainState,
    source: BatchSource,
    origin: str,
    first: int,
    steps: int,
    seconds: float,
) -> str:
    sizes = ", ".join(f"{axis}={size}" for axis, size in mesh.shape.items() if size > 1) or "one device"
    frozen = trees.size(shapes.frozen)
    return "\n".join(
        (
            f"model     {trees.count(shapes.trainable):,} trainable parameters"
            + (f", {frozen / 1e6:,.1f} MB frozen" if frozen else ""),
            f"data      {source.folder}: {source.manifest['rows']:,} rows of {source.manifest['length']}",
            f"devices   {mesh.size} {mesh.devices.flat[0].platform}: {sizes}",
            f"state     {origin}; steps {first} to {steps}; ready after {seconds:.1f} s",
        )
    )
