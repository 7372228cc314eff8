"""The index of ThreatExchange at many hashes: the numbers of docs/threatexchange.md.

python tests/benchmarks/signal_index.py [HASHES]   # 100,000

Seconds are those of the processor, which other programs change little.
"""

import io
import resource
import sys
from statistics import median
from time import process_time

from photodna_nb.integrations.threatexchange import PhotodnaIndex, PhotodnaSignal

QUERIES = 50


def timed(function, *arguments):
    """Return what a function returns, and the seconds of the processor that it took."""
    start = process_time()
    result = function(*arguments)
    return result, process_time() - start


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def built(texts):
    """Return an index of hashes that has been searched once."""
    index = PhotodnaIndex.build((text, ("known", row)) for row, text in enumerate(texts))
    index.query(texts[0])
    return index


def linear(texts, query):
    """Return the rows within the limit, by one comparison each."""
    return [row for row, text in enumerate(texts) if PhotodnaSignal.compare_hash(text, query).match]


def main(number):
    texts = [PhotodnaSignal.get_random_signal() for _ in range(number)]
    built(texts[:2])  # compiles or loads the kernels
    PhotodnaSignal.compare_hash(*texts[:2])
    before = megabytes()
    index, seconds = timed(built, texts)
    print(f"build {number:,} hashes, and the first query: {seconds:.1f} s")
    print(f"peak of memory meanwhile, above that before: {megabytes() - before:.0f} MB")
    queries = [timed(index.query, text)[1] for text in texts[:QUERIES]]
    print(f"a query (median of {QUERIES}): {1000 * median(queries):.1f} ms")
    file = io.BytesIO()
    _, seconds = timed(index.serialize, file)
    print(f"serialize: {seconds:.2f} s, {file.tell() / 1e6:.0f} MB")
    file.seek(0)
    other, seconds = timed(PhotodnaIndex.deserialize, file)
    print(f"deserialize: {seconds:.2f} s")
    rows, seconds = timed(linear, texts, texts[1])
    print(f"linear search with compare_hash: {seconds:.1f} s")
    assert rows == [match.metadata[1] for match in other.query(texts[1])] == [1]


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100_000)
