"""Settings of the service that would open a door by mistake are refused before anything listens."""

from __future__ import annotations

import pytest

from imgflow_service.settings import load
from imgflow_steps.contract.step import BadParametersError

ONE, OTHER = "a" * 64, "b" * 64


@pytest.mark.parametrize("keys", [ONE, f"shop={ONE}", f"shop:{ONE}\n{OTHER}"])
def test_a_key_without_a_name_does_not_open_the_service_to_everybody(keys: str) -> None:
    with pytest.raises(BadParametersError, match=r"IMGFLOW_SERVE_KEYS: .*NAME:SHA256") as caught:
        load(environment={"IMGFLOW_SERVE_KEYS": keys})

    assert ONE not in str(caught.value)
    assert OTHER not in str(caught.value)


def test_two_keys_of_one_name_are_refused_and_not_the_last_one_taken() -> None:
    with pytest.raises(BadParametersError, match="IMGFLOW_SERVE_KEYS: shop is there more than once"):
        load(environment={"IMGFLOW_SERVE_KEYS": f"shop:{ONE}\nshop:{OTHER}"})


def test_empty_lines_between_keys_are_none() -> None:
    assert load(environment={"IMGFLOW_SERVE_KEYS": f"\nshop:{ONE}\n\n lab:{OTHER},\n"}).keys == {
        "shop": ONE,
        "lab": OTHER,
    }


@pytest.mark.parametrize("network", ["10.0.0.5/8", "intranet", "10.0.0.0/40"])
def test_a_network_that_is_none_is_a_fault_of_the_settings(network: str) -> None:
    with pytest.raises(BadParametersError, match=r"IMGFLOW_SERVE_URL_NETWORKS: .*such as 10\.0\.0\.0/8"):
        load(environment={"IMGFLOW_SERVE_URL_NETWORKS": f"192.168.0.0/16,{network}"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_HOST", ""),
        ("API_PROCESSORS", ""),
        ("API_PROCESSORS", "a processor"),
        ("PROCESSOR_CONNECTION_AGE", "inf"),
        ("LIMITS_BYTES", "1000000000000"),
        ("CACHE_DAYS", "inf"),
        ("JOBS_DAYS", "99999999999"),
        ("RATE", "inf"),
    ],
)
def test_what_would_end_in_a_traceback_later_is_a_fault_of_its_setting(name: str, value: str) -> None:
    with pytest.raises(BadParametersError, match=f"IMGFLOW_SERVE_{name}: "):
        load(environment={f"IMGFLOW_SERVE_{name}": value})


@pytest.mark.parametrize(
    "broker", ["h:6379", "amqp://:secret@h", "redis://:secret@h:port/0", "redis://:secret@h/queue", "redis://h:70000"]
)
def test_a_broker_that_is_none_is_refused_without_its_password(broker: str) -> None:
    with pytest.raises(BadParametersError, match="IMGFLOW_SERVE_JOBS_BROKER: ") as caught:
        load(environment={"IMGFLOW_SERVE_JOBS_BROKER": broker})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("broker", ["redis://h", "rediss://u:p@h:6380/3", "sentinel://a:1;sentinel://b:2", ""])
def test_a_broker_of_redis_is_taken_however_it_is_written(broker: str) -> None:
    assert load(environment={"IMGFLOW_SERVE_JOBS_BROKER": broker}).jobs.broker == broker
