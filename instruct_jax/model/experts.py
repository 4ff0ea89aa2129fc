"""Mixture of experts: a router picks a few feed-forwards for each token; none is dropped, whatever the load."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import PartitionSpec

from instruct_jax.core.mesh import ACTIVATIONS, spec_for
from instruct_jax.model.layers import ACTIVATION, Linear, parameter
from instruct_jax.model.spec import DecoderSpec, Experts


class ExpertKernels(nnx.Module):
    """A matrix for each expert: `kernel` [E, inputs, outputs]."""

    def __init__(self, key: jax.Array, experts: int, inputs: int, outputs: int, axes: tuple[str | None, ...]):
        self.kernel = parameter(key, (experts, inputs, outputs), ("experts", *axes), inputs)


class MixtureOfExperts(nnx.Module):
    """Gated feed-forwards, of which each token passes through its `per_token` likeliest, weighted by their probability.

    The router works in fp32. Under a mesh each device sorts the tokens of its rows by expert and computes what its own
    experts, and its part of their hidden units, add to them; the parts are summed over `expert` and `tensor`.
    """

    def __init__(self, spec: DecoderSpec, key: jax.Array):
        keys = jax.random.split(key, 4)
        count = spec.experts.count
        self.router = Linear(keys[0], (spec.embed,), (count,), ("embed", None))
        self.gate = ExpertKernels(keys[1], count, spec.embed, spec.mlp, ("embed", "mlp"))
        self.up = ExpertKernels(keys[2], count, spec.embed, spec.mlp, ("embed", "mlp"))
        self.down = ExpertKernels(keys[3], count, spec.mlp, spec.embed, ("mlp", "embed"))
        self.experts, self.activation = spec.experts, spec.activation

    def __call__(self, hidden: jax.Array, real: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What the experts make of each token, and how unevenly they are used.

        Args:
          hidden: [B, T, D].
          real: bool[B, T], which tokens are no padding; padding goes to no expert.

        Returns:
          [B, T, D], 0 for padding; and the load balance of each row, f32[B], of `load_balance`.
        """
        scores = self.router(hidden.astype(jnp.float32))
        gate, up, down = (kernels.kernel[...].astype(hidden.dtype) for kernels in (self.gate, self.up, self.down))
        mesh = jax.sharding.get_abstract_mesh()
        if mesh.empty or mesh.are_all_axes_manual:
            weights, chosen, balance = routed(scores, real, self.experts)
            return self._sum(hidden, weights, chosen, gate, up, down), balance

        rows = spec_for(mesh, ACTIVATIONS, real.shape, ("expert_batch", None))
        tokens = PartitionSpec(*rows, None)
        wide = spec_for(mesh, ACTIVATIONS, gate.shape, ("experts", None, "mlp"))
        narrow = spec_for(mesh, ACTIVATIONS, down.shape, ("experts", "mlp", None))
        experts_axis, units_axis = narrow[:2]
        cut = tuple(axis for axis in (experts_axis, units_axis) if axis is not None)

        def part(hidden: jax.Array, scores: jax.Array, real: jax.Array, *own: jax.Array) -> tuple[jax.Array, jax.Array]:
            weights, chosen, balance = routed(scores, real, self.experts)
            first = 0 if experts_axis is None else jax.lax.axis_index(experts_axis) * own[0].shape[0]
            # Said aloud, since the lookup below, whose indices differ from device to device, does not: without it each device
            # keeps its own part of the gradient of `hidden`, and the parts are never added.
            hidden = jax.lax.pcast(hidden, cut, to="varying")
            return jax.lax.psum(self._sum(hidden, weights, chosen - first, *own), cut), balance

        spread = jax.shard_map(
            part, in_specs=(tokens, tokens, rows, wide, wide, narrow), out_specs=(tokens, PartitionSpec(rows[0]))
        )
        return spread(hidden, scores, real, gate, up, down)

    def _sum(
        self, hidden: jax.Array, weights: jax.Array, chosen: jax.Array, gate: jax.Array, up: jax.Array, down: jax.Array
    ) -> jax.Array:
        """What these experts add to each token, [B, T, D].

        Args:
          hidden: [B, T, D].
          weights: f32[B, T, per_token].
          chosen: i32[B, T, per_token], counted from the first of these experts; any other number is no business of theirs.
          gate, up: [E, D, F]; down: [E, F, D].
        """
        count = gate.shape[0]
        own = chosen.reshape(-1)
        # What goes elsewhere sorts last, behind every group.
        own = jnp.where((own >= 0) & (own < count), own, count)
        order = jnp.argsort(own)
        sizes = jnp.bincount(own, length=count + 1)[:count].astype(jnp.int32)
        here = (jnp.arange(own.size) < sizes.sum())[:, None]
        # Past the last group a backend may leave anything, in values and in gradients: zero both on the way in and out.
        tokens = jnp.where(here, hidden.reshape(-1, hidden.shape[-1])[order // self.experts.per_token], 0)
        units = ACTIVATION[self.activation](jax.lax.ragged_dot(tokens, gate, sizes)) * jax.lax.ragged_dot(tokens, up, sizes)
        parts = jnp.where(here, jax.lax.ragged_dot(jnp.where(here, units, 0), down, sizes), 0)
        back = parts[jnp.argsort(order)].reshape(*chosen.shape, -1)
        return (back * weights[..., None]).sum(axis=2).astype(hidden.dtype)


def routed(scores: jax.Array, real: jax.Array, experts: Experts) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Which experts each token goes to.

    Args:
      scores: f32[B, T, E], of the router.
      real: bool[B, T], which tokens are no padding.

    Returns:
      Weights f32[B, T, per_token], 0 for padding; experts i32[B, T, per_token], E for padding: nobody; load balance f32[B].
    """
    probabilities = jax.nn.softmax(scores, axis=-1)
    weights, chosen = jax.lax.top_k(probabilities, experts.per_token)
    balance = load_balance(probabilities, chosen, real)
    if experts.normalised:
        weights /= weights.sum(axis=-1, keepdims=True)
    return jnp.where(real[..., None], weights, 0), jnp.where(real[..., None], chosen, experts.count), balance


def load_balance(probabilities: jax.Array, chosen: jax.Array, real: jax.Array) -> jax.Array:
    """How unevenly the experts of one layer are used by each row: E sum_e f_e P_e (Fedus et al. 2021, arXiv:2101.03961).

    f_e is how many of a token's choices fall on expert e, P_e its probability, both averaged over the row's real tokens
    (equations 5 and 6). It is least where all experts are used alike: `per_token`. Departures from the paper: the averages
    are taken over a row, not over a device's whole batch, so that rows add up to the same whatever microbatch or device
    they are on; and a token may choose several experts. transformers averages f and P over all rows and layers before it
    multiplies them; of one row and one layer the two are equal.

    Args:
      probabilities: f32[B, T, E].
      chosen: i32[B, T, per_token].
      real: bool[B, T].

    Returns:
      f32[B]; 0 for a row of padding alone.

    Two tokens, one choice each, two experts; first both choose the same, then each its own:

    >>> probabilities = jnp.array([[[0.8, 0.2], [0.6, 0.4]], [[0.8, 0.2], [0.4, 0.6]]])
    >>> balance = load_balance(probabilities, jnp.array([[[0], [0]], [[0], [1]]]), jnp.ones((2, 2), bool))
    >>> [round(float(row), 3) for row in balance]
    [1.4, 1.0]
    """
    count = probabilities.shape[-1]
    present = real[..., None].astype(jnp.float32)
    tokens = jnp.maximum(present.sum(axis=1), 1)
    choices = jax.nn.one_hot(chosen, count).sum(axis=2)
    used, likely = ((values * present).sum(axis=1) / tokens for values in (choices, probabilities))
    return count * (used * likely).sum(axis=-1)
