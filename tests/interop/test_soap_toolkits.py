"""SOAP toolkits of other languages: a PHP client runs a story, Java's and C++'s generators accept every WSDL."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest

from licentia.contract import OPERATIONS
from licentia.contract.operation import Service
from licentia_gateways.soap import wsdl

SERVICES: tuple[Service, ...] = get_args(Service)
PHP = """<?php
[$_, $url, $version, $keys] = $argv;
$keys = json_decode($keys, true);
function client($service) {
    global $url, $version, $keys;
    [$lic, $id, $secret] = explode("_", $keys[$service], 3);
    return new SoapClient("$url/soap/$service?" . ($version == SOAP_1_2 ? "wsdl12" : "wsdl"), [
        "login" => $id, "password" => $secret, "soap_version" => (int) $version, "cache_wsdl" => WSDL_CACHE_NONE,
        "features" => SOAP_SINGLE_ELEMENT_ARRAYS,
    ]);
}
$item = ["productCode" => "1", "quantity" => 1];
client("admin")->PutProduct(["sku" => "a", "name" => "Ä & <b>", "items" => [$item]]);
$order = client("sales")->CreateOrder([
    "source" => "php", "orderNumber" => $version, "customer" => ["id" => "c"],
    "lines" => [["lineId" => "1", "sku" => "a", "quantity" => 1]],
]);
$container = ["kind" => "cloud-lite", "user" => "u$version"];
client("depot")->ActivateTicket(["code" => $order->ticket, "container" => $container]);
$licensing = client("licensing");
$said = ["name" => $order->licenses[0]->name, "seats" => []];
foreach (["a", "b"] as $lease) {
    try {
        $wanted = ["leaseId" => "$lease$version", "productCode" => "1", "user" => "u$version"];
        $said["seats"][] = $licensing->CheckoutLicense($wanted)->seatsInUse;
    } catch (SoapFault $fault) {
        $said["refusal"] = $fault->detail->LicensingFault->code;
    }
}
$licensing->ReleaseLease(["leaseId" => "a$version"]);
$said["leases"] = count($licensing->ListLeases([])->leases ?? []);
echo json_encode($said);
"""


def run(*command: str, cwd: Path) -> str:
    """Run a tool; its complaints are the failure."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def needs(tool: str) -> None:
    """Skip where a tool is not installed."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")


@pytest.mark.parametrize("version", ["1", "2"], ids=["soap-1.1", "soap-1.2"])
def test_php_checks_out_a_license(server: Any, tmp_path: Path, version: str) -> None:
    """PHP's SoapClient orders, activates, checks out, reads the code of a refusal and releases."""
    needs("php")
    if "soap" not in run("php", "-m", cwd=tmp_path).split():
        pytest.skip("php has no soap extension")
    (tmp_path / "story.php").write_text(PHP, "utf-8")
    said = json.loads(run("php", "story.php", server.url, version, json.dumps(server.keys), cwd=tmp_path))
    assert said == {"name": "Ä & <b>", "seats": [1], "refusal": "no_free_seats", "leases": 0}


@pytest.mark.parametrize("service", SERVICES)
def test_java_makes_its_classes(service: Service, tmp_path: Path) -> None:
    """JAX-WS's wsimport accepts the WSDL without a warning, and makes a class of each message and a typed exception."""
    needs("wsimport")
    (tmp_path / "service.wsdl").write_bytes(wsdl(service, "http://localhost:8400"))
    said = run("wsimport", "-Xnocompile", "-p", "service", "service.wsdl", cwd=tmp_path)
    assert "[WARNING]" not in said
    made = {path.stem for path in (tmp_path / "service").glob("*.java")}
    operations = {operation.name for operation in OPERATIONS if operation.service == service}
    assert made >= {"LicensingFault_Exception", *operations, *(f"{name}Response" for name in operations)}


@pytest.mark.parametrize("service", SERVICES)
def test_gsoap_makes_its_classes(service: Service, tmp_path: Path) -> None:
    """gSOAP's wsdl2h and soapcpp2 accept the WSDL; all they remark is that they skip the hint for Java."""
    needs("wsdl2h")
    needs("soapcpp2")
    (tmp_path / "service.wsdl").write_bytes(wsdl(service, "http://localhost:8400"))
    said = run("wsdl2h", "-o", "service.h", "service.wsdl", cwd=tmp_path)
    said += run("soapcpp2", "-C", "-x", "-I/usr/share/gsoap/import", "service.h", cwd=tmp_path)
    remarks = [line for line in said.splitlines() if "warning" in line.lower()]
    assert [remark for remark in remarks if "jaxws:bindings" not in remark] == []
