"""Weights that let women and men count the same, however many faces there are of each."""

from collections import Counter
from collections.abc import Sequence

from edge.types import LABELS
from tools.datasets.dataset import Sample

MAX_WEIGHT = 4.0
"""A rarer gender is not weighted up beyond this: a few faces would be learnt by heart."""


def balanced_weights(samples: Sequence[Sample]) -> list[float]:
    """A weight for each face, with which women and men weigh the same in each data set and age.

    Ages are those of `REPORTED_AGES`; faces of unknown age are a group of their own. A group's
    total weight stays as it was (class weights of G. King, L. Zeng: Logistic Regression in Rare
    Events Data, Political Analysis 9, 2001), unless `MAX_WEIGHT` limits it.
    """
    groups = [(sample.files.path, sample.age_group) for sample in samples]
    faces = Counter(groups)
    of_gender = Counter((group, s.label) for group, s in zip(groups, samples, strict=True))
    genders = Counter(group for group, _ in of_gender)
    return [
        1.0
        if genders[group] < len(LABELS)
        else min(MAX_WEIGHT, faces[group] / len(LABELS) / of_gender[group, sample.label])
        for group, sample in zip(groups, samples, strict=True)
    ]
