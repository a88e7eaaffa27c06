"""Runs containers without namespaces: in a virtual environment of the image's requirements, with its unpacked files.

For machines that are not Linux, or do not allow user namespaces. The image is verified as ever, and the requirements
are the image's own with their hashes, so the code is the same; the interpreter and compiled packages are this
machine's.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from trihull_infra.emulators.cluster import images
from trihull_infra.emulators.cluster.errors import ImageError
from trihull_infra.emulators.cluster.images import Image, Images
from trihull_infra.emulators.cluster.runner import Container, Plan

REQUIREMENTS = "/opt/trihull/requirements.txt"
DEPENDENCIES = "/opt/trihull/dependencies"  # compiled for the image's platform: the virtual environment replaces it
MODELS = "/models"
INSTALL_TIMEOUT_S = 600


class VirtualRunner:
    """A `Runner` by virtual environments."""

    isolation = "virtual environment"

    def __init__(self, cache: Images) -> None:
        """Take unpacked images from `cache`; environments are made beside them."""
        self.images = cache

    def plan(self, container: Container) -> Plan:
        """See `Runner.plan`."""
        image = self.images.get(container.image)
        python = self._environment(image)
        argv = images.command(image.config, container.command, container.args)
        places = [(bind.target, str(bind.source)) for bind in container.binds]

        def moved(text: str) -> str:
            return ":".join(_moved(image.root, places, part) for part in text.split(":"))

        env = images.environment(image.config)
        env.setdefault("TRIHULL_MODELS", MODELS)  # the server's own default is a path of the image
        env |= container.environment
        paths = env.get("PYTHONPATH", "").split(":")
        env["PYTHONPATH"] = ":".join(path for path in paths if path and path != DEPENDENCIES)
        env = {name: value if name == "PATH" else moved(value) for name, value in env.items()}
        env["PATH"] = f"{python.parent}:{os.defpath}"
        cwd = container.working_dir or str(image.config.get("WorkingDir") or "/")
        is_python = Path(argv[0]).name.startswith("python")
        program = str(python) if is_python else _moved(image.root, places, argv[0])
        return Plan((program, *(moved(argument) for argument in argv[1:])), env, _moved(image.root, places, cwd))

    def _environment(self, image: Image) -> Path:
        """Return the Python of the image's virtual environment, made when it is not there yet."""
        folder = image.root.parent
        name = f"venv-{platform.python_version()}-{sys.platform}-{platform.machine()}"
        ready, partial = folder / name, folder / f"{name}.partial"
        requirements = images.resolve(image.root, REQUIREMENTS)
        with self.images.locked(folder):
            if not ready.is_dir():
                if not requirements.is_file():
                    raise ImageError(
                        f"Image {image.digest} has no {REQUIREMENTS}, and this machine cannot run it in namespaces "
                        "(trihull emulators status says why)."
                    )
                if partial.exists():
                    shutil.rmtree(partial)
                uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
                if uv is None:
                    raise ImageError("Without namespaces a pod needs uv for its virtual environment; install uv.")
                _run(uv, "venv", "--python", sys.executable, "--relocatable", str(partial))
                python = partial / "bin" / "python"
                _run(uv, "pip", "install", "--python", str(python), "--require-hashes", "-r", str(requirements))
                partial.rename(ready)
        return ready / "bin" / "python"


def _moved(root: Path, places: list[tuple[str, str]], text: str) -> str:
    """Rewrite a path of the container to where it is on this machine; any other text stays."""
    if not text.startswith("/"):
        return text
    for target, source in sorted(places, key=lambda place: -len(place[0])):
        if text == target or text.startswith(f"{target}/"):
            return source + text[len(target) :]
    inside = images.resolve(root, text)
    return str(inside) if inside.exists() else text


def _run(*argv: str) -> None:
    environment = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    try:
        result = subprocess.run(
            argv, capture_output=True, timeout=INSTALL_TIMEOUT_S, check=False, env=environment, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{' '.join(argv[:3])} did not end within {INSTALL_TIMEOUT_S} s.") from error
    if result.returncode != 0:
        raise ImageError(f"{' '.join(argv[:3])} failed: {result.stderr.decode(errors='replace').strip()[-800:]}")
