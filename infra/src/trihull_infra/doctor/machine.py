"""What this machine needs for a deploy: Python, the engine and its plugins, git, login programs, the state's place."""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import yaml

from trihull_infra import engine
from trihull_infra.cloud import Cloud
from trihull_infra.deploy.stacks import Project
from trihull_infra.doctor import findings
from trihull_infra.doctor.findings import Finding
from trihull_infra.environment import Environment
from trihull_infra.errors import EngineError

TOOL_S: Final = 15.0
# What a kubeconfig's exec plugin starts on each cloud, and how it is asked for its version (docs/providers.md).
LOGINS: Final[Mapping[Cloud, tuple[str, ...]]] = {
    Cloud.AWS: ("aws", "--version"),
    Cloud.GCP: ("gke-gcloud-auth-plugin", "--version"),
    Cloud.AZURE: ("kubelogin", "--version"),
}
# The engine's plugin of a cloud, and the distribution whose version it has.
PLUGINS: Final[Mapping[str, str]] = {
    "aws": "pulumi-aws",
    "gcp": "pulumi-gcp",
    "azure": "pulumi-azure-native",
    "kubernetes": "pulumi-kubernetes",
    "tls": "pulumi-tls",
}


def python() -> Sequence[Finding]:
    """Say which Python this is; that it is new enough is why this runs."""
    return [findings.ok(f"{platform.python_version()} on {platform.system()}")]


def git() -> Sequence[Finding]:
    """Say whether git is here: what is served is committed."""
    said = _version("git", "--version")
    return [findings.ok(said) if said else findings.warning("git is not on PATH", "install git")]


def the_engine() -> Sequence[Finding]:
    """Say which engine a deploy would use."""
    said: list[str] = []
    try:
        found = engine.find(said.append)
    except EngineError as error:
        return [findings.failed(findings.plain(error), "remove the folder that it names; the next `up` makes it anew")]
    if found is None:
        seen = "; ".join(["no engine is here", *said])
        return [findings.warning(seen, "the first `up` installs or builds it, which takes minutes; or install Pulumi")]
    return [findings.ok(f"Pulumi {found.version}, from {found.source}")]


def plugins(clouds: Sequence[Cloud]) -> Sequence[Finding]:
    """Say which of the engine's plugins are here; the engine fetches the others when it first needs them."""
    missing = []
    for name in dict.fromkeys([*(cloud.value for cloud in clouds), "kubernetes", "tls"]):
        try:
            version = metadata.version(PLUGINS[name])
        except metadata.PackageNotFoundError:
            do = f"install trihull-infra[{name}]"
            return [findings.failed(f"{PLUGINS[name]} is not installed: the programs of {name} do not run", do)]
        if not _plugin_is_here(PLUGINS[name].removeprefix("pulumi-"), version):
            missing.append(f"{PLUGINS[name].removeprefix('pulumi-')} {version}")
    if missing:
        do = "the first `up` fetches them; without a network: `pulumi plugin install resource NAME VERSION --file ...`"
        return [findings.warning(f"not here yet: {', '.join(missing)}", do)]
    return [findings.ok("all that the clouds need are here")]


def login(cloud: Cloud) -> Sequence[Finding]:
    """Say whether the program is here that the cluster's kubeconfig starts for a token."""
    if cloud not in LOGINS:
        return [findings.not_asked("the kubeconfig says by itself how to log in")]
    program, *arguments = LOGINS[cloud]
    said = _version(program, *arguments)
    if said is None:
        return [
            findings.failed(f"{program} is not on PATH, and the cluster's kubeconfig starts it", f"install {program}")
        ]
    return [findings.ok(said)]


def state() -> Sequence[Finding]:
    """Say where the stacks' state lives, and whether it is reached."""
    found = engine.find(lambda _line: None)
    if found is None:
        return [findings.not_asked("there is no engine yet to ask")]
    command = [str(found.path), "whoami", "--json", "--non-interactive"]
    environ = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S, env=environ, check=False)
    except subprocess.TimeoutExpired:
        do = "check the network, PULUMI_BACKEND_URL, and the credentials of the cloud that it lies in"
        return [findings.failed(f"where the state lives does not answer within {TOOL_S:g} s", do)]
    url = str(json.loads(done.stdout).get("url", "")) if done.returncode == 0 else ""
    if not url:
        do = "choose where the state lives: `pulumi login s3://...` (gs://, azblob://, file://), or PULUMI_BACKEND_URL"
        return [findings.failed(f"no place for the state: {findings.plain(done.stderr)}", do)]
    return [findings.ok(findings.plain(url))]


def secrets(environment: Environment, stacks: Path, clouds: Sequence[Cloud]) -> Sequence[Finding]:
    """Say what encrypts secrets in the state, by the stacks' settings, and whether a passphrase is missing."""
    passphrase = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    known = passphrase or os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if passphrase == "" and not known:  # the engine takes it; a secret that CI does not know comes out like this
        do = "set it, or unset it where a cloud's key encrypts"
        return [findings.warning("PULUMI_CONFIG_PASSPHRASE is empty: it encrypts and guards nothing", do)]
    seen: dict[str, None] = {}
    for project in Project:
        for cloud in clouds:
            stack = environment.name if project.whole else f"{environment.name}-{cloud}"
            seen[_encrypts(stacks / project / f"Pulumi.{stack}.yaml")] = None
    if "a passphrase" in seen and not known:
        do = "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the one that the stacks were made with"
        return [findings.failed("stacks are encrypted by a passphrase, and none is set", do)]
    if "nothing yet" in seen and not known and not os.environ.get("PULUMI_ACCESS_TOKEN"):
        do = "set PULUMI_CONFIG_PASSPHRASE, or `pulumi stack init --secrets-provider awskms://...` in each project"
        return [findings.warning("stacks that are not made yet have nothing to encrypt secrets with", do)]
    return [findings.ok(", ".join(seen))]


def _encrypts(settings: Path) -> str:
    try:
        found = yaml.safe_load(settings.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError):
        return "nothing yet"
    if provider := found.get("secretsprovider"):
        return findings.plain(str(provider))
    return "a passphrase" if "encryptionsalt" in found else "nothing yet"


def _plugin_is_here(name: str, version: str) -> bool:
    if shutil.which(f"pulumi-resource-{name}"):
        return True
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return (home / "plugins" / f"resource-{name}-v{version}").is_dir()


def _version(program: str, *arguments: str) -> str | None:
    """Return the first line that a program says of its version; None when it is not on PATH or does not answer."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=TOOL_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = [line for line in (done.stdout + done.stderr).splitlines() if re.search(r"\d+\.\d+", line)]
    return f"{program}: {lines[0].strip()[:100]}" if done.returncode == 0 and lines else f"{program}: version unknown"
