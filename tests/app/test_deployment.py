"""The files to start a deployment from: what can be checked of them without Docker, Kubernetes and Prometheus."""

import configparser
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url
from typer.main import get_command

from app.cli import main
from app.db import with_driver
from app.settings import Settings
from tests.app.conftest import SECRET
from tests.app.serving import served

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "deployment"
UNITS = sorted((EXAMPLES / "systemd").iterdir())
OF_OTHERS = {"FORWARDED_ALLOW_IPS"}  # uvicorn's own
# Keys of the Compose specification, as far as they are used here.
TOP = {"name", "services", "volumes"}
SERVICE = {
    *("build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "init", "ports", "restart"),
    *("security_opt", "stop_grace_period", "volumes"),
}
HEALTH = {"test", "interval", "timeout", "start_period", "retries", "disable"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
DURATION = re.compile(r"(\d+h)?(\d+m)?(\d+s)?")
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
GIVEN = {"DUKOU_SECRET": SECRET, "POSTGRES_PASSWORD": "sample"}


def interpolated(value: str) -> str:
    """A value of the Compose file, where what must be set is set and all else is not."""

    def replaced(found: re.Match[str]) -> str:
        name, kind, text = found.groups()
        if name in GIVEN:
            assert kind == "?", f"{name} must be asked for with :?"
            return GIVEN[name]
        assert kind == "-", f"{name} must have a default, or be asked for"
        return str(text)

    return VARIABLE.sub(replaced, value)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return found


def variables() -> set[str]:
    """All environment variables of the settings."""
    return {str(field.validation_alias or f"DUKOU_{name.upper()}") for name, field in Settings.model_fields.items()}


def is_command(words: list[str]) -> bool:
    """Whether `dukou` has this command, with these arguments; raises where it does not take them."""
    group = get_command(main)
    command = group.commands.get(words[0])  # type: ignore[attr-defined]
    return command is not None and command.make_context(words[0], words[1:]) is not None


def test_the_compose_file_has_only_keys_of_the_specification_and_names_only_what_is_in_it(
    compose: dict[str, Any],
) -> None:
    assert {key for key in compose if not key.startswith("x-")} == TOP
    services: Mapping[str, Any] = compose["services"]
    for name, service in services.items():
        assert set(service) <= SERVICE, name
        assert service["restart"] == "unless-stopped"
        for volume in service["volumes"]:
            assert volume.split(":")[0] in compose["volumes"], name
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] in CONDITIONS
            assert "test" in services[other]["healthcheck"], "waits for a health that is not looked at"
        health = service["healthcheck"]
        assert set(health) <= HEALTH
        assert health.get("disable") or health["test"][0] in ("CMD", "CMD-SHELL")
        for key in ("interval", "timeout", "start_period"):
            assert DURATION.fullmatch(health.get(key, "1s")), (name, key)


def test_every_command_of_the_compose_file_is_one_of_dukou(compose: dict[str, Any]) -> None:
    ours = [service for service in compose["services"].values() if service["image"] == "dukou"]
    assert len(ours) == 2
    for service in ours:
        assert service["command"][0] == "dukou"
        assert is_command(service["command"][1:])


def test_every_variable_of_the_compose_file_is_a_setting_and_its_value_can_be_read(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for service in compose["services"].values():
        if service["image"] != "dukou":
            continue
        given = {name: interpolated(value) for name, value in service["environment"].items()}
        assert set(given) <= variables() | OF_OTHERS
        with monkeypatch.context() as environment:
            for name, value in given.items():
                environment.setenv(name, value)
            settings = Settings()
        assert settings.secret_bytes == SECRET.encode()
        assert settings.metrics_token_bytes == b""
        url, database = make_url(with_driver(settings.url)), compose["services"]["database"]["environment"]
        assert url.host in compose["services"]
        assert (url.username, url.database) == (database["POSTGRES_USER"], database["POSTGRES_DB"])
        assert url.password == interpolated(database["POSTGRES_PASSWORD"])


def health_checks(compose: dict[str, Any]) -> Iterator[str]:
    """The programs that look whether a container is well, from the Compose file and from the Dockerfile."""
    yield compose["services"]["service"]["healthcheck"]["test"][3]
    (found,) = re.findall(r'CMD python -c "(.+)"', (ROOT / "Dockerfile").read_text("utf-8"))
    yield found


def test_the_health_checks_of_containers_tell_a_service_from_none(compose: dict[str, Any], settings: Settings) -> None:
    with served(settings) as service:
        programs = [code.replace("http://127.0.0.1:8000", service.address) for code in health_checks(compose)]
        assert all(service.address in code for code in programs)
        for code in programs:
            assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    for code in programs:
        done = subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.DEVNULL)
        assert done.returncode != 0


def test_the_image_runs_as_one_who_is_not_root_and_has_all_that_is_installed() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    user = lines.index("USER dukou")
    assert all(not line.startswith(("USER", "RUN pip")) for line in lines[user + 1 :])
    copied = {place for line in lines if line.startswith("COPY") for place in line.split()[1:-1]}
    assert {"app", "matching", "pyproject.toml"} <= copied
    let_in = (ROOT / ".dockerignore").read_text("utf-8")
    assert all(f"!{place}\n" in let_in for place in copied)
    assert "--uid 10001" in "".join(lines)
    assert is_command(yaml.safe_load(lines[-1].removeprefix("CMD "))[1:])


def unit(path: Path) -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(path, "utf-8")
    return read


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_commands_of_dukou_with_its_settings(path: Path) -> None:
    read = unit(path)
    assert read["Unit"]["Description"]
    if path.suffix == ".timer":
        assert path.with_suffix(".service").exists()
        assert read["Timer"]["OnCalendar"]
        return
    service = read["Service"]
    assert service["User"] == "dukou"
    assert {name.split("=")[0] for name in service["Environment"].split()} <= variables()
    commands = [command_in(value) for key, value in service.items() if key.startswith("Exec")]
    assert commands
    assert all(is_command(words) for words in commands)


def command_in(line: str) -> list[str]:
    """The words behind the program's name; what a shell would put in is left out."""
    return re.sub(r"\$\([^)]*\)|['\"]", "", line.split("/bin/dukou ", 1)[1]).split()


def test_lines_of_the_crontab_are_five_times_and_a_command_of_dukou() -> None:
    lines = [line for line in (EXAMPLES / "crontab").read_text("utf-8").splitlines() if line[:1] not in ("#", "")]
    assert len(lines) == 2
    for line in lines:
        assert re.match(r"([\d*]+ +){5}\. /etc/dukou/dukou\.env && /opt", line)
        assert "%" not in line.replace("\\%", "")  # cron would end the line there
        assert is_command(command_in(line))


def test_the_cron_job_of_kubernetes_runs_a_command_of_dukou_as_the_images_user() -> None:
    job = yaml.safe_load((EXAMPLES / "kubernetes-night.yaml").read_text("utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"][0] == "dukou"
    assert is_command(container["command"][1:])
    assert f"--uid {pod['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text("utf-8")
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_alerts_ask_for_metrics_that_are_told() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    told = set(re.findall(r"^\| `(dukou_[a-z_]+)`", page, re.MULTILINE))
    told |= {f"{name}_{end}" for name in told for end in ("count", "bucket") if name.endswith("_seconds")}
    groups = yaml.safe_load((EXAMPLES / "alerts.yml").read_text("utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 5
    for rule in rules:
        asked = set(re.findall(r"\bdukou_[a-z_]+", rule["expr"]))
        assert asked or "up" in rule["expr"]
        assert asked <= told, rule["alert"]
        assert rule["annotations"]["summary"]
    scraped = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text("utf-8"))
    assert scraped["scrape_configs"][0]["authorization"] == {"credentials_file": "/etc/prometheus/dukou-token"}
