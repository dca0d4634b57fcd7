"""Every command of `licentia`, as data: nothing is imported before it is run.

A `Verb` is one operation of the contract; its options and help come from the declaration. An `Own`
command is written by hand, at `module:object`. A `Noun` groups both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Verb:
    """The command of one operation, with an example to paste and the command that comes next.

    `then` may name fields of the reply in braces. `summary` is only needed at the root, where the
    contract is not loaded to print the help.
    """

    operation: str
    example: str
    then: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Own:
    """A command written by hand; `operation` is the one that it calls in a form of its own, if it calls one."""

    target: str
    summary: str
    operation: str = ""


@dataclass(frozen=True)
class Noun:
    """Commands about one kind of thing."""

    summary: str
    commands: Mapping[str, Verb | Own | Noun] = field(default_factory=dict)


Entry = Verb | Own | Noun

COMMANDS: Mapping[str, Entry] = {
    "demo": Own("licentia.cli.commands.demo:demo", "Start a throw-away server with something to try."),
    "init": Own("licentia.cli.commands.init:init", "Make a data folder: settings, keys, database."),
    "serve": Own("licentia.cli.commands.serve:serve", "Serve REST and SOAP."),
    "doctor": Own("licentia.cli.commands.doctor:doctor", "Check a data folder or a server, and say what to mend."),
    "bench": Own("licentia.cli.commands.bench:bench", "Measure how many checkouts a second your database keeps."),
    "key": Noun(
        "Keys: who may call, and those that sign leases and containers.",
        {
            "create": Own("licentia.cli.commands.key:create", "Make a key."),
            "list": Own("licentia.cli.commands.key:list_", "List the keys, without their secrets."),
            "revoke": Own("licentia.cli.commands.key:revoke", "Revoke a key at once."),
            "rotate": Own("licentia.cli.commands.key:rotate", "Sign leases with a new key."),
            "retire": Own("licentia.cli.commands.key:retire", "Publish an old lease key no longer."),
            "public": Verb("ListPublicKeys", "licentia key public -o json"),
            "manifest": Own(
                "licentia.cli.commands.key_issuing:manifest",
                "Print the key manifest, which applications bring along.",
                "GetKeyManifest",
            ),
            "issuing": Noun(
                "The key that signs for containers.",
                {
                    "rotate": Own("licentia.cli.commands.key_issuing:rotate", "Sign for containers with a new key."),
                    "revoke": Own(
                        "licentia.cli.commands.key_issuing:revoke",
                        "Let a key count for nothing any more: somebody else may have it.",
                    ),
                    "install": Own(
                        "licentia.cli.commands.key_issuing:install",
                        "Go over to a key manifest that was signed elsewhere.",
                    ),
                    "protect": Own(
                        "licentia.cli.commands.key_issuing:protect",
                        "Put the private keys in keys/ that have no passphrase behind one.",
                    ),
                },
            ),
            "root": Noun(
                "The keys that vouch for the issuing key, better kept elsewhere.",
                {
                    "new": Own(
                        "licentia.cli.commands.key_issuing:new_root",
                        "Make a root key, on any machine, and print its public half.",
                    ),
                    "export": Own(
                        "licentia.cli.commands.key_issuing:export_root",
                        "Move the root key that this server has made off this machine.",
                    ),
                    "use": Own("licentia.cli.commands.key_issuing:use_roots", "Change to other root keys."),
                    "sign": Own(
                        "licentia.cli.commands.key_issuing:sign", "Sign a key manifest with a root key, and print it."
                    ),
                },
            ),
        },
    ),
    "product": Noun(
        "Products: what is sold, and the terms of what it licenses.",
        {
            "put": Verb(
                "PutProduct",
                "licentia product put acme-cad --name 'Acme CAD' --item code=201001,quantity=3,features=basic+pro",
                "licentia order create --source shop --order-number 1001 --customer c1 --line {sku}:1",
            ),
            "list": Verb("ListProducts", "licentia product list"),
            "show": Verb("GetProduct", "licentia product show acme-cad"),
        },
    ),
    "order": Noun(
        "Orders: placed by a business system, answered with a ticket.",
        {
            "create": Verb(
                "CreateOrder",
                "licentia order create --source shop --order-number 1001 --customer c1 --line acme-cad:5",
                "licentia ticket activate {ticket} --user USER",
            ),
            "show": Verb("GetOrder", "licentia order show shop 1001"),
            "cancel": Verb("CancelOrder", "licentia order cancel shop 1001 --reason 'ordered twice'"),
            "import": Own("licentia.cli.commands.order_import:import_", "Import the orders of a file."),
            "trace": Own(
                "licentia.cli.commands.order_trace:trace", "Tell what happened to an order.", "TraceOrder"
            ),
        },
    ),
    "ticket": Noun(
        "Tickets: the pick-up code and the licenses behind it.",
        {
            "show": Verb("GetTicket", "licentia ticket show 7GJDG-J8HPG-QX2MN-4TRWB-9KVCS"),
            "activate": Verb(
                "ActivateTicket",
                "licentia ticket activate 7GJDG-J8HPG-QX2MN-4TRWB-9KVCS --container cloud-lite --user anna",
                "licentia license list {user}",
            ),
        },
    ),
    "activation": Noun(
        "Activations: licenses put into a container.",
        {
            "show": Verb("GetActivation", "licentia activation show 3f9c2a7b"),
            "confirm": Verb("ConfirmActivation", "licentia activation confirm 3f9c2a7b --receipt cad.receipt"),
            "return": Verb("ReturnActivation", "licentia activation return 3f9c2a7b", "licentia ticket show {ticket}"),
            "move": Verb("MoveActivation", "licentia activation move 3f9c2a7b --container cloud-lite --user ben"),
            "restore": Verb(
                "RestoreActivation",
                "licentia activation restore 3f9c2a7b --container act-file --request cad.request",
            ),
            "approve-restore": Verb(
                "ApproveRestore", "licentia activation approve-restore 3f9c2a7b --reason 'laptop was stolen'"
            ),
        },
    ),
    "container": Noun(
        "Containers: license files on their machines, and what the server knows of them.",
        {
            "new": Own("licentia.cli.commands.container:new", "Make an empty act-file on this machine."),
            "request": Own("licentia.cli.commands.container:request", "Write the request for the server."),
            "apply": Own("licentia.cli.commands.container:apply", "Take the server's answer into the act-file."),
            "show": Own("licentia.cli.commands.container:show", "Show the licenses in an act-file."),
            "receipt": Own(
                "licentia.cli.commands.container:receipt", "Write the receipt of what an act-file holds, once more."
            ),
            "check": Own("licentia.cli.commands.container:check", "Use a license as an application does."),
            "return": Own("licentia.cli.commands.container:return_", "Give up licenses here, and write the receipt."),
            "contact": Own(
                "licentia.cli.commands.container:contact", "Contact the server, online.", "ContactContainer"
            ),
            "inspect": Own("licentia.cli.commands.container:inspect", "Show what can be read of a file."),
            "verify": Own("licentia.cli.commands.container:verify", "Verify the signatures of a file."),
            "list": Verb("ListContainers", "licentia container list --kind act-file"),
            "reinstate": Verb(
                "ReinstateContainer", "licentia container reinstate con_3f9c --reason 'restored from a backup'"
            ),
        },
    ),
    "license": Noun(
        "Licenses: what a user may use, and what the vendor takes back.",
        {
            "list": Verb("ListLicenses", "licentia license list anna"),
            "change": Verb(
                "ChangeLicense", "licentia license change 7d1e44c0 --expires-at 2027-12-31T00:00:00Z --reason renewed"
            ),
            "withdraw": Verb(
                "WithdrawLicense", "licentia license withdraw 7d1e44c0 --reason 'charged back' --mode at_next_contact"
            ),
        },
    ),
    "lease": Noun(
        "Leases: time-limited claims on seats.",
        {
            "checkout": Verb(
                "CheckoutLicense",
                "licentia lease checkout my-lease-1 --product-code 201001 --user anna --station ws-07",
                "licentia lease release {lease_id}",
            ),
            "release": Verb("ReleaseLease", "licentia lease release my-lease-1"),
            "list": Verb("ListLeases", "licentia lease list --product-code 201001"),
        },
    ),
    "units": Noun(
        "Units: pay per use.",
        {
            "consume": Verb(
                "ConsumeUnits",
                "licentia units consume anna --product-code 201002 --units 5 --request-id render-0042",
            ),
        },
    ),
    "usage": Verb(
        "GetUsage",
        "licentia usage --from 2026-11-01 --to 2026-12-01 --per day -o csv",
        summary="Read the use over a time.",
    ),
    "webhook": Noun(
        "Webhooks: addresses of others that are told of events.",
        {
            "put": Verb(
                "PutWebhook",
                "licentia webhook put crm --endpoint-url https://crm.example.com/in --kind 'order.*'",
                "licentia webhook test {webhook_id}",
            ),
            "list": Verb("ListWebhooks", "licentia webhook list"),
            "show": Verb("GetWebhook", "licentia webhook show crm"),
            "delete": Verb("DeleteWebhook", "licentia webhook delete crm"),
            "rotate": Verb("RotateWebhookSecret", "licentia webhook rotate crm"),
            "test": Verb("TestWebhook", "licentia webhook test crm"),
            "deliveries": Verb("ListWebhookDeliveries", "licentia webhook deliveries crm --state failed"),
            "replay": Verb("ReplayWebhookDelivery", "licentia webhook replay crm msg_2b1c94"),
            "replay-since": Verb(
                "ReplayWebhookDeliveries", "licentia webhook replay-since crm --since 2026-11-24T02:00:00Z"
            ),
        },
    ),
    "events": Noun(
        "Events: the audit trail, a chain of hashes.",
        {
            "list": Verb("ListEvents", "licentia events list --limit 20"),
            "verify": Own("licentia.cli.commands.events:verify", "Recompute the chain of hashes."),
        },
    ),
    "plugin": Noun(
        "Plugins: containers, directories and more that this server can load.",
        {
            "list": Verb("ListPlugins", "licentia plugin list"),
            "new": Own(
                "licentia.cli.commands.plugin:new",
                "Write a plugin of your own: code that works, its tests, its page.",
            ),
        },
    ),
    "binding": Noun(
        "Bindings: try what ties a container to a machine, by hand and on files.",
        {
            "features": Own("licentia.cli.commands.binding:features", "Show the features of a machine."),
            "seal": Own("licentia.cli.commands.binding:seal", "Seal a random secret to a machine."),
            "unseal": Own("licentia.cli.commands.binding:unseal", "Open a record on a machine."),
            "verify": Own("licentia.cli.commands.binding_verify:verify", "Verify an identity document."),
        },
    ),
    "connector": Noun(
        "Connectors: the business systems that orders come from.",
        {
            "list": Verb("ListConnectors", "licentia connector list"),
            "add": Verb(
                "PutConnector",
                "licentia connector add shop --plugin webhook --setting secret=whsec_bGljZW50aWEgZGVtbyBrZXk=",
                "licentia connector test {name}",
            ),
            "remove": Verb("DeleteConnector", "licentia connector remove shop"),
            "test": Verb("TestConnector", "licentia connector test shop"),
            "poll": Verb("PollConnector", "licentia connector poll erp", "licentia connector inbox"),
            "map": Verb(
                "PutMapping",
                "licentia connector map --article CAD-5PACK --sku acme-cad --factor 5 --connector shop",
                "licentia connector replay --dry-run",
            ),
            "maps": Verb("ListMappings", "licentia connector maps --connector shop"),
            "unmap": Verb("DeleteMapping", "licentia connector unmap map_3f9c2a7b"),
            "try": Verb("TryMapping", "licentia connector try shop --article CAD-5PACK --quantity 2"),
            "inbox": Verb("ListDeliveries", "licentia connector inbox --state parked"),
            "delivery": Verb("GetDelivery", "licentia connector delivery dlv_3f9c2a7b"),
            "replay": Verb("ReplayDeliveries", "licentia connector replay --connector shop --dry-run"),
            "discard": Verb("DiscardDelivery", "licentia connector discard dlv_3f9c2a7b --reason 'a test of the shop'"),
            "normalise": Own(
                "licentia.cli.commands.connector:normalise", "Show which changes of orders a delivery means."
            )
        },
    ),
    "soap": Noun(
        "SOAP: what its clients meet on their way here.",
        {"check": Own("licentia.cli.commands.soap:check", "Check a server's SOAP, as old and new clients meet it.")},
    ),
    "contract": Noun(
        "The public contract, as documents.",
        {
            "export": Own(
                "licentia.cli.commands.contract:export", "Write the OpenAPI document, the WSDLs and test vectors."
            )
        },
    ),
    "completion": Own("licentia.cli.commands.completion:completion", "Print the completion script of a shell."),
}
"""In the order in which a newcomer meets them."""
