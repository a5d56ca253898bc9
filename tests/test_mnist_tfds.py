"""Digits from tensorflow-datasets: with data, and soon refused without network."""

import http.server
import socket
import threading
import time

import numpy as np
import pytest
from digits import numbered_images

from experiments import mnist
from experiments.mnist import DataUnavailableError, load_mnist


def fail(*args, **kwargs):
    raise socket.gaierror("no network in this test")


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.fixture
def empty_data_dir(monkeypatch, tmp_path):
    """A tensorflow-datasets folder without MNIST, whatever the machine has."""
    import tensorflow_datasets  # noqa: F401 (its import is no part of a timing)

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


def test_tfds_through_mock_data(monkeypatch, empty_data_dir):
    import tensorflow_datasets as tfds

    # Its download is a no-op, so that nobody need answer.
    monkeypatch.setattr(mnist, "_check_answers", lambda url: None)
    monkeypatch.setattr(mnist, "CHUNK", 8)
    with tfds.testing.mock_data(num_examples=20):
        digits = load_mnist("tfds", seed=0)
        drawn = load_mnist("tfds", validation=5, size=28, seed=0)
    assert digits.x_train.shape == digits.x_validation.shape == (20, 1024)
    assert digits.x_train.dtype == np.float32 and digits.y_train.dtype == np.int64
    assert digits.x_train.min() >= 0 and 0.5 < digits.x_train.max() <= 1
    assert drawn.x_train.shape == (15, 784) and drawn.x_validation.shape == (5, 784)
    for words in ("tfds", "20 training", "20 validation", "28 x 28", "own split"):
        assert words in digits.source


def test_tfds_reads_prepared_data_without_network(
    monkeypatch, empty_data_dir, no_network
):
    import tensorflow_datasets as tfds

    def small(self, manager):
        images = numbered_images(9)[..., None]
        for split, part in (("train", range(6)), ("test", range(6, 9))):
            examples = [(i, {"image": images[i], "label": i}) for i in part]
            yield tfds.core.SplitGenerator(
                name=split, gen_kwargs={"examples": examples}
            )

    builder = tfds.builder("mnist", data_dir=empty_data_dir)
    with monkeypatch.context() as patch:
        patch.setattr(type(builder), "_split_generators", lambda *a: list(small(*a)))
        patch.setattr(
            type(builder), "_generate_examples", lambda self, examples: examples
        )
        builder.download_and_prepare()

    digits = load_mnist("tfds", seed=0)
    for x, y, expected in (
        (digits.x_train, digits.y_train, range(6)),
        (digits.x_validation, digits.y_validation, range(6, 9)),
    ):
        assert sorted(y) == list(expected)
        np.testing.assert_allclose(x, np.tile(y[:, None] / 255, 1024), atol=1e-7)


def assert_unavailable_soon():
    started = time.monotonic()
    with pytest.raises(DataUnavailableError) as caught:
        load_mnist("tfds", seed=0)
    assert time.monotonic() - started < 10
    message = str(caught.value)
    assert "\n" not in message
    for words in ("source='bundled'", "source='idx', folder=", "TFDS_DATA_DIR"):
        assert words in message
    assert caught.value.__suppress_context__
    return message


def test_tfds_without_network(empty_data_dir, no_network):
    assert "(storage.googleapis.com: " in assert_unavailable_soon()


def test_tfds_where_names_are_looked_up_forever(monkeypatch, empty_data_dir):
    over = threading.Event()

    def hang(*args, **kwargs):
        over.wait(60)
        fail()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(mnist, "PATIENCE_SECONDS", 1.0)
    try:
        assert "no answer within 1 seconds" in assert_unavailable_soon()
    finally:
        over.set()


def test_tfds_whose_download_breaks_off(monkeypatch, empty_data_dir, no_network):
    """The host answers the question, then fails the download."""
    from tensorflow_datasets.core.download import downloader

    monkeypatch.setattr(mnist, "_check_answers", lambda url: None)
    monkeypatch.setattr(downloader, "MAX_RETRIES", 0)  # or wait 200 s, as tfds does
    assert "Error: " in assert_unavailable_soon()


@pytest.mark.parametrize("status", [200, 403, 503])
def test_a_host_must_answer_with_the_file(monkeypatch, status):
    class Host(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.HTTPServer(("127.0.0.1", 0), Host) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/train-images-idx3-ubyte.gz"
        if status == 200:
            mnist._check_answers(url)
        else:
            with pytest.raises(DataUnavailableError, match=f"HTTP {status}"):
                mnist._check_answers(url)
