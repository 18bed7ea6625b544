"""The image and the compose file, as far as that goes without a Docker engine: every command in them is run here too."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app.api.config import ApiConfig
from app.settings import load_settings
from tests.running_server import SERVE, clean_environment
from tests.test_architecture import PACKAGES

ROOT = Path(__file__).parent.parent
INSTRUCTIONS = [
    tuple(line.split(maxsplit=1))
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("build")}
SECRETS = {"POSTGRES_PASSWORD": "Zk3v0p-9Qn", "VLLM_API_KEY": "b7Qx-1f4"}


def of(kind: str) -> list[str]:
    return [rest for word, rest in INSTRUCTIONS if word == kind]


def final_stage() -> list[tuple[str, str]]:
    last = max(n for n, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM")
    return INSTRUCTIONS[last:]


def image_environment() -> dict[str, str]:
    pairs = (pair.partition("=") for rest in of("ENV") for pair in rest.split())
    return {name: value for name, _, value in pairs}


def substituted(value: str) -> str:
    """`${NAME:-default}` and `${NAME:?message}` as compose reads them, with the secrets of a .env file."""
    return re.sub(
        r"\$\{(\w+)(?::([-?])([^}]*))?\}",
        lambda m: SECRETS.get(m[1]) or (m[3] if m[2] == "-" else pytest.fail(f"{m[1]} is not in .env")),
        value,
    )


def test_the_image_is_built_in_stages_and_runs_as_nobody_in_particular():
    assert len(of("FROM")) == 2
    words = [word for word, _ in final_stage()]
    (user,) = (rest for word, rest in final_stage() if word == "USER")
    assert user not in ("root", "0")
    assert words.index("USER") < words.index("CMD")
    assert not any("pip" in rest for word, rest in final_stage() if word == "RUN"), (
        "build tools belong in the first stage"
    )


def test_what_is_copied_exists_is_not_ignored_and_is_every_package():
    copied = {source for rest in of("COPY") if not rest.startswith("--from") for source in rest.split()[:-1]}
    assert set(PACKAGES) <= copied
    ignored = (ROOT / ".dockerignore").read_text().split()
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source not in ignored
    assert {".git", ".venv*", "var", "tests"} <= set(ignored)


def test_the_image_starts_the_server_that_these_tests_start():
    assert json.loads(of("CMD")[-1]) == ["python", *SERVE]
    assert of("STOPSIGNAL") == ["SIGTERM"]  # test_server.py shows that open streams are finished


@pytest.mark.slow
def test_the_health_check_of_the_image_tells_a_running_server_from_none(sample_server):
    command = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
    assert command[0] == "python"
    port = sample_server.base.rpartition(":")[2]
    for at, healthy in ((port, True), ("1", False)):
        probe = [sys.executable, *(part.replace("127.0.0.1:8000", f"127.0.0.1:{at}") for part in command[1:])]
        assert (subprocess.run(probe, capture_output=True).returncode == 0) is healthy


def test_the_settings_of_the_image_load_and_its_volume_is_where_they_write(monkeypatch):
    environment = image_environment()
    for name in [n for n in os.environ if n.startswith("ASSAY_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        if name.startswith("ASSAY_"):
            monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.host == "0.0.0.0"
    assert of("VOLUME") == [str(settings.var)]
    assert of("EXPOSE") == [str(settings.port)]
    assert environment["PYTHONPATH"] == of("WORKDIR")[-1]


def test_the_root_of_our_containers_is_read_only_and_they_may_do_nothing_special():
    assert OURS
    for service in OURS.values():
        assert service["read_only"]
        assert service["tmpfs"] == ["/tmp"]
        assert service["cap_drop"] == ["ALL"]
        assert service["volumes"] == [f"var:{of('VOLUME')[0]}"]
        assert all(port.startswith("127.0.0.1:") and port.endswith(":8000") for port in service["ports"])
        assert int(service["stop_grace_period"].rstrip("s")) > ApiConfig().shutdown_grace_s


def test_each_profile_starts_one_api_and_what_it_depends_on():
    profiles = {profile for service in SERVICES.values() for profile in service["profiles"]}
    assert profiles == {"api", "full"}
    for profile in profiles:
        started = {name for name, service in SERVICES.items() if profile in service["profiles"]}
        assert len(started & set(OURS)) == 1, "two would want the same port"
        for name in started:
            for other, condition in SERVICES[name].get("depends_on", {}).items():
                assert other in started
                assert condition["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


def test_every_volume_and_image_is_named():
    declared = set(COMPOSE["volumes"])
    for service in SERVICES.values():
        assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= declared
        assert service["image"]


@pytest.mark.parametrize("name", OURS)
def test_what_compose_passes_to_the_api_loads_and_reaches_its_neighbours(monkeypatch, name):
    for variable in [n for n in os.environ if n.startswith("ASSAY_")]:
        monkeypatch.delenv(variable)
    for variable, value in OURS[name].get("environment", {}).items():
        monkeypatch.setenv(variable, substituted(value))
    settings = load_settings()
    if name == "api":
        assert settings.database.startswith("sqlite")
        return
    assert settings.environment == "production"
    assert "@postgres/" in settings.database
    assert settings.llm.base_url == "http://vllm:8000/v1"
    (model,) = (substituted(part) for part in SERVICES["vllm"]["command"] if "MODEL" in part)
    assert settings.llm.model == model
    assert settings.llm.api_key.get_secret_value() == substituted(SERVICES["vllm"]["environment"]["VLLM_API_KEY"])


def test_no_secret_is_on_a_command_line_or_has_a_default():
    text = (ROOT / "compose.yaml").read_text()
    assert not re.search(r"\$\{\w*(PASSWORD|KEY)\w*(:-|\})", text)
    assert not any("KEY" in part or "PASSWORD" in part for s in SERVICES.values() for part in s.get("command", ()))


@pytest.mark.slow
def test_the_command_that_the_compose_file_names_makes_a_key(tmp_path):
    (command,) = re.findall(r"docker compose exec api python (.+)", (ROOT / "compose.yaml").read_text())
    environment = clean_environment(ASSAY_HOME=str(tmp_path))
    out = subprocess.run(
        [sys.executable, *command.split()], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout.startswith("ask_")
