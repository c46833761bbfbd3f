"""Each flag of ``openmmb serve`` can be an environment variable, and the command line wins."""

import json

import pytest

from openmmb.cli import main
from openmmb.cli.serve import from_environment
from openmmb.errors import ConfigError
from openmmb.serve.config import ServeConfig


def test_a_variable_is_a_flag() -> None:
    variables = {
        "OPENMMB_PORT": "80",
        "OPENMMB_API_KEY": "one\ntwo",
        "OPENMMB_NO_GUARD": "1",
        "OPENMMB_TIME_LIMIT": "",
        "OPENMMB_BAN_GENDERED_WORDS": "0",
        "OPENMMB_PERSONA": "--I have a dog.",
        "OPENMMB_UNKNOWN": "x",
        "PORT": "81",
    }
    assert from_environment(["tiny"], variables) == [
        "--port=80",
        "--api-key=one",
        "--api-key=two",
        "--persona=--I have a dog.",
        "--no-guard",
        "tiny",
    ]


@pytest.mark.parametrize("given", [["--port", "90"], ["--port=90"]])
def test_the_command_line_wins(given: list[str]) -> None:
    assert from_environment(given, {"OPENMMB_PORT": "80"}) == given


def test_a_variable_that_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENMMB_MAX_WAITING", "many")
    with pytest.raises(SystemExit):
        main(["serve"])
    assert "--max-waiting" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_waiting": 0}, "max_waiting: expected at least 1, got 0"),
        ({"time_limit": float("nan")}, "time_limit: expected above 0"),
        ({"origin": ("example.org",)}, "origin: expected the form https://example.org, got"),
        ({"api_key": ("with space",)}, "api_key: expected visible ASCII"),
        ({"api_key": ("",)}, "api_key: expected visible ASCII"),
    ],
)
def test_a_setting_that_is_none_is_refused(settings: dict[str, object], message: str) -> None:
    make: type = ServeConfig
    with pytest.raises(ConfigError, match=message) as error:
        make(**settings)
    assert "with space" not in str(error.value)


def test_the_protocol_is_described_without_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "/v1/chat/completions" in document["paths"]
