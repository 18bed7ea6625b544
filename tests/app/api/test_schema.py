"""Requests made up from /openapi.json: nothing may fail on our side, and every refusal has the one shape of errors."""

from collections import Counter
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.api.application import create_app
from tests.app.api.fake_assay import FakeAssay, fake_product

pytestmark = pytest.mark.slow
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SUPPRESSED = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_makes_the_server_fail(tmp_path, mode):
    product = fake_product(tmp_path, FakeAssay())
    _, token = product.keys.create("schemathesis", scopes=["read", "write", "admin"], rate_per_minute=10**9)
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(product))
    answered: Counter[int] = Counter()
    for result in schema.get_all_operations():
        with suppress(Unsatisfiable):  # an operation without input cannot be called wrongly
            probe(result.ok(), mode, token, answered)
    assert answered.total() > 200
    assert answered[200] > 20 if mode is GenerationMode.POSITIVE else answered[422] > 100  # most made-up ids are 404


def probe(operation, mode, token: str, answered: Counter[int]) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=20, deadline=None, suppress_health_check=SUPPRESSED, database=None)
    def check(case):
        response = case.call(headers={"authorization": f"Bearer {token}", "x-requested-with": "assay"})
        answered[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            assert set(response.json()["error"]) == {"message", "type", "code", "param"}

    check()
