"""At least 2000 damaged IDX files a run: each is read as it stands or refused as a DatasetError.

Nothing else may happen: no other exception, no hang, no more memory than the declared size.
"""

import gzip
import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import datasets
from helpers.tests.mirrors import StandIns, idx

pytestmark = pytest.mark.faults

INPUTS = 2000
SLACK = 300_000  # bytes: Python's own objects, and the buffer that unpacking reads into
FUZZ = settings(max_examples=INPUTS, deadline=None, suppress_health_check=list(HealthCheck))

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=3)
valid = shapes.map(lambda shape: idx(np.arange(math.prod(shape)).reshape(shape) % 251))
positions = st.integers(0, 200)
extremes = st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"])


def at(data, where):
    return where % (len(data) + 1)


def flip(data, where, bit):
    where = where % max(1, len(data))
    return data[:where] + bytes([data[where] ^ (1 << bit)]) + data[where + 1 :] if data else data


mutations = st.one_of(
    st.builds(lambda i, b: lambda d: flip(d, i, b), positions, st.integers(0, 7)),
    st.builds(lambda i: lambda d: d[: at(d, i)], positions),  # cut short
    st.builds(lambda i: lambda d: d[at(d, i) :], positions),  # begins too late
    st.builds(lambda tail: lambda d: d + tail, st.binary(max_size=40)),  # too long
    st.builds(lambda i, x: lambda d: d[: at(d, i)] + x + d[at(d, i) :], positions, st.binary()),
    st.builds(  # another length of an axis
        lambda axis, x: lambda d: d[: 4 + 4 * axis] + x + d[8 + 4 * axis :],
        st.integers(0, 2),
        extremes,
    ),
    st.builds(lambda kind: lambda d: d[:2] + bytes([kind]) + d[3:], st.integers(0, 255)),
    st.builds(lambda axes: lambda d: d[:3] + bytes([axes]) + d[4:], st.integers(0, 255)),
    st.just(lambda d: d[::-1]),
    st.just(lambda d: d + d),
)


def mutated(data, changes):
    for change in changes:
        data = change(data)
    return data


damaged = st.builds(mutated, valid, st.lists(mutations, min_size=1, max_size=4))


def measured(call, *arguments):
    """Return the result or the DatasetError of a call, the seconds it takes and its peak memory."""
    tracemalloc.start()
    started = time.monotonic()
    try:
        result = call(*arguments)
    except datasets.DatasetError as error:
        result = error
    finally:
        seconds, peak = time.monotonic() - started, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return result, seconds, peak


def test_a_damaged_file_is_read_as_it_stands_or_refused(record_property):
    outcomes = []

    @FUZZ
    @given(damaged | st.binary(max_size=60))
    def fuzz(data):
        result, seconds, peak = measured(datasets.parse_idx, data, "fuzz")
        if isinstance(result, datasets.DatasetError):
            assert str(result).startswith("fuzz: ")
        else:
            assert idx(result) == data
        assert seconds < 1
        assert peak < SLACK
        outcomes.append(isinstance(result, datasets.DatasetError))

    fuzz()
    record_property("fuzzed", f"{len(outcomes)} IDX files, {np.mean(outcomes):.0%} refused")
    assert len(outcomes) >= INPUTS
    assert 0.01 < np.mean(outcomes) < 1  # some are still files, or the mutations would be too rough


CONTENT = {"train-images-idx3-ubyte": np.random.default_rng(0).integers(0, 256, (6, 4, 4))}
STAND_IN = StandIns(CONTENT)
(FILE,), (PACKED,) = STAND_IN.files, STAND_IN.packed.values()
PLAIN = gzip.decompress(PACKED)
packings = st.sampled_from(
    [gzip.compress, lambda d: gzip.compress(d) * 2, lambda d: gzip.compress(d * 40_000), bytes]
)


def test_a_damaged_download_is_refused_before_it_takes_more_than_its_size(record_property):
    outcomes = []

    @FUZZ
    @given(st.lists(mutations, max_size=3), packings, st.lists(mutations, max_size=2))
    def fuzz(inside, pack, outside):
        raw = mutated(pack(mutated(PLAIN, inside)), outside)
        result, seconds, peak = measured(datasets._decode, raw, FILE, "fuzz")
        if isinstance(result, datasets.DatasetError):
            assert str(result).startswith("fuzz: ")
        else:
            np.testing.assert_array_equal(result, CONTENT[FILE.name])
        assert seconds < 1
        assert peak < len(raw) + FILE.size + SLACK
        outcomes.append(isinstance(result, datasets.DatasetError))

    fuzz()
    record_property("fuzzed", f"{len(outcomes)} downloads, {np.mean(outcomes):.0%} refused")
    assert len(outcomes) >= INPUTS
    assert 0.01 < np.mean(outcomes) < 1
