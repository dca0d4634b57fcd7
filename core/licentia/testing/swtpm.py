"""A real TPM 2.0 in software (swtpm, of Debian's swtpm and swtpm-tools), for tests of what depends on one.

It is made as a maker makes one: with an endorsement key and a certificate for it by an authority.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAMS = ("swtpm", "swtpm_setup", "swtpm_localca", "certtool")
START_SECONDS = 10


def missing() -> str:
    """Why there can be no such TPM here; empty if there can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


class Maker:
    """A maker of TPMs. The certificate of its authority is in the folder `trust` after it has made the first."""

    def __init__(self, folder: Path) -> None:
        self.trust = folder / "trust"
        self.trust.mkdir(parents=True)
        authority = folder / "authority.conf"
        authority.write_text(
            f"statedir = {folder}\nsigningkey = {folder}/key\nissuercert = {self.trust}/issuer.pem\n"
            f"certserial = {folder}/serial\n"
        )
        options = folder / "authority.options"
        options.write_text("--platform-manufacturer Licentia\n--platform-version 1\n--platform-model test\n")
        self._setup = folder / "setup.conf"
        self._setup.write_text(
            f"create_certs_tool = {shutil.which('swtpm_localca')}\ncreate_certs_tool_config = {authority}\n"
            f"create_certs_tool_options = {options}\nactive_pcr_banks = sha256\n"
        )

    def make(self, state: Path, *, certificate: bool = True) -> None:
        """Make a TPM and leave its state in a folder; without a certificate, as cheap machines have one."""
        state.mkdir()
        command = ["swtpm_setup", "--tpm2", "--tpm-state", f"dir://{state}", "--config", str(self._setup)]
        command += ["--create-ek-cert"] if certificate else ["--createek"]
        command += ["--runas", "root"] if os.geteuid() == 0 else []
        subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603 (our own words)


@contextmanager
def running(state: Path) -> Iterator[str]:
    """Run the TPM of this state; gives the words by which libtss2 finds it (its TCTI)."""
    with TemporaryDirectory(prefix="tpm") as folder:
        socket, control = Path(folder, "s"), Path(folder, "s.ctrl")
        options = {"--tpmstate": f"dir={state}", "--flags": "not-need-init,startup-clear"}
        options |= {"--server": f"type=unixio,path={socket}", "--ctrl": f"type=unixio,path={control}"}
        command = ["swtpm", "socket", "--tpm2", *(word for option in options.items() for word in option)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 (our own words)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not (socket.exists() and control.exists()):
                assert process.poll() is None, "swtpm has ended"
                assert time.monotonic() < deadline, "swtpm does not start"
                time.sleep(0.01)
            yield f"swtpm:path={socket}"
        finally:
            process.terminate()
            process.wait(START_SECONDS)
