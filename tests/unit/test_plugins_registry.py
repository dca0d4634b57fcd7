"""The registry: what it finds, what it loads, and that one broken plugin stops nobody else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from licentia.containers import ContainerRequest
from licentia.contract.plugins import Plugin
from licentia.errors import ContainerUnknown
from licentia.plugins import Bindings, PluginError, Plugins, Registry
from licentia.settings import Settings
from licentia.testing import MemoryHost

GOOD = """
from licentia.containers import ContainerBackend, ContainerRef, OfflineDelivery
class Good(ContainerBackend):
    async def _provision(self, wanted): return ContainerRef(binding=f"{self.kind} {self.settings} {wanted.user}")
    async def _apply(self, ref, update): return None
    async def _read(self, ref): return await self.host.contents(self.kind, ref.binding)
    async def _retire(self, ref): return None
Plugin = Good
"""
BINDING = """
from licentia.bindings import Binding
class Plugin(Binding):
    def server(self): ...
    def client(self): ...
"""
CONNECTOR = """
from licentia.connectors import Connector, Polling
class Plugin(Connector, Polling):
    async def _authenticate(self, delivery): ...
    def _normalise(self, delivery): return ()
    async def _poll(self, cursor): ...
"""
BROKEN = {
    "raise RuntimeError('no\\n  library')": "loading it failed with RuntimeError: no library",
    "import sys; sys.exit('bye')": "loading it failed with SystemExit: bye",
    "class Panic(BaseException): pass\nraise Panic('in Rust')": "loading it failed with Panic: in Rust",
    "import a_module_that_is_not_there": "loading it failed with ModuleNotFoundError",
    "def Plug(): pass": "loading it failed with AttributeError",
    "Plugin = 7": "it is not a subclass of licentia.containers.ContainerBackend",
    "class Plugin: pass": "it is not a subclass of licentia.containers.ContainerBackend",
    "from licentia_plugins.directories.trusted import Trusted as Plugin": "it is not a subclass of",
    GOOD + "Good.api = 2": "it was written for version 2 of the contract; this is version 1",
    GOOD + "Good.api = None": "it was written for version None of the contract",
    "from licentia.containers import ContainerBackend as Plugin": "it does not implement _apply, _provision, _read",
    GOOD + "class Plugin(Good, OfflineDelivery): pass": "it does not implement _confirm",
    GOOD + "class Plugin(Good):\n    def _read(self, ref): return ()": "Plugin._read must be an `async def`",
    GOOD + "Good._read = lambda self, ref: ()": "its `_read` is not an `async def`",
    GOOD + "class Plugin(Good):\n    async def _apply(self, ref): pass": "its `_apply` takes other arguments than",
    GOOD + "class Plugin(Good):\n    async def apply(self, ref, update): pass": "it replaces `apply`; `_apply` is what",
}
UNSTARTABLE = {
    GOOD + "class Plugin(Good):\n    def __init__(self, *given): pass": "its __init__ does not call that of its base",
    GOOD + "class Plugin(Good):\n    def __init__(self, *given): 1 / 0": "ZeroDivisionError: division by zero",
    GOOD + "class Plugin(Good):\n    def __init__(self): pass": "TypeError: ",
    GOOD + "class Plugin(Good):\n    def __init__(self, *given): raise SystemExit('bye')": "SystemExit: bye",
}


class Site:
    """A folder of installed distributions, each with one module of its own name and one plugin."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def add(
        self,
        distribution: str,
        code: str = GOOD,
        *,
        name: str = "crate",
        group: str = "containers",
        version: str = "1.0",
    ) -> None:
        """Install a distribution whose module is `code` and whose plugin is the module's `Plugin`."""
        module = distribution.replace("-", "_")
        (self.folder / f"{module}.py").write_text(code)
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[licentia.{group}]\n{name} = {module}:Plugin\n")
        self.modules.append(module)

    def registry(self, **settings: Any) -> Registry:
        """A registry that knows what is in this folder."""
        found = metadata.distributions(path=[str(self.folder)])
        entry_points = [entry_point for distribution in found for entry_point in distribution.entry_points]
        settings = {"containers": [], "directories": []} | settings
        return Registry(Settings(**settings), MemoryHost(), entry_points=entry_points)

    def only(self) -> Plugin:
        """The one plugin of a listing that configures nothing."""
        (plugin,) = self.registry().listing()
        return plugin


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty folder on the import path."""
    monkeypatch.syspath_prepend(tmp_path)
    site = Site(tmp_path)
    yield site
    for module in site.modules:
        sys.modules.pop(module, None)


def test_the_built_in_plugins_are_found() -> None:
    """With the default settings those are active that need no settings; the others are there for whoever wants them."""
    settings, plugins = Settings(), Plugins()
    bindings = Bindings(settings, plugins)
    Registry(settings, MemoryHost({"physical": bindings.binding("physical")}), plugins)
    listing = {f"{plugin.kind} {plugin.name}": plugin for plugin in plugins.listing()}
    assert {name for name, plugin in listing.items() if plugin.state == "active"} == {
        "binding physical",
        "container act-file",
        "container cloud-lite",
        "directory trusted",
    }
    assert listing["container cloud-lite"].capabilities == ["leasing"]
    assert listing["container cloud-lite"].distribution == "licentia"
    assert listing["container cloud-lite"].version == metadata.version("licentia")
    assert listing["directory oidc"].state == "available"


async def test_a_configured_plugin_gets_its_kind_its_host_and_its_settings(site: Site) -> None:
    """The table [container.KIND] and the core reach the plugin, and the plugin's answer reaches the core."""
    site.add("acme-crate")
    registry = site.registry(containers=["crate"], container={"crate": {"size": 3}})
    ref = await registry.container("crate").provision(ContainerRequest(user="ada"))
    assert ref.binding == "crate {'size': 3} ada"
    assert await registry.container("crate").read(ref) == ()


def test_nothing_is_imported_before_it_is_needed(site: Site) -> None:
    """Making a registry runs no code of a plugin that is not in use; listing does, to say whether it works."""
    site.add("acme-crate")
    site.add("acme-box", name="box")
    registry = site.registry(containers=["crate"])
    assert "acme_crate" in sys.modules
    assert "acme_box" not in sys.modules
    assert [(plugin.name, plugin.state) for plugin in registry.listing()] == [("box", "available"), ("crate", "active")]
    assert "acme_box" in sys.modules


@pytest.mark.parametrize(("code", "reason"), BROKEN.items(), ids=BROKEN.values())
def test_a_broken_plugin_is_listed_with_its_reason(site: Site, code: str, reason: str) -> None:
    """Whatever is wrong with it, the listing says so in one line and goes on."""
    site.add("acme-crate", code, version="2.1")
    site.add("acme-fine", name="fine")
    broken, fine = site.registry(containers=["fine"]).listing()
    assert (broken.state, broken.distribution, broken.version) == ("broken", "acme-crate", "2.1")
    assert reason in str(broken.reason)
    assert "\n" not in str(broken.reason)
    assert (fine.state, fine.reason) == ("active", None)


@pytest.mark.parametrize(("code", "reason"), (BROKEN | UNSTARTABLE).items(), ids=(BROKEN | UNSTARTABLE).values())
def test_a_broken_plugin_that_is_configured_stops_the_start(site: Site, code: str, reason: str) -> None:
    """The error names the plugin, its distribution, the reason and what to do."""
    site.add("acme-crate", code, version="2.1")
    with pytest.raises(PluginError) as stop:
        site.registry(containers=["crate"])
    message = str(stop.value)
    assert "container 'crate' (acme-crate 2.1, acme_crate:Plugin)" in message
    assert reason in message
    assert "take 'crate' out of `containers`" in message


def test_the_user_may_still_interrupt(site: Site) -> None:
    """Ctrl-C while a plugin is imported or made is not taken for the plugin's fault."""
    site.add("acme-crate", "raise KeyboardInterrupt")
    site.add("acme-box", GOOD + "class Plugin(Good):\n    def __init__(self, *_): raise KeyboardInterrupt", name="box")
    with pytest.raises(KeyboardInterrupt):
        site.registry().listing()
    with pytest.raises(KeyboardInterrupt):
        site.registry(containers=["box"])


def test_a_long_reason_is_cut(site: Site) -> None:
    """A plugin that pours out its heart does not fill the listing."""
    site.add("acme-crate", "raise RuntimeError('x' * 10_000)")
    assert len(str(site.only().reason)) < 350


@pytest.mark.parametrize("name", ["Crate", "crate_2", "x" * 33, "2crates"])
def test_a_name_that_no_request_can_carry_is_broken(site: Site, name: str) -> None:
    """A container's kind is lower-case letters, digits and dashes, as the contract says."""
    site.add("acme-crate", name=name)
    assert "lower-case" in str(site.only().reason)


def test_two_plugins_of_one_name_are_both_broken(site: Site) -> None:
    """Neither is chosen: the reason names both distributions, and is fatal only where the name is configured."""
    site.add("acme-crate", version="1.0")
    site.add("bolt-crate", version="3.0")
    assert [plugin.state for plugin in site.registry().listing()] == ["broken", "broken"]
    with pytest.raises(PluginError, match=r"acme-crate 1\.0 and bolt-crate 3\.0"):
        site.registry(containers=["crate"])


def test_one_name_in_two_groups_is_no_clash(site: Site) -> None:
    """A container and a directory may be called the same."""
    site.add("acme-crate")
    site.add("acme-people", "from licentia_plugins.directories.trusted import Trusted as Plugin", group="directories")
    assert [plugin.state for plugin in site.registry(containers=["crate"]).listing()] == ["active", "available"]


def test_a_distribution_found_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two copies on the path the first is the one that would be imported, so it is the one listed."""
    for version in ("1.0", "2.0"):
        folder = tmp_path / version
        folder.mkdir()
        Site(folder).add("acme-crate", version=version)
        monkeypatch.syspath_prepend(folder)
    found = [plugin for plugin in Plugins().listing() if plugin.name == "crate"]
    sys.modules.pop("acme_crate", None)
    assert [(plugin.version, plugin.state) for plugin in found] == [("2.0", "available")]


def test_plugins_of_every_group_are_listed(site: Site) -> None:
    """Bindings and connectors are shown, and said to be broken where they cannot be imported or are none."""
    site.add("acme-seal", BINDING, name="seal", group="bindings")
    site.add("acme-bolt", "Plugin = object", name="bolt", group="bindings")
    site.add("acme-shop", CONNECTOR, name="shop", group="connectors")
    site.add("acme-till", "raise ImportError('no till')", name="till", group="connectors")
    site.add("acme-other", "raise AssertionError", name="other", group="gateways")
    listing = [(plugin.kind, plugin.name, plugin.state) for plugin in site.registry().listing()]
    assert listing == [
        ("binding", "bolt", "broken"),
        ("binding", "seal", "available"),
        ("connector", "shop", "available"),
        ("connector", "till", "broken"),
    ]


@pytest.mark.parametrize(
    ("group", "code", "reason"),
    [
        ("bindings", "Plugin = object", "it is not a subclass of licentia.bindings.Binding"),
        ("bindings", "from licentia.bindings import Binding as Plugin", "it does not implement client"),
        ("bindings", BINDING + "Plugin.api = 7", "it was written for version 7 of the contract"),
        ("connectors", "Plugin = object", "it is not a subclass of licentia.connectors.Connector"),
        ("connectors", CONNECTOR + "Plugin.normalise = Plugin._normalise", "it replaces `normalise`"),
        ("connectors", CONNECTOR.replace("async def _poll", "async def poll_"), "does not implement _poll"),
        ("connectors", CONNECTOR + "Plugin._poll = lambda self, cursor: None", "its `_poll` is not an `async def`"),
    ],
)
def test_a_wrong_class_is_broken(site: Site, group: str, code: str, reason: str) -> None:
    """What is no plugin of its group says what is missing."""
    site.add("acme-thing", code, name="thing", group=group)
    assert reason in str(site.only().reason)


def test_a_name_that_is_not_installed_lists_those_that_are(site: Site) -> None:
    """A typing error in the settings is easy to see."""
    site.add("acme-crate")
    site.add("acme-box", name="box")
    with pytest.raises(PluginError, match=r"no container 'creat'; installed: box, crate\. Correct `containers`"):
        site.registry(containers=["creat"])


@pytest.mark.parametrize(("table", "setting"), [("container", "containers"), ("directory", "directories")])
def test_settings_for_a_plugin_not_in_use_stop_the_start(site: Site, table: str, setting: str) -> None:
    """A table that nobody reads is a typing error, not a silent default."""
    with pytest.raises(PluginError, match=rf"\[{table}\.oicd\].*add it to `{setting}`"):
        site.registry(**{table: {"oicd": {}}})


def test_wrong_settings_are_said_in_plain_words() -> None:
    """The message names the table and the setting; the class of the exception interests nobody."""
    settings = Settings(
        containers=(), directories=("oidc",), directory={"oidc": {"isuer": "https://login.example.com"}}
    )
    with pytest.raises(PluginError, match=r"did not start: Object .* field `isuer`\. Correct \[directory\.oidc\]"):
        Registry(settings, MemoryHost())


def test_an_unknown_kind_is_refused_with_the_active_ones(site: Site) -> None:
    """Who asks for a container that is installed but not in use is told which ones are."""
    site.add("acme-crate")
    site.add("acme-box", name="box")
    with pytest.raises(ContainerUnknown, match=r"'box'; active here: crate"):
        site.registry(containers=["crate"]).container("box")
