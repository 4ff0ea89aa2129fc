"""The FLAN-style collection: every dataset of every cluster."""

from instruct_jax.tasks.flan import entailment
from instruct_jax.tasks.flan.dataset import FlanDataset

_CLUSTERS = (entailment,)

DATASETS: tuple[FlanDataset, ...] = tuple(dataset for cluster in _CLUSTERS for dataset in cluster.DATASETS)
