"""Data for coarsened training: chunks of every level, each sample as often as any."""

from itertools import islice

import keras
import numpy as np
import pytest
from coarsened import averages, named, one_layer

import msann_keras as ms
from msann_keras.engines.coarsened import data as data_module
from msann_keras.engines.coarsened.compiled import here
from msann_keras.engines.coarsened.data import Arrays, Batches
from msann_keras.engines.coarsened.network import coarsening

SAMPLES = 20
#: The first column tells the samples apart.
X = np.add.outer(np.arange(SAMPLES), np.linspace(0, 0.7, 8)).astype("float32")
Y = np.arange(SAMPLES)[:, None] * np.ones(4, "float32")
WEIGHTS = np.arange(SAMPLES, dtype="float32")
#: Floats of a sample are 12; at all levels twice that, and chunks come in twos.
PER_SAMPLE = 2 * 2 * 12 * 4
PARTS = coarsening(one_layer())


def arrays(x=X, y=Y, weights=None, parts=PARTS, memory=2**20):
    return Arrays(x, y, weights, parts, memory, np.random.default_rng(0))


def rows_of(*chunks):
    """Which samples chunks hold, by their targets."""
    targets = [np.asarray(chunk.levels[0][1][0])[:, 0] for chunk in chunks]
    return np.concatenate(targets).astype(int).tolist()


def assert_averaged(chunk, x, y):
    for level, ((inputs,), (targets,), _) in enumerate(chunk.levels):
        expected = averages(x, ms.path(8), level), averages(y, ms.path(4), level)
        np.testing.assert_allclose(inputs, expected[0], rtol=1e-5)
        np.testing.assert_allclose(targets, expected[1], rtol=1e-5)


# --------------------------------------------------------------------------- arrays


def test_a_chunk_has_averages_of_every_level():
    source = arrays(weights=WEIGHTS)
    one, two = islice(source.chunks(), 2)
    assert one is two  # all samples fit into one
    assert (source.samples, source.rows, one.rows) == (SAMPLES,) * 3
    assert_averaged(one, X, Y)
    for _, _, (weights,) in one.levels:
        np.testing.assert_array_equal(weights, WEIGHTS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "bool"])
@pytest.mark.parametrize("start", range(3))
def test_data_are_copied_whatever_their_type_and_place(dtype, start):
    x = np.arange(start, start + 40).astype(dtype)[start:].reshape(-1, 1)[::-1]
    expected = x.copy()
    tensor = here.on_device(x)
    x[:] = 0
    np.testing.assert_array_equal(tensor, expected)
    assert tensor.dtype == dtype


def test_data_that_are_both_inputs_and_targets_are_made_once():
    inputs = keras.Input((8,))
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(8, 2)(inputs))
    (chunk,) = islice(arrays(y=X, parts=coarsening(model)).chunks(), 1)
    assert all(x is y for (x,), (y,), _ in chunk.levels)


def test_little_memory_makes_several_chunks_that_use_every_sample():
    source = arrays(memory=5 * PER_SAMPLE, weights=None)
    assert source.rows == 5
    chunks = list(islice(source.chunks(), 8))  # two passes
    for one_pass in (chunks[:4], chunks[4:]):
        assert sorted(rows_of(*one_pass)) == [*range(SAMPLES)]
    assert rows_of(chunks[0]) != rows_of(chunks[4])
    for chunk in chunks:
        assert chunk.rows == 5
        rows = rows_of(chunk)
        assert_averaged(chunk, X[rows], Y[rows])


def test_samples_that_do_not_fill_a_chunk_come_in_other_passes():
    source = arrays(memory=7 * PER_SAMPLE)
    chunks = list(islice(source.chunks(), 40))
    assert {chunk.rows for chunk in chunks} == {7}
    assert set(rows_of(*chunks)) == {*range(SAMPLES)}


def test_the_least_memory_still_holds_a_sample():
    source = arrays(memory=1)
    assert source.rows == 1
    assert len(rows_of(next(source.chunks()))) == 1


def test_weights_follow_their_samples():
    source = arrays(weights=WEIGHTS, memory=5 * PER_SAMPLE)
    for chunk in islice(source.chunks(), 4):
        for _, _, (weights,) in chunk.levels:
            assert np.asarray(weights).tolist() == rows_of(chunk)


def test_reshaping_layers_come_before_the_averages():
    inputs = keras.Input((2, 4))
    flat = keras.layers.Flatten()(inputs)
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(4, 2)(flat))
    source = arrays(X.reshape(-1, 2, 4), parts=coarsening(model))
    assert_averaged(next(source.chunks()), X, Y)


def test_every_input_and_output_has_averages_of_its_own_space():
    chunk = next(arrays([X, 10 * Y], [Y, 3 * X], parts=coarsening(named())).chunks())
    inputs, targets, _ = chunk.levels[1]
    expected = [averages(X, ms.path(8), 1), 10 * averages(Y, ms.path(4), 1)]
    for actual, wanted in zip(inputs, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5)
    expected = [averages(Y, ms.path(4), 1), 3 * averages(X, ms.path(8), 1)]
    for actual, wanted in zip(targets, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5)


# -------------------------------------------------------------------------- batches


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return X[rows], Y[rows]


def generator():
    for index in range(5):
        yield Sequence()[index]


def dataset(*arrays):
    """Batches of four from TensorFlow, where that is installed."""
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays or (X, Y)).batch(4)


def batched(source, memory=2**20, batches=250):
    return Batches(source, PARTS, memory, batches)


@pytest.mark.parametrize("make", [dataset, Sequence])
def test_a_finite_source_is_read_again_and_again(make):
    source = batched(make())
    assert (source.batch_size, source.samples, source.rows) == (4, SAMPLES, SAMPLES)
    for chunk in islice(source.chunks(), 2):
        assert sorted(rows_of(chunk)) == [*range(SAMPLES)]
        assert_averaged(chunk, X[rows_of(chunk)], Y[rows_of(chunk)])


def test_a_generator_is_read_once():
    source = batched(generator(), batches=2)
    assert (source.batch_size, source.samples, source.rows) == (4, None, 8)
    chunks = list(source.chunks())
    assert [rows_of(chunk) for chunk in chunks] == [[*range(8)], [*range(8, 16)]]


def test_chunks_cut_batches_where_memory_ends():
    chunks = list(islice(batched(dataset(), memory=6 * PER_SAMPLE).chunks(), 10))
    assert {chunk.rows for chunk in chunks} == {6}
    drawn = rows_of(*chunks)
    assert drawn == 3 * [*range(SAMPLES)]  # nothing lost, nothing twice


def test_a_repeated_dataset_has_no_length():
    source = batched(dataset().repeat(), batches=3)
    assert (source.samples, source.rows) == (None, 12)
    chunks = list(islice(source.chunks(), 5))
    assert rows_of(*chunks) == 3 * [*range(SAMPLES)]


def test_a_chunk_says_how_long_its_pass_is_once_that_has_been_read():
    unknown = dataset().filter(lambda x, y: True)
    chunks = list(islice(batched(unknown, batches=2).chunks(), 4))
    # Batches 0 1, 2 3, 4 0: the pass ends in the third.
    assert [chunk.samples for chunk in chunks] == [None, None, SAMPLES, SAMPLES]
    assert next(batched(dataset(), batches=2).chunks()).samples == SAMPLES
    assert next(batched(generator(), batches=2).chunks()).samples is None
    assert next(arrays(memory=5 * PER_SAMPLE).chunks()).samples == SAMPLES


def test_a_short_last_batch_is_used_too():
    source = batched(dataset(X[:10], Y[:10]))
    drawn = rows_of(*islice(source.chunks(), 4))
    assert set(drawn) == {*range(10)}


def test_weights_come_as_a_third_element():
    data = ((X[i : i + 4], Y[i : i + 4], WEIGHTS[i : i + 4]) for i in range(0, 20, 4))
    chunk = next(batched(data).chunks())
    assert np.asarray(chunk.levels[2][2][0]).tolist() == rows_of(chunk)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda: iter(()), "at least one batch"),
        (lambda: dataset().take(0), "at least one batch"),
        (lambda: iter([X]), r"yield \(inputs, targets\).*ndarray"),
        (lambda: iter([(X,)]), r"yield \(inputs, targets\).*tuple"),
    ],
)
def test_refuses_batches_that_are_none(source, message):
    with pytest.raises(ValueError, match=message):
        batched(source())


def test_an_error_of_the_source_reaches_the_caller():
    def broken():
        yield X[:4], Y[:4]
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        list(batched(broken(), batches=1).chunks())


def test_the_next_chunk_is_made_ahead_and_in_order():
    made = []

    def items():
        for number in range(4):
            made.append(number)
            yield number

    ahead = data_module._prepared_ahead(items())
    assert next(ahead) == 0
    assert list(ahead) == [1, 2, 3]
    assert made == [0, 1, 2, 3]
