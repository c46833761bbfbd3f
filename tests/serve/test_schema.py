"""Whatever is sent, the answer is one that the OpenAPI document names."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from openmmb.serve.app import create_app
from openmmb.serve.service import Hosted

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]


def nobody() -> Hosted:
    raise AssertionError("nothing is served")


DOCUMENT: Any = schemathesis.openapi.from_dict(create_app(nobody).openapi())
OPERATIONS = [operation.ok() for operation in DOCUMENT.get_all_operations()]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.method == "post"], ids=lambda one: one.path
)
def test_a_body_is_answered_as_described(url: str, operation: Any, mode: GenerationMode) -> None:
    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS)

    check()


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.method == "get"], ids=lambda one: one.path
)
def test_an_address_is_answered_as_described(url: str, operation: Any) -> None:
    @settings(max_examples=5, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def check(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS)

    check()
