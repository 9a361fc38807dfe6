"""The kernel in which notebooks run: this Python, reached over private socket files, holding the
runner's lock."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Int
from traitlets.config import Config

from interplm_nb.children import SAFE_PATH
from interplm_nb.scratch import scratch_folder


class RunKernelManager(AsyncKernelManager):
    """Starts a kernel of the running Python, whichever kernel is installed as `python3`."""

    lock_descriptor = Int(
        -1,
        help="Open lock file that the kernel inherits: if it outlives a killed runner, the folder "
        "stays locked.",
    ).tag(config=True)

    @property
    def kernel_spec(self) -> KernelSpec:
        """How the kernel starts: `kernel_main`, with the running Python."""
        if self._kernel_spec is None:
            argv = [
                sys.executable,
                "-P",  # `-m` alone would put the run's folder first on the path
                "-Xfrozen_modules=off",
                "-m",
                "interplm_nb.pipeline.kernel_main",
                "-f",
                "{connection_file}",
            ]
            # What a killed kernel leaves behind is removed with the folder of its connection file.
            env = {**SAFE_PATH, "TMPDIR": str(Path(self.connection_file).parent)}
            self._kernel_spec = KernelSpec(
                argv=argv, display_name="Python 3 (ipykernel)", language="python", env=env
            )
        return self._kernel_spec

    async def _async_pre_start_kernel(  # type: ignore[override]
        self, **kw: Any
    ) -> tuple[list[str], dict[str, Any]]:
        command, kw = await super()._async_pre_start_kernel(**kw)
        if self.lock_descriptor >= 0:
            kw["pass_fds"] = (self.lock_descriptor,)
        return command, kw


@contextmanager
def kernel_settings(lock_descriptor: int) -> Iterator[Config]:
    """Settings for `RunKernelManager`; nothing listens on a port."""
    settings = Config()
    settings.RunKernelManager.lock_descriptor = lock_descriptor
    settings.RunKernelManager.transport = "ipc"
    with scratch_folder() as folder:
        settings.RunKernelManager.ip = str(folder / "k")
        settings.RunKernelManager.connection_file = str(folder / "k.json")
        yield settings
