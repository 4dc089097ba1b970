"""A pipeline of random steps whose draws repeat."""

import copy
import random
from collections.abc import Iterable, Mapping

import numpy as np

from ..utils.checks import whole_number
from .transforms import A  # albumentations, told not to ask online for news


def seeded(
    pipeline: A.Compose | A.BasicTransform | Iterable[A.BasicTransform] | Mapping,
    seed: int = 42,
    *,
    always: bool = False,
) -> A.Compose:
    """Return a copy of a pipeline that draws the same way on each run; steps are put in a row.

    What was handed in stays as it is. always: whether each step is applied every time, whatever its
    probability. The steps share one
    source of randomness: Compose(seed=…) would give each a generator of its own with the same seed,
    so that they happen together or not at all (albumentations 2.0.8).
    """
    seed = whole_number("seed", seed, least=0)
    if isinstance(pipeline, Mapping):  # as policy_steps gives them
        pipeline = list(pipeline.values())
    if isinstance(pipeline, A.BasicTransform):
        pipeline = [pipeline]
    if not isinstance(pipeline, A.Compose):
        pipeline = A.Compose(list(pipeline))
    pipeline = copy.deepcopy(pipeline)
    if always:
        for step in pipeline.transforms:
            step.p = 1.0
    pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
    return pipeline
