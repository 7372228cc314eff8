"""Exact limits over FAISS indexes of any type: against brute force, with many ties."""

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import photodna_nb as pdna
from photodna_nb.index import faiss_search as module

RNG = np.random.default_rng(5)
EXACT = ("Flat", "SQ8_direct", "IDMap,Flat", "IDMap2,Flat", "IDMap2,SQ8_direct")
WITH_HASHES = ("HNSW8", "IDMap2,HNSW8", "HNSW8,SQ8_direct")
WITHOUT_HASHES = (
    "IVF4,Flat",
    "IVF4,SQ8",
    "SQ8",
    "SQ4",
    "HNSW8,SQ8",
    "PQ16x4",
    "PCA32,Flat",
    "RR144,Flat",
)


def faiss_index(factory, hashes, ids=None):
    """A trained FAISS index of the hashes, in which every list is searched."""
    floats = hashes.astype("f4")
    inner = factory.removeprefix("IDMap2,").removeprefix("IDMap,")
    if inner == "SQ8_direct":
        index = faiss.IndexScalarQuantizer(144, faiss.ScalarQuantizer.QT_8bit_direct)
    elif inner == "HNSW8,SQ8_direct":
        index = faiss.IndexHNSWSQ(144, faiss.ScalarQuantizer.QT_8bit_direct, 8)
    else:
        index = faiss.index_factory(144, inner, faiss.METRIC_L2)
    index.train(floats)
    if isinstance(index, faiss.IndexIVF):
        index.nprobe = index.nlist
    if factory != inner:
        index = (faiss.IndexIDMap if factory.startswith("IDMap,") else faiss.IndexIDMap2)(index)
        index.add_with_ids(floats, ids)
    else:
        index.add(floats)
    return index


def expected(hashes, query, k, limit=10**9, ids=None):
    ids = np.arange(len(hashes)) if ids is None else ids
    squares = ((hashes.astype(int) - query) ** 2).sum(axis=1).tolist()
    return sorted((d, i) for d, i in zip(squares, ids.tolist(), strict=True) if d <= limit)[:k]


def answers(*arguments, **options):
    return [
        [(match.distance_squared, match.id) for match in matches]
        for matches in pdna.faiss_search(*arguments, **options)
    ]


def with_ties(n_rows, seed=1):
    """Hashes of few distances from each other, many of them equal, and some at the far end."""
    drawn = np.random.default_rng(seed)
    rows = np.zeros((n_rows, 144), np.uint8)
    rows[np.arange(n_rows), drawn.integers(0, 144, n_rows)] = drawn.choice([1, 9], n_rows)
    rows[:: max(1, n_rows // 7)] = 255
    return rows


@pytest.mark.parametrize("factory", EXACT)
@pytest.mark.parametrize("n_queries", [1, 48])
def test_exact_indexes_give_the_true_answers(factory, n_queries):
    """FAISS takes one query without BLAS, and 20 or more with it."""
    rows = with_ties(400)
    ids = RNG.permutation(1000)[:400]
    labels = ids if factory.startswith("IDMap") else np.arange(400)
    index = faiss_index(factory, rows, ids)
    queries = np.concatenate([rows[:24], with_ties(24, seed=2)])[:n_queries]
    for k in (1, 7, 60, 400, 500) if n_queries == 1 else (30,):
        assert answers(index, queries, k) == [expected(rows, q, k, ids=labels) for q in queries]
        for limit in (0, 2, 81, 3060**2 - 1) if n_queries == 1 else (81,):
            found = answers(index, queries, k, max_distance=np.nextafter(limit**0.5, 9999))
            assert found == [expected(rows, q, k, limit, labels) for q in queries]


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 300),
    st.sampled_from([1, 30]),
    st.integers(1, 40),
    st.sampled_from([1, 3, 144]),
    st.sampled_from(EXACT),
)
def test_exact_indexes_against_brute_force(seed, n_rows, n_queries, k, columns, factory):
    drawn = np.random.default_rng(seed)
    rows = np.zeros((n_rows + n_queries, 144), np.uint8)
    rows[:, :columns] = drawn.integers(0, 256, (n_rows + n_queries, columns)) // 64 * 85
    rows, queries = rows[:n_rows], rows[n_rows:]
    ids = drawn.permutation(n_rows) + 7
    labels = ids if factory.startswith("IDMap") else np.arange(n_rows)
    limit = int(((rows[0].astype(int) - queries[0]) ** 2).sum())  # one row lies on it
    index = faiss_index(factory, rows, ids)
    typed = np.nextafter(np.sqrt(limit), np.inf)
    assert answers(index, queries, k) == [expected(rows, q, k, ids=labels) for q in queries]
    assert answers(index, queries, k, max_distance=typed) == [
        expected(rows, q, k, limit, labels) for q in queries
    ]


@pytest.fixture
def blas():
    """Have FAISS compute the distances of few queries with BLAS, as of many."""
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 1
    yield
    faiss.cvar.distance_compute_blas_threshold = before


def test_distances_that_float32_rounds(blas):
    """Norms whose sum is above 2^24, where float32 has even integers only."""
    rows = np.full((600, 144), 255, np.uint8)
    for row in range(600):
        rows[row, : row % 40] = 254
        rows[row, 40 : 40 + row % 7] = 253
    queries = np.full((30, 144), 255, np.uint8)
    queries[:, 0] = np.arange(30)
    index = faiss_index("Flat", rows)
    floats, ids = index.search(queries.astype("f4"), 600)
    true = ((rows.astype(int)[None] - queries[:, None]) ** 2).sum(axis=2)
    true = np.take_along_axis(true, ids, axis=1)
    assert 0 < np.abs(floats - true).max() <= module._FLOAT_ERROR, "FAISS rounds, as the proof says"
    for k in (1, 15, 100):
        assert answers(index, queries, k) == [expected(rows, query, k) for query in queries]


@pytest.mark.parametrize("factory", [*WITH_HASHES, *WITHOUT_HASHES])
def test_candidates_of_approximate_indexes_are_decided_in_integers(factory):
    """Each answer is true of its item, and nearly all are found where all are compared."""
    rows = RNG.integers(0, 256, (1500, 144), np.uint8)
    rows[1000:] = (rows[:500].astype(int) + RNG.integers(-3, 4, (500, 144))).clip(0, 255)
    ids = np.arange(1500)
    index = faiss_index(factory, rows, ids)
    queries = rows[:60]
    hashes = None if factory in WITH_HASHES else rows
    found = answers(index, queries, 2, max_distance=100, hashes=hashes)
    true = [expected(rows, query, 2, 10_000) for query in queries]
    for query, matches in zip(queries, found, strict=True):
        assert matches == sorted(matches)
        assert set(matches) <= set(expected(rows, query, 1500, 10_000))
    assert np.mean([a == b for a, b in zip(found, true, strict=True)]) > 0.9
    if factory == "IVF4,Flat":
        assert answers(index, queries, 1500, hashes=rows) == [
            expected(rows, query, 1500) for query in queries
        ]


@pytest.mark.parametrize("factory", ["Flat", "IVF4,SQ8"])
def test_hashes_by_table_array_and_function(factory):
    rows = RNG.integers(0, 256, (300, 144), np.uint8)
    index = faiss_index(factory, rows)
    table = pdna.HashTable([str(i) for i in range(300)], rows, np.full(300, np.nan))
    true = [expected(rows, query, 3) for query in rows[:5]]
    for hashes in (rows, table, lambda ids: rows[ids]):
        assert answers(index, rows[:5], 3, hashes=hashes) == true
    assert (
        answers(index, pdna.HashTable(list("abcde"), rows[:5], np.zeros(5)), 3, hashes=rows) == true
    )
    assert answers(index, rows[0], 3, hashes=rows) == true[:1]
    with pytest.raises(pdna.ArgumentError, match="hashes: got 10 rows, and the index holds the id"):
        pdna.faiss_search(index, rows[:5], 300, hashes=rows[:10])
    with pytest.raises(pdna.ArgumentTypeError, match=r"hashes\(ids\): got list"):
        pdna.faiss_search(index, rows[:5], 3, hashes=lambda ids: rows[ids].tolist())


def test_fewer_rows_than_asked_for():
    rows = with_ties(3)
    for index in (faiss_index("Flat", rows), faiss_index("HNSW8", rows)):
        assert answers(index, rows[:2], 50) == [expected(rows, query, 50) for query in rows[:2]]
    ivf = faiss_index("IVF4,Flat", np.repeat(RNG.integers(0, 256, (4, 144), np.uint8), 9, axis=0))
    ivf.nprobe = 1  # its other places are -1
    rows = np.zeros((36, 144), np.uint8)
    assert len(answers(ivf, rows[:1], 30, hashes=lambda ids: rows[ids])[0]) == 9
    assert answers(faiss.IndexFlatL2(144), rows[:2], 5) == [[], []]
    assert answers(faiss_index("Flat", rows), rows[:0], 5) == []


def test_matches_are_records():
    rows = np.zeros((1, 144), np.uint8)
    rows[0, :2] = 3, 4
    ((match,),) = pdna.faiss_search(faiss_index("Flat", rows), np.zeros(144, np.uint8), 1)
    assert (match.id, match.distance_squared, match.distance) == (0, 25, 5.0)
    assert match.similarity == 1 - 5 / 3060


@pytest.mark.parametrize(
    ("index", "error", "words"),
    [
        (3, pdna.ArgumentTypeError, "index: got int, needs an index of FAISS"),
        (faiss.IndexFlatL2(143), pdna.ArgumentError, "index: got one over 143 dimensions"),
        (faiss.IndexFlatIP(144), pdna.ArgumentError, "index: got one with another metric"),
        (faiss.IndexBinaryFlat(144), pdna.ArgumentTypeError, "index: got IndexBinaryFlat"),
        (
            faiss.index_factory(144, "IVF4,Flat"),
            pdna.ArgumentError,
            "index: got one that is not trained",
        ),
        (
            faiss_index("SQ8", with_ties(9)),
            pdna.ArgumentError,
            "hashes: needed, since a IndexScalarQuantizer does not hold the hashes as they are",
        ),
        (
            faiss_index("IVF1,Flat", with_ties(99)),
            pdna.ArgumentError,
            "hashes: needed, since a IndexIVFFlat",
        ),
        (
            faiss_index("PCA32,Flat", with_ties(99)),
            pdna.ArgumentError,
            "hashes: needed, since a IndexPreTransform",
        ),
    ],
)
def test_other_indexes_are_refused(index, error, words):
    with pytest.raises(error, match=words):
        pdna.faiss_search(index, np.zeros((1, 144), np.uint8), 1)


def test_wrong_arguments():
    index = faiss_index("Flat", with_ties(9))
    queries = np.zeros((1, 144), np.uint8)
    with pytest.raises(pdna.ArgumentError, match="k: got 0"):
        pdna.faiss_search(index, queries, 0)
    with pytest.raises(pdna.ArgumentTypeError, match="queries: got an array of float64"):
        pdna.faiss_search(index, queries.astype(float), 1)
    with pytest.raises(pdna.ArgumentError, match="min_similarity"):
        pdna.faiss_search(index, queries, 1, min_similarity=2)
    odd = faiss.IndexFlatL2(144)
    odd.add(np.full((1, 144), 0.5, "f4"))
    with pytest.raises(pdna.ArgumentError, match="not integers from 0 to 255"):
        pdna.faiss_search(odd, queries, 1)
