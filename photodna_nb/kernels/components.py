"""The components of a graph whose edges come in any order: union-find."""

import numpy as np

from photodna_nb.kernels.jit import kernel

_INDEX = 2**32 - 1


@kernel
def join(parents, pairs):
    """Join the components of the two nodes of each pair, ``i << 32 | j``.

    parents: (n,) int32: a node of the same component, that is no larger; the smallest node of a
    component is its own parent. Other threads may read it: each number that is written there is
    a node of the same component.
    """
    for k in range(pairs.shape[0]):
        i, j = pairs[k] >> 32, pairs[k] & _INDEX
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = np.int64(parents[i])
        while parents[j] != j:
            parents[j] = parents[parents[j]]
            j = np.int64(parents[j])
        parents[max(i, j)] = np.int32(min(i, j))
