"""The stub server, running, and an endpoint at it."""

import threading

import pytest

from instruct_jax.synthesis.endpoint import Endpoint
from tests.synthesis.stub_server import Stub


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    stub = Stub()
    thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stub
    stub.shutdown()
    stub.server_close()
    thread.join()


@pytest.fixture
def make_endpoint(server):
    """A function (**settings) -> an endpoint at the stub that waits for nothing long."""
    return lambda **settings: Endpoint(**{"url": server.url, "model": "stub", "first_wait_s": 0.01, "timeout_s": 5.0} | settings)
