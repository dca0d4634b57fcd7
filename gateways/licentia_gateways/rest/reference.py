"""The reference for people: plain HTML, written from the contract, readable without a script or a stylesheet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape

from licentia.contract import OPERATIONS, Operation
from licentia.errors import UNIVERSAL, LicensingError, catalogue
from licentia_gateways.problems import CATALOGUE
from licentia_gateways.rest import examples, schemas
from licentia_gateways.rest.openapi import SERVICES, successes
from licentia_gateways.rest.wording import code, default, inline, kind, prose

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} - Licentia</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><a class="brand" href="/docs">Licentia</a>
<nav aria-label="Documents"><a href="/docs">Operations</a> <a href="{catalogue}">Errors</a>
<a href="/openapi.json">OpenAPI</a></nav></header>
<div class="frame">
<nav class="contents" aria-label="On this page">{contents}</nav>
<main id="content">{main}</main>
</div>
</body>
</html>
"""

_START = """<h1>Operations</h1>
<p>Every operation can be called over REST and over SOAP, with the same fields, bounds and errors.</p>
<dl class="start">
<dt>Key</dt><dd>Make one with <code>licentia key create --scopes sales,depot</code> and send it as
<code>Authorization: Bearer &lt;key&gt;</code>, or as HTTP Basic: the key's id and its secret.</dd>
<dt>REST</dt><dd>JSON in UTF-8. Times are RFC 3339, in UTC. A reply has all its fields; what it cannot say is
<code>null</code>. An unknown field in a request is an error.</dd>
<dt>SOAP</dt><dd>1.1 and 1.2, document/literal. Names are those below in <code>camelCase</code>:
<code>order_number</code> is <code>orderNumber</code>. Fields of a path are elements like all others.</dd>
<dt>Repeating</dt><dd>A change can always be sent again: it is known by its own number or id, or by the header
<code>Idempotency-Key</code>, and gets the first answer.</dd>
<dt>Errors</dt><dd><code>application/problem+json</code> (RFC 9457) or a SOAP fault, with a <code>code</code> out of
<a href="{catalogue}">a closed set</a>.</dd>
</dl>
"""


@cache
def operations_page(base_url: str) -> str:
    """The page of all operations; `base_url` stands in its examples."""
    main = [_START.format(catalogue=CATALOGUE)]
    contents = []
    for service, description in SERVICES.items():
        operations = [operation for operation in OPERATIONS if operation.service == service]
        contents.append(_contents(service, service.capitalize(), [operation.name for operation in operations]))
        main.append(f'<section id="{service}"><h2>{service.capitalize()}</h2><p>{inline(description)}</p>')
        main.append(f'<p class="facts"><a href="/soap/{service}?wsdl">WSDL of this service</a></p>')
        main += [_operation(operation, base_url) for operation in operations]
        main.append("</section>")
    shown = {name: schema for name, schema in schemas.components().items() if name not in _SHOWN_ABOVE}
    contents.append(_contents("types", "Types", shown, state=""))
    main.append('<section id="types"><h2>Types</h2><p>What replies and requests consist of.</p>')
    main += [_type(name, schema) for name, schema in shown.items()]
    main.append("</section>")
    return _page("Operations", contents, main)


@cache
def errors_page() -> str:
    """The page of all error codes."""
    general = {error.code for error in UNIVERSAL}
    main = ["<h1>Errors</h1><p>Every refusal has one of these codes, over REST and SOAP alike.</p>"]
    contents = []
    for anchor, title, codes in (
        ("general", "Of every operation", [name for name in catalogue() if name in general]),
        ("special", "Of some operations", [name for name in catalogue() if name not in general]),
    ):
        contents.append(_contents(anchor, title, codes))
        main.append(f'<section id="{anchor}"><h2>{title}</h2>')
        main += [_error(catalogue()[name]) for name in codes]
        main.append("</section>")
    return _page("Errors", contents, main)


_SHOWN_ABOVE = {operation.request.__name__ for operation in OPERATIONS}


def _page(title: str, contents: Iterable[str], main: Iterable[str]) -> str:
    return _PAGE.format(title=title, catalogue=CATALOGUE, contents="".join(contents), main="\n".join(main))


def _contents(anchor: str, title: str, names: Iterable[str], state: str = "open") -> str:
    entries = "".join(f'<li><a href="#{name}">{name}</a></li>' for name in names)
    return f'<details {state}><summary><a href="#{anchor}">{title}</a></summary><ul>{entries}</ul></details>'


def _operation(operation: Operation, base_url: str) -> str:
    fields = schemas.fields(operation)
    rows = [
        (_name(field.name, field.required), field.place, kind(field.schema), _meaning(field.description, field.schema))
        for field in fields
    ]
    method = operation.method
    needed = "no key" if operation.open else f"scope {code(operation.service)}"
    return "\n".join(
        [
            f'<article id="{operation.name}">',
            f"<h3>{inline(operation.summary.rstrip('.'))}</h3>",
            f'<p class="address"><b class="{method.lower()}">{method}</b> {code(operation.path)}</p>',
            f'<p class="facts">SOAP {code(operation.name)} · {needed}</p>',
            prose(operation.request.__doc__ or ""),
            _table(("Field", "In", "Type", "Meaning"), rows),
            f"<pre><code>{escape(_curl(operation, base_url))}</code></pre>",
            f'<p class="answers">Answers {_answers(operation)}.</p>',
            f'<p class="refusals">Errors: {_errors(operation)}.</p>',
            "</article>",
        ]
    )


def _type(name: str, schema: schemas.Schema) -> str:
    rows = [
        (
            _name(member, member in schema["required"]),
            kind(described) + (" or null" if {"type": "null"} in described.get("anyOf", ()) else ""),
            _meaning(schemas.description(described), described),
        )
        for member, described in schema["properties"].items()
    ]
    table = _table(("Field", "Type", "Meaning"), rows)
    return f'<article id="{name}"><h3>{name}</h3>{prose(schema.get("description", ""))}{table}</article>'


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(
        "<tr>" + "".join(f'<td data-head="{name}">{cell}</td>' for name, cell in zip(heads, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _name(name: str, required: bool) -> str:
    return code(name) if required else f"{code(name)} <small>optional</small>"


def _meaning(description: str, schema: schemas.Schema) -> str:
    return f"{inline(description)} {default(schema)}".strip()


def _curl(operation: Operation, base_url: str) -> str:
    method = "" if operation.method == "GET" else f"-X {operation.method} "
    lines = [f'curl {method}"{base_url}{examples.path(operation)}"']
    if not operation.open:
        lines.append('-H "Authorization: Bearer $LICENTIA_KEY"')
    if body := examples.body(operation):
        lines.append(f"--json '{json.dumps(body)}'")
    return " \\\n  ".join(lines)


def _answers(operation: Operation) -> str:
    statuses = " or ".join(code(str(status)) for status in successes(operation))
    if operation.reply is None:
        return f"{statuses} without a body"
    return f'{statuses} with <a href="#{operation.reply.__name__}">{operation.reply.__name__}</a>'


def _errors(operation: Operation) -> str:
    own = [
        f'<a href="{CATALOGUE}#{error.code}">{code(error.code)}</a> <small>{error.status}</small>'
        for error in operation.errors
    ]
    return ", ".join([*own, f'<a href="{CATALOGUE}#general">those of every operation</a>'])


def _error(error: type[LicensingError]) -> str:
    users = [operation.name for operation in OPERATIONS if error in operation.errors]
    links = ", ".join(f'<a href="/docs#{name}">{name}</a>' for name in users)
    return "\n".join(
        [
            f'<article id="{error.code}"><h3>{code(error.code)} <small>{error.status}</small></h3>',
            f"<p><strong>{inline(error.title())}.</strong> {inline(error.help)}</p>",
            f'<p class="facts">{links}</p>' if links else "",
            "</article>",
        ]
    )
