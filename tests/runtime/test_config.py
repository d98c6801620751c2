"""The table of settings: flags, environment, limits, and the page made from it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restate_protocol.contract.model import DEFAULTS, Defaults, OnMaxAttempts, RetryPolicy
from restate_runtime.config import SETTINGS, Setting, Settings, SettingsError, help_text, load, markdown
from restate_runtime.deployments.bounds import UNBOUNDED
from restate_runtime.server import handler_defaults, retention_bounds

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"

GOOD = [
    ("db", "x/y.db", "x/y.db"),
    ("host", "0.0.0.0", "0.0.0.0"),
    ("ingress_grpc_port", "0", 0),
    ("ingress_http_port", "65535", 65_535),
    ("admin_grpc_port", "1234", 1_234),
    ("admin_http_port", "1235", 1_235),
    ("max_message_bytes", "4194304", 4_194_304),
    ("max_key_bytes", "255", 255),
    ("journal_headers", "Tenant, trace-*", ("tenant", "trace-*")),
    ("max_http_head_bytes", "1024", 1_024),
    (
        "cors_allowed_origins",
        "https://App.example, http://localhost:3000",
        ("https://app.example", "http://localhost:3000"),
    ),
    ("cors_allowed_headers", "Authorization, tenant-*", ("authorization", "tenant-*")),
    ("cors_max_age_ms", "0", 0),
    ("cors_credentials", "on", "on"),
    ("timers_in_memory", "1", 1),
    ("session_credits", "10", 10),
    ("delivery_timeout_ms", "100", 100),
    ("drain_grace_ms", "100", 100),
    ("max_metadata_bytes", "2048", 2_048),
    ("max_waiting_callers", "5", 5),
    ("max_queued_invocations", "5", 5),
    ("max_bytes_in_flight", "2048", 2_048),
    ("ready_in_memory", "5", 5),
    ("ready_bytes_in_memory", "2048", 2_048),
    ("commit_gather_ms", "0", 0),
    ("grpc_keepalive_ms", "5", 5),
    ("grpc_keepalive_timeout_ms", "5", 5),
    ("grpc_min_ping_interval_ms", "0", 0),
    ("ingress_session_credits", "10", 10),
    ("ingress_session_buffer_bytes", "65536", 65_536),
    ("otlp_endpoint", "http://collector:4317", "http://collector:4317"),
    ("trace_console", "on", "on"),
    ("trace_queue", "5", 5),
    ("trace_reexport_ms", "0", 0),
    ("retention_sweep_ms", "100", 100),
    ("abort_sweep_ms", "50", 50),
    ("default_inactivity_timeout_ms", "0", 0),
    ("default_abort_timeout_ms", "1000", 1_000),
    ("default_retry_initial_interval_ms", "10", 10),
    ("default_retry_factor", "1.5", 1.5),
    ("default_retry_max_interval_ms", "90000", 90_000),
    ("default_retry_max_attempts", "1", 1),
    ("default_retry_on_max_attempts", "kill", "kill"),
    ("default_journal_retention_ms", "0", 0),
    ("default_idempotency_retention_ms", "315360000000", 315_360_000_000),
    ("default_workflow_retention_ms", "60000", 60_000),
    ("max_journal_retention_ms", "0", 0),
    ("max_idempotency_retention_ms", "60000", 60_000),
    ("max_workflow_retention_ms", "60000", 60_000),
    ("default_lazy_state", "on", "on"),
    ("log_format", "json", "json"),
    ("log_level", "debug", "debug"),
]

BAD = [
    ("db", " "),
    ("host", " "),
    ("ingress_grpc_port", "65536"),
    ("ingress_grpc_port", "-1"),
    ("ingress_grpc_port", "http"),
    ("ingress_grpc_port", "٣"),
    ("max_message_bytes", "4MB"),
    ("max_key_bytes", "0"),
    ("journal_headers", "a b"),
    ("journal_headers", "authorization"),
    ("journal_headers", "x-a,Cookie"),
    ("journal_headers", "*"),
    ("cors_allowed_origins", "app.example"),
    ("cors_allowed_origins", "https://app.example/"),
    ("cors_allowed_origins", "https://*.example"),
    ("cors_allowed_origins", "null"),
    ("cors_allowed_origins", "https://app.example:443"),
    ("cors_allowed_headers", "a b"),
    ("delivery_timeout_ms", "5s"),
    ("otlp_endpoint", "collector"),
    ("trace_console", "yes"),
    ("retention_sweep_ms", "0"),
    ("default_retry_factor", "0.9"),
    ("default_retry_factor", "inf"),
    ("default_retry_factor", "2e1"),
    ("default_retry_max_attempts", "0"),
    ("default_retry_on_max_attempts", "PAUSE"),
    ("default_lazy_state", "yes"),
    ("log_format", "xml"),
    ("log_level", "INFO"),
]


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_a_setting_is_taken_from_flag_and_environment(name: str, text: str, value: object) -> None:
    assert getattr(load({name: text}, {}), name) == value
    assert getattr(load({name: None}, {f"RESTATE_{name.upper()}": text}), name) == value


def test_every_setting_has_a_case_here() -> None:
    assert {name for name, _, _ in GOOD} == {one.name for one in SETTINGS} == {one.name for one in fields(Settings)}


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_value_that_makes_no_sense_is_an_error_that_names_the_setting(name: str, text: str) -> None:
    flag = "--" + name.replace("_", "-")
    with pytest.raises(SettingsError, match=f"^{flag}="):
        load({name: text}, {})
    with pytest.raises(SettingsError, match=f"^RESTATE_{name.upper()}="):
        load({}, {f"RESTATE_{name.upper()}": text})


def test_a_flag_wins_over_the_environment_and_an_empty_variable_counts_as_not_given() -> None:
    assert load({"db": "flag.db"}, {"RESTATE_DB": "env.db"}).db == "flag.db"
    assert load({}, {"RESTATE_DB": ""}).db == "restate.db"


def test_two_ports_must_differ_unless_they_are_free_ones() -> None:
    with pytest.raises(SettingsError, match=r"--admin-grpc-port and --ingress-grpc-port are both 8080"):
        load({"admin_grpc_port": "8080"}, {})
    load({"admin_grpc_port": "0", "ingress_grpc_port": "0"}, {})


def test_the_longest_wait_of_a_retry_is_not_shorter_than_the_first() -> None:
    with pytest.raises(SettingsError, match=r"--default-retry-max-interval-ms \(400\) is shorter than"):
        load({"default_retry_max_interval_ms": "400"}, {})
    load({"default_retry_max_interval_ms": "400", "default_retry_initial_interval_ms": "400"}, {})


def test_pages_of_every_origin_may_not_send_cookies() -> None:
    with pytest.raises(SettingsError, match=r"--cors-credentials=on with the origin \*"):
        load({"cors_credentials": "on", "cors_allowed_origins": "*"}, {})
    load({"cors_allowed_origins": "*"}, {})
    load({"cors_credentials": "on", "cors_allowed_origins": "https://app.example"}, {})


def test_an_unknown_flag_is_an_error() -> None:
    with pytest.raises(SettingsError, match="no setting 'color'"):
        load({"color": "red"}, {})


@given(st.sampled_from(SETTINGS), st.text())
def test_any_text_gives_a_value_or_a_clear_error(setting: Setting, text: str) -> None:
    try:
        load({setting.name: text}, {})
    except SettingsError as error:
        assert setting.flag in str(error)  # noqa: PT017


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_help_and_page_tell_each_setting(setting: Setting) -> None:
    assert setting.doc.endswith(".")
    assert setting.env in help_text(setting)
    assert f"| `{setting.flag}` | `{setting.env}` |" in markdown()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_the_default_is_itself_a_value_one_may_give(setting: Setting) -> None:
    if setting.default_text:
        assert setting.parse(setting.default_text) == setting.default


def test_the_page_in_docs_is_fresh() -> None:
    assert PAGE.read_text() == markdown(), "run: restate-runtime settings > docs/reference/settings.md"


def test_without_settings_handlers_have_the_defaults_of_the_contract() -> None:
    assert handler_defaults(Settings()) == DEFAULTS
    assert retention_bounds(Settings()) == UNBOUNDED


def test_settings_are_the_defaults_of_handlers() -> None:
    flags = {
        "default_inactivity_timeout_ms": "1",
        "default_abort_timeout_ms": "2",
        "default_retry_initial_interval_ms": "3",
        "default_retry_factor": "4",
        "default_retry_max_interval_ms": "5",
        "default_retry_max_attempts": "6",
        "default_retry_on_max_attempts": "kill",
        "default_journal_retention_ms": "7",
        "default_idempotency_retention_ms": "8",
        "default_workflow_retention_ms": "9",
        "default_lazy_state": "on",
    }
    retry = RetryPolicy(3, 4.0, 5, 6, OnMaxAttempts.KILL)
    assert handler_defaults(load(flags, {})) == Defaults(retry, 1, 2, 7, 8, 9, lazy_state=True)
