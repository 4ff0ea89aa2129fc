"""Every family and odd shape, live against transformers: the properties of the parity table."""

import pytest

from tests.parity.cases import CASES
from tests.parity.properties import PROPERTIES, Subject


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def subject(request, tmp_path_factory):
    return Subject(request.param, tmp_path_factory.mktemp(request.param.name))


@pytest.mark.parametrize("held", PROPERTIES, ids=lambda held: held.name.replace(" ", "_"))
def test_the_model_here_is_the_model_in_transformers(subject, held):
    measured = held.measure(subject)
    assert measured <= held.bound, f"{subject.case.name}: {held.name} is {measured:.2e}; expected at most {held.bound:g}"
